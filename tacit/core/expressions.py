"""The one expression language of targeting rules and triggers: which fields and operators there are, and what may stand beside each.

Only the shape is judged here, before anything runs, with the path of each fault; `adjust.expressions` evaluates what passed.
The whole language, for people and for other implementations, is in docs/evaluation.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

LARGEST: Final = 2**53 - 1
"""Numbers beyond this are not the same in every language (RFC 8259 section 6)."""

SMALLEST: Final = 1e-4
"""A number that is not whole and nearer to 0 than this has no text that every language writes alike."""

COMBINATORS: Final = ("all", "any", "not")

SEGMENT: Final = "segment"
"""With a text beside it, the name of a segment, which `tacit.core.segments` replaces by what it stands for."""

VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,5}", re.ASCII)
DURATION = re.compile(r"[1-9][0-9]{0,5}[smhd]", re.ASCII)

_EQUAL = ("eq", "ne", "in", "not_in", "exists")
_ORDER = ("gt", "ge", "lt", "le", "between")
_PARTS = ("starts_with", "ends_with", "contains")
_VERSIONS = ("version_eq", "version_gt", "version_ge", "version_lt", "version_le")

CONTEXT_OPERATORS: Final = (*_EQUAL, *_ORDER, *_PARTS, *_VERSIONS)
NUMBER_OPERATORS: Final = (*_EQUAL, *_ORDER)
FLAG_OPERATORS: Final = ("eq", "ne", "exists")

NUMBERS: Final = ("scroll_depth", "dwell_seconds", "hover_seconds", "cart_idle_seconds")
FLAGS: Final = ("exit_intent",)
SPECIAL: Final = ("repeated", "shown_times", "debounce_seconds")

DEPTH_LIMIT, NODE_LIMIT, LIST_LIMIT, TEXT_LIMIT = 8, 200, 1_000, 256


class Fault(NamedTuple):
    """What is wrong, and where: names and list positions joined by points, empty for the expression itself."""

    path: str
    detail: str


def targeting_faults(expression: object, context: Collection[str]) -> list[Fault]:
    """Faults of a targeting rule over the declared context keys; none if it can be used."""
    return list(_Check(context).node(expression, (), 1))


def trigger_faults(expression: object) -> list[Fault]:
    """Faults of a trigger over behaviour signals; none if it can be used."""
    return list(_Check(None).node(expression, (), 1))


_Path = tuple[str, ...]


class _Check:
    """One walk over an expression. `context` is None for a trigger."""

    def __init__(self, context: Collection[str] | None) -> None:
        self._context, self._nodes = context, 0

    def node(self, given: object, path: _Path, depth: int) -> Iterator[Fault]:
        self._nodes += 1
        if depth > DEPTH_LIMIT or self._nodes > NODE_LIMIT:
            yield _fault(path, f"is too large: at most {DEPTH_LIMIT} levels and {NODE_LIMIT} conditions")
            return
        if not isinstance(given, Mapping) or len(given) != 1:
            yield _fault(path, "must be an object with one member: `all`, `any`, `not` or a field")
            return
        ((name, inner),) = given.items()
        here = (*path, str(name))
        if name in ("all", "any"):
            if not isinstance(inner, list) or not inner:
                yield _fault(here, "needs a list of at least one condition")
                return
            for at, one in enumerate(inner):
                yield from self.node(one, (*here, str(at)), depth + 1)
        elif name == "not":
            yield from self.node(inner, here, depth + 1)
        elif self._context is not None and name == SEGMENT and isinstance(inner, str):
            yield _fault(here, "names no segment of the site")
        elif self._context is not None:
            known = name in self._context
            yield from (
                _comparisons(inner, here, CONTEXT_OPERATORS, _context_value)
                if known
                else [_fault(here, "is not a declared context key of the policy")]
            )
        elif name in NUMBERS:
            yield from _comparisons(inner, here, NUMBER_OPERATORS, _number_value)
        elif name in FLAGS:
            yield from _comparisons(inner, here, FLAG_OPERATORS, _flag_value)
        elif name in SPECIAL:
            yield from _special(str(name), inner, here)
        else:
            yield _fault(here, f"is not a signal: there are {', '.join((*NUMBERS, *FLAGS, *SPECIAL))}")


def _comparisons(given: object, path: _Path, operators: tuple[str, ...], problem_of: Any) -> Iterator[Fault]:
    if not isinstance(given, Mapping) or not given:
        yield _fault(path, f"needs an object of comparisons: {', '.join(operators)}")
        return
    for operator, value in given.items():
        here = (*path, str(operator))
        if operator not in operators:
            yield _fault(here, f"is not an operator of this field: there are {', '.join(operators)}")
        elif problem := problem_of(operator, value):
            yield _fault(here, problem)


def _context_value(operator: str, value: object) -> str:
    if operator in ("in", "not_in"):
        return _list_problem(value, _has_text, "texts or numbers")
    if operator in ("eq", "ne"):
        return "" if _has_text(value) else "needs a text or a number"
    if operator in _PARTS:
        return "" if isinstance(value, str) and value and _has_text(value) else "needs a text"
    if operator in _VERSIONS:
        return "" if isinstance(value, str) and VERSION.fullmatch(value) else 'needs a version in quotes, such as "2.10.3"'
    return _order_or_exists(operator, value)


def _number_value(operator: str, value: object) -> str:
    if operator in ("in", "not_in"):
        return _list_problem(value, is_number, "numbers")
    if operator in ("eq", "ne"):
        return "" if is_number(value) else "needs a number"
    return _order_or_exists(operator, value)


def _flag_value(_operator: str, value: object) -> str:
    return "" if isinstance(value, bool) else "needs true or false"


def _order_or_exists(operator: str, value: object) -> str:
    if operator == "exists":
        return "" if isinstance(value, bool) else "needs true or false"
    if operator == "between":
        fine = isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) and value[0] <= value[1]
        return "" if fine else "needs two numbers, the smaller one first"
    return "" if is_number(value) else "needs a number"


def _list_problem(value: object, fits: Any, what: str) -> str:
    fine = isinstance(value, list) and 1 <= len(value) <= LIST_LIMIT and all(map(fits, value))
    return "" if fine else f"needs a list of 1 to {LIST_LIMIT} {what}"


def _special(name: str, given: object, path: _Path) -> Iterator[Fault]:
    if name == "debounce_seconds":
        if not is_number(given) or not 0 < float(given) <= 3600:  # type: ignore[arg-type]
            yield _fault(path, "needs a number of seconds above 0 and at most 3600")
        return
    known = ("event", "field", "times", "within") if name == "repeated" else ("policy", "zone", "most", "within")
    if not isinstance(given, Mapping):
        yield _fault(path, f"needs an object with {', '.join(known)}")
        return
    for key in given:
        if key not in known:
            yield _fault((*path, str(key)), f"is not known here: there are {', '.join(known)}")
    if not isinstance(given.get("within"), str) or not DURATION.fullmatch(given["within"]):
        yield _fault((*path, "within"), "needs a duration: a whole number and s, m, h or d, such as 2m")
    if name == "repeated":
        if not _is_name(given.get("event")):
            yield _fault((*path, "event"), "needs the name of an event")
        if "field" in given and not _is_name(given["field"]):
            yield _fault((*path, "field"), "needs the name of a field")
        if not _is_count(given.get("times"), 2):
            yield _fault((*path, "times"), "needs a whole number from 2 to 1000")
        return
    named = [key for key in ("policy", "zone") if key in given]
    if len(named) != 1 or not _is_name(given[named[0]]):
        yield _fault(path, "needs either `policy` or `zone`, a name")
    if not _is_count(given.get("most"), 1):
        yield _fault((*path, "most"), "needs a whole number from 1 to 1000")


def is_number(value: object) -> bool:
    """Whether a value is a number that every language reads alike."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _has_text(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= TEXT_LIMIT and not any("\ud800" <= letter <= "\udfff" for letter in value)
    return is_number(value) and (float(value).is_integer() or abs(value) >= SMALLEST)  # type: ignore[arg-type]


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 64 and value.isascii() and value.isprintable()


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= 1_000


def _fault(path: _Path, detail: str) -> Fault:
    return Fault(".".join(path), detail)
