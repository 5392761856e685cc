"""What is not in the expression language is refused with the path of the fault; what is, passes."""

from __future__ import annotations

from typing import Any

import pytest

from tacit.core.expressions import targeting_faults, trigger_faults

DEEP: Any = {"device": {"eq": "mobile"}}
for _ in range(8):
    DEEP = {"not": DEEP}


@pytest.mark.parametrize(
    ("expression", "path", "words"),
    [
        ("mobile", "", "one member"),
        ({}, "", "one member"),
        ({"device": {"eq": "a"}, "app": {"eq": "b"}}, "", "one member"),
        ({"all": []}, "all", "at least one"),
        ({"any": {"device": {"eq": "a"}}}, "any", "list"),
        ({"any": [{"device": {"eq": "a"}}, {"colour": {"eq": "b"}}]}, "any.1.colour", "not a declared context key"),
        ({"not": {"scroll_depth": {"gt": 5}}}, "not.scroll_depth", "not a declared context key"),
        ({"device": "mobile"}, "device", "object of comparisons"),
        ({"device": {}}, "device", "object of comparisons"),
        ({"device": {"regex": ".*"}}, "device.regex", "not an operator"),
        ({"device": {"eq": True}}, "device.eq", "text or a number"),
        ({"device": {"eq": None}}, "device.eq", "text or a number"),
        ({"device": {"eq": 1e-9}}, "device.eq", "text or a number"),
        ({"device": {"eq": "\ud800"}}, "device.eq", "text or a number"),
        ({"device": {"eq": "a" * 257}}, "device.eq", "text or a number"),
        ({"device": {"in": "mobile"}}, "device.in", "list of 1 to 1000"),
        ({"device": {"in": []}}, "device.in", "list of 1 to 1000"),
        ({"device": {"in": ["a", False]}}, "device.in", "list of 1 to 1000"),
        ({"device": {"gt": "3"}}, "device.gt", "a number"),
        ({"device": {"gt": 2**53}}, "device.gt", "a number"),
        ({"device": {"gt": 10**400}}, "device.gt", "a number"),
        ({"device": {"lt": float("nan")}}, "device.lt", "a number"),
        ({"device": {"between": [3, 1]}}, "device.between", "smaller one first"),
        ({"device": {"between": [1]}}, "device.between", "smaller one first"),
        ({"device": {"exists": "yes"}}, "device.exists", "true or false"),
        ({"device": {"starts_with": ""}}, "device.starts_with", "a text"),
        ({"device": {"version_ge": 2.1}}, "device.version_ge", "in quotes"),
        ({"device": {"version_ge": "2.1-beta"}}, "device.version_ge", "in quotes"),
        (DEEP, "not.not.not.not.not.not.not.not", "too large"),
        ({"any": [{"device": {"eq": "a"}}] * 200}, "any.199", "too large"),
    ],
)
def test_each_fault_of_a_targeting_rule_is_named_by_its_path(expression: object, path: str, words: str) -> None:
    (found,) = targeting_faults(expression, ("device", "app"))
    assert found.path == path
    assert words in found.detail


@pytest.mark.parametrize(
    ("expression", "path", "words"),
    [
        ({"device": {"eq": "mobile"}}, "device", "not a signal"),
        ({"scroll_depth": {"gt": "50"}}, "scroll_depth.gt", "a number"),
        ({"scroll_depth": {"starts_with": "5"}}, "scroll_depth.starts_with", "not an operator"),
        ({"exit_intent": {"eq": 1}}, "exit_intent.eq", "true or false"),
        ({"exit_intent": {"gt": 0}}, "exit_intent.gt", "not an operator"),
        ({"debounce_seconds": {"gt": 1}}, "debounce_seconds", "seconds above 0"),
        ({"debounce_seconds": 0}, "debounce_seconds", "seconds above 0"),
        ({"repeated": {"event": "filter", "times": 1, "within": "2m"}}, "repeated.times", "from 2"),
        ({"repeated": {"event": "filter", "times": 2, "within": 120}}, "repeated.within", "duration"),
        ({"repeated": {"times": 2, "within": "2m"}}, "repeated.event", "name of an event"),
        ({"repeated": {"event": "f", "field": "", "times": 2, "within": "2m"}}, "repeated.field", "name of a field"),
        ({"repeated": {"event": "f", "times": 2, "within": "2m", "since": 1}}, "repeated.since", "not known"),
        ({"repeated": 3}, "repeated", "object with"),
        ({"shown_times": {"most": 1, "within": "1d"}}, "shown_times", "either `policy` or `zone`"),
        ({"shown_times": {"policy": "a", "zone": "b", "most": 1, "within": "1d"}}, "shown_times", "either `policy` or `zone`"),
        ({"shown_times": {"policy": "a", "most": True, "within": "1d"}}, "shown_times.most", "from 1"),
    ],
)
def test_each_fault_of_a_trigger_is_named_by_its_path(expression: object, path: str, words: str) -> None:
    (found,) = trigger_faults(expression)
    assert found.path == path
    assert words in found.detail
