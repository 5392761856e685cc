"""Decisions by other libraries, each in its quickest documented way: `python -m benchmarks.peers.deciders NAME`.

For each line that is read, `DECISIONS` of them are made for as many people and the seconds are answered as JSON. The rule is the same for
all: three conditions on the context, a part of the people left out where the library knows such a thing, four arms of equal weight.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

DECISIONS = 20_000
ARMS = {"control": {"scale": 1.0}, "larger": {"scale": 1.1}, "largest": {"scale": 1.2}, "huge": {"scale": 1.3}}
CONTEXT = {"device": "mobile", "daypart": "morning", "country": "NL"}
HOLDOUT = 0.05

Decide = Callable[[str], Any]


def growthbook() -> Decide:
    """GrowthBook's SDK: one client, attributes set for each person."""
    from growthbook import GrowthBook

    rule = {
        "key": "headline",
        "condition": {"device": {"$in": ["mobile", "desktop"]}, "daypart": {"$ne": "night"}, "country": "NL"},
        "hashAttribute": "id",
        "coverage": 1 - HOLDOUT,
        "variations": list(ARMS.values()),
        "weights": [0.25] * 4,
    }
    client = GrowthBook(features={"headline": {"defaultValue": ARMS["control"], "rules": [rule]}})

    def decide(unit: str) -> Any:
        client.set_attributes({"id": unit, **CONTEXT})
        return client.eval_feature("headline").value

    return decide


def unleash() -> Decide:
    """Unleash's client, bootstrapped, with nothing to fetch and nothing to report."""
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    constraints = [
        {"contextName": "device", "operator": "IN", "values": ["mobile", "desktop"]},
        {"contextName": "daypart", "operator": "NOT_IN", "values": ["night"]},
        {"contextName": "country", "operator": "IN", "values": ["NL"]},
    ]
    strategy = {
        "name": "flexibleRollout",
        "parameters": {"rollout": str(round(100 * (1 - HOLDOUT))), "stickiness": "userId", "groupId": "headline"},
        "constraints": constraints,
        "variants": [
            {"name": name, "weight": 250, "stickiness": "userId", "payload": {"type": "json", "value": json.dumps(arm)}}
            for name, arm in ARMS.items()
        ],
    }
    cache = FileCache("benchmark", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict({"version": 2, "features": [{"name": "headline", "enabled": True, "strategies": [strategy]}]})
    client = UnleashClient("http://localhost/api", "benchmark", disable_metrics=True, disable_registration=True, cache=cache)
    client.initialize_client(fetch_toggles=False)

    def decide(unit: str) -> Any:
        return client.get_variant("headline", {"userId": unit, **CONTEXT})["name"]

    return decide


def openfeature() -> Decide:
    """OpenFeature's SDK over its in-memory provider, which has no rules: a look-up only."""
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    api.set_provider(InMemoryProvider({"headline": InMemoryFlag("control", dict(ARMS))}))
    client = api.get_client()

    def decide(unit: str) -> Any:
        return client.get_object_details("headline", {}, EvaluationContext(unit, dict(CONTEXT))).value

    return decide


PEERS = {"growthbook": growthbook, "unleash": unleash, "openfeature": openfeature}


def main() -> None:
    """Decide as often as asked."""
    decide = PEERS[sys.argv[1]]()
    units = [f"unit-{number}" for number in range(DECISIONS)]
    for _ in sys.stdin:
        answers = {str(decide(unit)) for unit in units[:200]}
        started = time.process_time()
        for unit in units:
            decide(unit)
        print(json.dumps({"seconds": time.process_time() - started, "answers": len(answers)}), flush=True)


if __name__ == "__main__":
    main()
