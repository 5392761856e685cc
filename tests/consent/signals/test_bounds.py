"""Hostile inputs are answered within bounds of memory and of output. How long they take is in the benchmark."""

from __future__ import annotations

import json
import tracemalloc
from random import Random
from typing import Any

import pytest

from consent.signals import answers
from consent.signals.bits import MAX_CHARACTERS, MAX_RANGES
from tests.consent.signals.hostile import hostile

NOW_MS = 1_795_478_400_000
INPUTS = dict(hostile(Random(20261124)))
REFUSED = {
    "full singles three times": "too_many_ranges",
    "alternating vendors three times": "too_many_ranges",
    "4,095 times all vendors": "bad_range",
    "4,095 restrictions": "duplicate_restriction",
    "Europe's and Canada's at once": "too_many_ranges",
    "a header that lists 4 billion sections": "bad_range",
    "a header that lists 65,535 sections": "unknown_section",
    "a header without an end": "bad_range",
    "64 KiB of noise behind a section": "unknown_version",
}
ACCEPTED = {
    "full ranges twice",
    "full singles twice",
    "full bit fields twice",
    "wide bit fields three times",
    "72 restrictions of 113 vendors",
    "72 restrictions of all vendors",
    "Canada's full ranges twice",
}


def ranges_in(value: Any) -> int:
    """How many pairs an answer has."""
    if isinstance(value, dict):
        return sum(ranges_in(one) for one in value.values())
    if isinstance(value, list):
        return 1 if len(value) == 2 and all(isinstance(one, int) for one in value) else sum(ranges_in(one) for one in value)
    return 0


@pytest.mark.parametrize("name", INPUTS)
def test_a_hostile_input_is_answered_within_bounds(name: str) -> None:
    asked = INPUTS[name]
    assert len(next(iter(asked.values()))) <= MAX_CHARACTERS
    tracemalloc.start()
    answer = json.loads(json.dumps(answers.answer(asked, now_ms=NOW_MS)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20
    assert ranges_in(answer) <= MAX_RANGES
    if name in ACCEPTED:
        assert answer["ok"], answer
    else:
        assert answer["code"] == REFUSED.get(name, answer["code"])


def test_every_named_input_exists() -> None:
    assert INPUTS.keys() >= REFUSED.keys() | ACCEPTED
