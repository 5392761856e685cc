"""Decisions: the same in every language and process, with probabilities that are what they say."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import Counter
from pathlib import Path

import pytest

from adjust.decide import Decider, number
from adjust.errors import UnknownPolicy
from tests.adjust.support import ARMS, payload, policy

CASES = json.loads((Path(__file__).parents[1] / "cases" / "assignment.json").read_text(encoding="utf-8"))
WEIGHTS = {"mobile|morning": [0.7, 0.2, 0.1], "desktop|other": [0.01, 0.01, 0.98]}
BOUND = 5.5
"""Standard deviations within which a frequency must lie: false-failure rate 3.8e-8 each, below 1e-6 for the dozen looked at."""


def _decider() -> Decider:
    return Decider.from_bundle(payload(policy(), weights=WEIGHTS))


@pytest.mark.parametrize("case", CASES["numbers"], ids=lambda c: ascii(c["unit"])[:20])
def test_the_number_of_a_unit_is_the_one_in_the_vectors(case: dict) -> None:
    assert number(case["policy"], case["salt"], case["unit"]) == case["number"]


@pytest.mark.parametrize("case", CASES["decisions"], ids=lambda c: ascii(c["unit"])[:20])
def test_the_decision_is_the_one_in_the_vectors(case: dict) -> None:
    found = Decider.from_bundle(CASES["bundle"]).decide(case["policy"], context=case["context"], unit=case["unit"])
    assert {k: found[k] for k in case["expected"]} == case["expected"]


def test_the_same_unit_gets_the_same_arm_from_every_decider() -> None:
    context = {"device": "mobile", "daypart": "morning"}
    first = [_decider().decide("headline", context=context, unit=f"u{i}") for i in range(50)]
    again = _decider()
    assert [again.decide(zone="front.headline", context=context, unit=f"u{i}") for i in range(50)] == first


def test_the_holdout_has_its_share_and_stays_when_the_bundle_changes() -> None:
    people = 40_000
    decider = _decider()
    held = {i for i in range(people) if decider.decide("headline", unit=f"unit-{i}")["arm"] == "holdout"}
    assert abs(len(held) / people - 0.05) < BOUND * math.sqrt(0.05 * 0.95 / people)
    changed = payload(policy(), version=9) | {"salt": "another"}
    later = Decider.from_bundle(changed)
    assert {i for i in range(people) if later.decide("headline", unit=f"unit-{i}")["arm"] == "holdout"} == held
    shown = next(decider.decide("headline", unit=f"unit-{i}") for i in held)
    assert (shown["reason"], shown["parameters"]) == ("holdout", ARMS["control"])
    assert shown["propensity"] == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("with_unit", [True, False])
def test_propensities_are_the_frequencies(with_unit: bool) -> None:
    people = 60_000
    decider, counts, stated = _decider(), Counter[str](), {}
    salt = hashlib.sha256(str(time.time_ns()).encode()).hexdigest()
    for i in range(people):
        unit = f"{salt}{i}" if with_unit else None
        found = decider.decide("headline", context={"device": "mobile", "daypart": "morning"}, unit=unit)
        counts[found["arm"]] += 1
        stated[found["arm"]] = found["propensity"]
    assert sum(stated.values()) == pytest.approx(1)
    for arm, p in stated.items():
        assert abs(counts[arm] / people - p) < BOUND * math.sqrt(p * (1 - p) / people), arm


def test_unknown_keys_are_dropped_and_unknown_values_are_other() -> None:
    decide = _decider().decide
    assert decide("headline", context={"device": "desktop", "shoe_size": 44}, unit="u")["cell"] == "desktop|other"
    for strange in ("tablet", "", "other", None, True, 3, 2.5, [], {}, "other|other"):
        assert decide("headline", context={"device": strange, "daypart": "evening"}, unit="u")["cell"] == "other|evening"
    assert decide("headline")["cell"] == "other|other"


def test_the_reason_says_where_the_weights_are_from() -> None:
    decide = _decider().decide
    reasons = {decide("headline", context={"device": "desktop"}, unit=f"u{i}")["reason"] for i in range(500)}
    assert reasons == {"weights", "holdout"}
    assert {decide("headline", unit=f"u{i}")["reason"] for i in range(500)} == {"default", "holdout"}


def test_an_answer_may_be_changed_without_changing_the_next() -> None:
    decider = _decider()
    decider.decide("headline", unit="u")["arm"] = "mine"
    assert decider.decide("headline", unit="u")["arm"] != "mine"


def test_an_unknown_policy_is_said_without_its_name() -> None:
    for question in ({"policy": "canary"}, {"zone": "canary"}, {}):
        with pytest.raises(UnknownPolicy) as caught:
            _decider().decide(**question)
        assert "canary" not in caught.value.diagnostics()


def test_how_many_decisions_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """Printed, not judged: speed is a benchmark's business."""
    decide, context = _decider().decide, {"device": "mobile", "daypart": "morning"}
    units = [f"unit-{i}" for i in range(100_000)]
    begun = time.perf_counter()
    for unit in units:
        decide("headline", context=context, unit=unit)
    spent = time.perf_counter() - begun
    with capsys.disabled():
        print(f"\ndecide: {len(units) / spent:,.0f} a second")
