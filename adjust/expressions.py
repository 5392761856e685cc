"""Targeting rules and triggers as functions. Each is compiled once, when a bundle is taken; evaluating one never raises.

A field that is missing or not of the operator's type makes its comparison false (only `exists: false` is true then). What may stand in
an expression was judged by `tacit.core.expressions` before it came into a bundle.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adjust.values import number_of, text_of, version_of
from tacit.core.expressions import NUMBERS, is_number

Fields = Mapping[str, Any]
Test = Callable[[Fields], bool]
_Judge = Callable[[Any], bool]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {"gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def targeting(expression: Mapping[str, Any]) -> Test:
    """A rule over a request's context."""
    return _compile(expression, _context_field)


def trigger(expression: Mapping[str, Any]) -> Test:
    """A rule over behaviour signals."""
    return _compile(expression, _signal)


def _compile(expression: Mapping[str, Any], leaf: Callable[[str, Any], Test]) -> Test:
    ((name, inner),) = expression.items()
    if name == "not":
        return _negated(_compile(inner, leaf))
    if name in ("all", "any"):
        return _joined(name, [_compile(one, leaf) for one in inner])
    return leaf(name, inner)


def _negated(test: Test) -> Test:
    return lambda fields: not test(fields)


def _joined(name: str, tests: Sequence[Test]) -> Test:
    every = name == "all"

    def joined(fields: Fields) -> bool:
        for test in tests:
            if test(fields) is not every:
                return not every
        return every

    return joined


def _field(name: str, judges: Sequence[_Judge]) -> Test:
    def judged(fields: Fields) -> bool:
        value = fields.get(name)
        return all(judge(value) for judge in judges)

    return judged


def _context_field(name: str, comparisons: Mapping[str, Any]) -> Test:
    return _field(name, [_context_judge(op, value) for op, value in comparisons.items()])


def _signal(name: str, inner: Any) -> Test:
    match name:
        case "repeated":
            return _repeated(inner)
        case "shown_times":
            return _shown_times(inner)
        case "debounce_seconds":
            return _field("quiet_seconds", [_reading(_number, lambda value: value >= inner)])
        case _:
            read = _number if name in NUMBERS else _flag
            return _field(name, [_signal_judge(read, op, value) for op, value in inner.items()])


def _context_judge(op: str, wanted: Any) -> _Judge:
    if op in _ORDER or op == "between":
        return _reading(number_of, _ordered(op, wanted))
    if op.startswith("version_"):
        asked, compare = version_of(wanted), {**_ORDER, "eq": operator.eq}[op.removeprefix("version_")]
        return _reading(version_of, lambda value: compare(value, asked))
    match op:
        case "starts_with":
            return _reading(text_of, lambda value: value.startswith(wanted))
        case "ends_with":
            return _reading(text_of, lambda value: value.endswith(wanted))
        case "contains":
            return _reading(text_of, lambda value: wanted in value)
        case _:
            return _equal(text_of, op, wanted)


def _signal_judge(read: Callable[[Any], Any], op: str, wanted: Any) -> _Judge:
    if op in _ORDER or op == "between":
        return _reading(read, _ordered(op, wanted))
    return _equal(read, op, wanted)


def _ordered(op: str, wanted: Any) -> _Judge:
    if op == "between":
        low, high = wanted
        return lambda value: low <= value <= high
    compare = _ORDER[op]
    return lambda value: compare(value, wanted)


def _equal(read: Callable[[Any], Any], op: str, wanted: Any) -> _Judge:
    if op == "exists":
        return lambda value: (read(value) is not None) is wanted
    accepted = frozenset(read(one) for one in (wanted if op in ("in", "not_in") else [wanted]))
    inside = op in ("eq", "in")
    return _reading(read, lambda value: (value in accepted) is inside)


def _reading(read: Callable[[Any], Any], judge: _Judge) -> _Judge:
    """A judge of what was read; nothing readable is false."""

    def judged(value: Any) -> bool:
        found = read(value)
        return found is not None and judge(found)

    return judged


def _number(value: Any) -> float | None:
    """Signals are measured on the device, so a number is a number and never a text."""
    return value if is_number(value) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _repeated(asked: Mapping[str, Any]) -> Test:
    wanted = {key: asked[key] for key in ("event", "field") if key in asked}
    return _counting("events", wanted, asked["within"], lambda found: found >= asked["times"])


def _shown_times(asked: Mapping[str, Any]) -> Test:
    """A frequency cap: true as long as another showing stays within `most`."""
    wanted = {key: asked[key] for key in ("policy", "zone") if key in asked}
    return _counting("shown", wanted, asked["within"], lambda found: found < asked["most"])


def _counting(name: str, wanted: Mapping[str, str], within: str, enough: Callable[[int], bool]) -> Test:
    """How many entries of a signal's list have these members and are at most so old. What is not an entry is passed over."""
    oldest = int(within[:-1]) * _SECONDS[within[-1]]

    def counted(fields: Fields) -> bool:
        entries = fields.get(name)
        found = 0
        for entry in entries if isinstance(entries, list) else ():
            ago = _number(entry.get("ago_seconds")) if isinstance(entry, dict) else None
            if ago is not None and 0 <= ago <= oldest and all(_same_text(entry.get(key), value) for key, value in wanted.items()):
                found += 1
        return enough(found)

    return counted


def _same_text(given: Any, wanted: str) -> bool:
    return isinstance(given, str) and given == wanted
