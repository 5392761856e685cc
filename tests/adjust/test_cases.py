"""Every vector of tests/cases, which the browser's evaluation has to reproduce as well; and that they are what their maker makes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adjust import expressions
from adjust.decide import Decider
from tacit.core.expressions import targeting_faults, trigger_faults
from tests.cases import make

PLACE = Path(make.__file__).parent
KINDS = {
    "targeting.json": (expressions.targeting, lambda one: targeting_faults(one, make.KEYS)),
    "triggers.json": (expressions.trigger, trigger_faults),
}


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PLACE / name).read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", make.FILES)
def test_the_vectors_are_what_the_plain_reading_of_the_specification_gives(name: str) -> None:
    assert (PLACE / name).read_text(encoding="utf-8") == make.text_of(make.FILES[name]()), "run python -m tests.cases.make"


@pytest.mark.parametrize("name", KINDS)
def test_expressions_hold_where_the_vectors_say(name: str) -> None:
    compile_, faults = KINDS[name]
    wrong = []
    for group in _read(name)["groups"]:
        for expression, expected in zip(group["expressions"], group["expected"], strict=True):
            assert faults(expression) == []
            test = compile_(expression)
            found = "".join("01"[test(fields)] for fields in group["fields"])
            wrong += [(expression, f, e) for f, a, e in zip(group["fields"], found, expected, strict=True) if a != e]
    assert wrong == []


def test_decisions_are_those_of_the_vectors() -> None:
    cases = _read("decisions.json")
    deciders = [Decider.from_bundle(cases["bundle"]), Decider.from_bundle(cases["bundle"])]
    for policy, zone, c, u, s, t, *expected in cases["rows"]:
        signals = None if s is None else cases["signals"][s]
        asked = {"zone": zone, "context": cases["contexts"][c], "unit": cases["units"][u], "signals": signals}
        found = deciders[0].decide(policy, **asked, now_ms=cases["moments_ms"][t])
        assert [found["policy"], found["arm"], found["cell"], found["reason"]] == expected[:4], (policy, zone, c, u, s, t)
        assert found["propensity"] == pytest.approx(expected[4], rel=1e-12), (policy, zone, c, u, s, t)
        assert ("counted" not in found) is (expected[3] in ("weights", "default", "holdout"))


def test_there_are_enough_vectors_and_every_reason_is_among_them() -> None:
    judged = [group["expected"] for name in KINDS for group in _read(name)["groups"]]
    rows = _read("decisions.json")["rows"]
    assert sum(len(text) for group in judged for text in group) + len(rows) >= 10_000
    counts = Counter(row[9] for row in rows)
    assert set(counts) == {
        *("killed", "paused", "not_started", "ended", "not_targeted", "not_triggered", "excluded", "not_rolled_out"),
        *("holdout", "weights", "default"),
    }
    assert min(counts.values()) >= 20
    ones = sum(text.count("1") for group in judged for text in group)
    assert 0.2 < ones / sum(len(text) for group in judged for text in group) < 0.8
    assert sum(path.stat().st_size for path in PLACE.glob("*.json")) < 4_000_000


HOSTILE: list[Any] = [None, True, 0, -0.0, 10**400, float("nan"), float("inf"), "", "\ud800", "9" * 5000, [], {}, [[]], object()]


@pytest.mark.parametrize("name", KINDS)
def test_evaluating_never_raises(name: str) -> None:
    compile_: Callable[..., Callable[[Mapping[str, Any]], bool]] = KINDS[name][0]
    fields = {*make.KEYS, "scroll_depth", "dwell_seconds", "exit_intent", "events", "shown", "quiet_seconds"}
    tests = [compile_(expression) for group in _read(name)["groups"] for expression in group["expressions"]]
    for value in HOSTILE:
        for given in (value, [value], [{"event": value, "ago_seconds": value}], [{"policy": "headline", "ago_seconds": value}]):
            for test in tests:
                assert test(dict.fromkeys(fields, given)) in (True, False)
