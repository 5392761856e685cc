"""Writes the vectors of docs/evaluation.md, which every implementation has to reproduce: `python -m tests.cases.make`.

What is expected comes from `reference`, which is written for being read. The random numbers are the same in every run.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from tests.cases import reference

PLACE = Path(__file__).parent
KEYS = ("device", "country", "app", "age")
UNITS_TO_TRY = (
    "",
    "u",
    "reader@example.org",
    "ünïcode-Ω",
    "日本語",
    "🙂",
    "e\u0301",
    "\u00e9",
    "\ud83d",
    "a\0b",
    " spaced ",
    "\u200b",
    "a" * 200,
    "\U0001f469\u200d\U0001f680",
)

VALUES: tuple[Any, ...] = (
    "mobile", "desktop", "Mobile", "mobil", "", "other", "NL", "DE", "nl", "Ünder", "🙂a", "1", "2", "1.10", "1.9", "1.10.0", "2.0-beta",
    "01", "-1", "-0", "3e2", "1.", ".5", "44", "44.0", " 44", "１", 1, 2, 1.0, 2.5, -1, 0, -0.0, 44, 0.0001, 0.00009, 1e15,
    9007199254740991, 9007199254740993, 1e300, True, False, None, [], ["mobile"], {}, {"a": 1},
)  # fmt: skip

COMPARISONS: tuple[dict[str, Any], ...] = (
    {"eq": "mobile"}, {"eq": "1"}, {"eq": 1}, {"eq": 2.5}, {"eq": "🙂a"}, {"eq": ""}, {"ne": "mobile"}, {"ne": 44},
    {"in": ["mobile", "NL", 44]}, {"in": [0]}, {"not_in": ["mobile", 1, "2"]}, {"gt": 1}, {"gt": -1}, {"ge": 1}, {"ge": 44},
    {"lt": 2}, {"lt": 0}, {"le": 1}, {"le": -1},
    {"between": [1, 44]}, {"between": [0, 0]}, {"between": [-1, 1.5]}, {"exists": True}, {"exists": False}, {"starts_with": "mob"},
    {"starts_with": "🙂"}, {"starts_with": "1"}, {"ends_with": "ile"}, {"ends_with": "0"}, {"contains": "o"}, {"contains": "."},
    {"version_eq": "1.10"}, {"version_gt": "1.9"}, {"version_ge": "1.10"}, {"version_lt": "1.10"}, {"version_le": "1.10.0"},
    {"version_ge": "2"}, {"gt": 0, "lt": 2}, {"exists": True, "ne": "mobile"}, {"starts_with": "1", "version_ge": "1.10"},
)  # fmt: skip

SIGNAL_TESTS: tuple[dict[str, Any], ...] = (
    {"scroll_depth": {"gt": 50}}, {"scroll_depth": {"between": [25, 75]}}, {"scroll_depth": {"eq": 50}}, {"scroll_depth": {"ne": 50}},
    {"scroll_depth": {"in": [0, 50, 100]}}, {"scroll_depth": {"not_in": [50]}}, {"scroll_depth": {"exists": False}},
    {"dwell_seconds": {"lt": 3}}, {"dwell_seconds": {"ge": 3, "lt": 60}},
    {"hover_seconds": {"ge": 1.5}}, {"cart_idle_seconds": {"gt": 120}},
       {"cart_idle_seconds": {"exists": True, "le": 600}}, {"exit_intent": {"eq": True}}, {"exit_intent": {"ne": True}},
    {"exit_intent": {"exists": False}}, {"repeated": {"event": "filter", "field": "size", "times": 3, "within": "2m"}},
    {"repeated": {"event": "filter", "times": 2, "within": "30s"}}, {"repeated": {"event": "cart", "times": 2, "within": "1h"}},
    {"shown_times": {"policy": "headline", "most": 2, "within": "1d"}}, {"shown_times": {"zone": "shop.help", "most": 1, "within": "1h"}},
    {"debounce_seconds": 2}, {"debounce_seconds": 0.5},
)  # fmt: skip


def targeting() -> dict[str, Any]:
    """Every value against every comparison, and random rules against random contexts."""
    random = Random(1)
    singles = [{"device": value} for value in VALUES] + [{}]
    groups = [{"expressions": [{"device": one} for one in COMPARISONS], "fields": singles}]
    rules = [_rule(random, lambda: {random.choice(KEYS): random.choice(COMPARISONS)}, 3) for _ in range(60)]
    contexts = [{key: random.choice(VALUES) for key in KEYS if random.random() < 0.8} for _ in range(80)]
    groups.append({"expressions": rules, "fields": contexts})
    return _judged(groups, reference.targeted)


def triggers() -> dict[str, Any]:
    """Every signal alone and joined, against random behaviour."""
    random = Random(2)
    behaviour = [_behaviour(random) for _ in range(70)]
    rules = [*SIGNAL_TESTS, *(_rule(random, lambda: random.choice(SIGNAL_TESTS), 3) for _ in range(40))]
    rules.append({"any": [{"scroll_depth": {"gt": 50}}, {"dwell_seconds": {"lt": 3}}]})
    return _judged([{"expressions": rules, "fields": behaviour}], reference.triggered)


def decisions() -> dict[str, Any]:
    """Whole decisions of a bundle in which every gate stands, alone and with others."""
    random = Random(3)
    bundle = _bundle(random)
    units = [
        *UNITS_TO_TRY,
        *(f"unit-{i}" for i in range(60)),
        *("".join(chr(random.choice(ALPHABET)) for _ in range(9)) for _ in range(40)),
    ]
    contexts = [{key: random.choice(VALUES[:32]) for key in ("device", "app") if random.random() < 0.8} for _ in range(40)]
    contexts += [{"device": d, "app": a} for d in ("mobile", "desktop") for a in ("1", "2")] * 8
    signals = [_behaviour(random) for _ in range(30)]
    moments = [1_795_000_000_000, 1_796_083_199_999, 1_796_083_200_000, 1_797_000_000_000, 1_798_761_599_999, 1_798_761_600_000]
    asked = [{"policy": name} for name in bundle["policies"]] + [{"zone": "shop"}, {"zone": "front"}]
    rows = []
    for about in asked:
        for _ in range(220):
            c, u = random.randrange(len(contexts)), random.randrange(len(units))
            s, t = random.choice([None, random.randrange(len(signals))]), random.randrange(len(moments))
            given = None if s is None else signals[s]
            found = reference.decide(bundle, {**about, "context": contexts[c], "unit": units[u], "signals": given, "now_ms": moments[t]})
            expected = [found["policy"], found["arm"], found["cell"], found["reason"], found["propensity"]]
            rows.append([about.get("policy"), about.get("zone"), c, u, s, t, *expected])
    return {
        "about": "A row: policy or null, zone or null, index of context, unit, signals (null: none were given) and moment; then the "
        "policy, arm, cell, reason and propensity that are expected. `bundle` is a payload, its signature checked already.",
        "bundle": bundle,
        "contexts": contexts,
        "units": units,
        "signals": signals,
        "moments_ms": moments,
        "rows": rows,
    }


ALPHABET = [*range(32, 127), 0xE9, 0x416, 0x4E2D, 0x1F642, 0xFFFD, 0x10FFFF, 0x301]


def _bundle(random: Random) -> dict[str, Any]:
    policies: dict[str, Any] = {"plain": _entry(random)}
    changes: dict[str, dict[str, Any]] = {
        "killed": {"kill": True, "state": "paused"},
        "paused": {"state": "paused", "schedule": {"start": "2027-01-01T00:00:00.000Z", "stop": None}},
        "draft": {"state": "draft"},
        "planned": {"schedule": {"start": "2026-12-01T00:00:00.000Z", "stop": "2027-01-01T00:00:00.000Z"}},
        "open_end": {"schedule": {"start": "2026-12-01T00:00:00.000Z", "stop": None}, "rollout": 0.5},
        "targeted": {"targeting": {"any": [{"device": {"eq": "mobile"}}, {"app": {"version_ge": "1.10"}}]}},
        "triggered": {"trigger": {"any": [{"scroll_depth": {"gt": 50}}, {"dwell_seconds": {"lt": 3}}]}},
        "rolled": {"rollout": 0.25},
        "nobody": {"rollout": 0},
        "first_half": {"namespace": {"name": "front", "from": 0, "to": 0.5}},
        "second_half": {"namespace": {"name": "front", "from": 0.5, "to": 1}},
        "no_holdout": {"holdouts": [], "holdout": 0},
        "held_much": {"holdouts": [{"name": "everybody", "share": 0.3}, {"name": "held_much", "share": 0.5}]},
        "one_arm": {"weights": {}, "default": [0, 65535, 65535]},
        "everything": {
            "targeting": {"not": {"device": {"eq": "desktop"}}},
            "trigger": {"not": {"exit_intent": {"eq": True}}},
            "rollout": 0.8,
            "namespace": {"name": "everything", "from": 0.1, "to": 0.9},
            "schedule": {"start": None, "stop": "2027-01-01T00:00:00.000Z"},
        },
    }
    for name, change in changes.items():
        policies[name] = _entry(random) | change
    for name in ("first_half", "second_half", "targeted", "everything"):
        policies[name]["zone"] = "shop"
    for name in ("planned", "plain"):
        policies[name]["zone"] = "front"
    for name, entry in policies.items():
        if not name.startswith(("no_", "held_")):
            entry["holdouts"] = [{"name": "everybody", "share": 0.02}, {"name": name, "share": 0.05}]
    return {"site": "newsroom", "version": 7, "salt": "0123456789abcdef", "releases": [], "policies": dict(sorted(policies.items()))}


def _entry(random: Random) -> dict[str, Any]:
    cells = [f"{d}|{a}" for d in ("mobile", "desktop", "other") for a in ("1", "2", "other")]
    return {
        "zone": f"zone-{random.randrange(10**6)}",
        "arms": {"control": {"scale": 1.0}, "larger": {"scale": 1.1}, "largest": {"scale": 1.2}},
        "order": {"arms": ["control", "larger", "largest"], "context": ["device", "app"]},
        "context": {"device": ["mobile", "desktop"], "app": ["1", "2"]},
        "weights": {cell: _cumulative(random) for cell in cells if random.random() < 0.5},
        "default": _cumulative(random),
        "trigger": None,
        "targeting": None,
        "rollout": 1,
        "namespace": None,
        "holdout": 0.05,
        "explore": 0.03,
        "windows": 0,
        "schedule": None,
        "state": "running",
        "kill": False,
        "revision": 1,
    }


def _cumulative(random: Random) -> list[int]:
    return [*sorted(random.choice([0, random.randrange(65536), 65535]) for _ in range(2)), 65535]


def _rule(random: Random, leaf: Any, depth: int) -> dict[str, Any]:
    name = random.choice(["all", "any", "not", "leaf"]) if depth else "leaf"
    if name == "leaf":
        return dict(leaf())
    if name == "not":
        return {"not": _rule(random, leaf, depth - 1)}
    return {name: [_rule(random, leaf, depth - 1) for _ in range(random.randrange(1, 4))]}


def _behaviour(random: Random) -> dict[str, Any]:
    odd: list[Any] = ["50", None, True, [], {}]
    found: dict[str, Any] = {}
    for name, values in {
        "scroll_depth": [0, 25, 50, 50.5, 75, 100],
        "dwell_seconds": [0, 2.9, 3, 59.9, 60],
        "hover_seconds": [0, 1.4, 1.5, 9],
        "cart_idle_seconds": [0, 120, 121, 600, 601],
        "exit_intent": [True, False, 1],
        "quiet_seconds": [0, 0.5, 1.9, 2, 30],
    }.items():
        if random.random() < 0.7:
            found[name] = random.choice(odd if random.random() < 0.15 else values)
    names = {"events": [("event", ["filter", "cart", "page"]), ("field", ["size", "colour"])]}
    names["shown"] = [("policy", ["headline", "help"]), ("zone", ["shop.help", "front"])]
    for name, members in names.items():
        if random.random() < 0.8:
            found[name] = [_entry_of(random, members) for _ in range(random.randrange(7))]
    return found


def _entry_of(random: Random, members: list[tuple[str, list[str]]]) -> Any:
    if random.random() < 0.05:
        return random.choice(["filter", None, 3, {"event": "filter"}, {"event": "filter", "field": "size", "ago_seconds": "1"}])
    made: dict[str, Any] = {name: random.choice(values) for name, values in members if random.random() < 0.9}
    return made | {"ago_seconds": random.choice([0, 5, 30, 30.5, 120, 121, 3600, 86_400, 86_401, -1])}


def _judged(groups: list[dict[str, Any]], holds: Any) -> dict[str, Any]:
    for group in groups:
        group["expected"] = ["".join("01"[holds(one, fields)] for fields in group["fields"]) for one in group["expressions"]]
    about = "`expected` has a text for each expression, with a digit for each of `fields`: 1 where the expression holds."
    return {"about": about, "groups": groups}


FILES = {"targeting.json": targeting, "triggers.json": triggers, "decisions.json": decisions}


def text_of(content: dict[str, Any]) -> str:
    """One line for each member of a list, so that a change can be read."""
    return json.dumps(content, ensure_ascii=True, separators=(",", ":"), allow_nan=False).replace("],[", "],\n[") + "\n"


if __name__ == "__main__":
    for name, make in FILES.items():
        (PLACE / name).write_text(text_of(make()), encoding="utf-8")
