"""Segments: targeting expressions that a site names once. Where a rule says `{"segment": name}` the expression is put in its place.

That happens when the file is read, or a version is drafted, so bundles and everything that evaluates them know nothing of segments.
A reference is told from a context key called `segment` by its value: a text, and not an object of comparisons.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from tacit.core.expressions import COMBINATORS, DEPTH_LIMIT, SEGMENT, Fault, targeting_faults

Segments = Mapping[str, Mapping[str, Any]]

CYCLE: Final = "leads back to itself"


def inlined(expression: Any, segments: Segments) -> Any:
    """The expression with every known segment in the place of its name; unknown names and cycles stay for the checks to refuse.

    >>> inlined({"not": {"segment": "dutch"}}, {"dutch": {"country": {"eq": "NL"}}})
    {'not': {'country': {'eq': 'NL'}}}
    """
    return _Inlining(segments).of(expression, (), 0)


def segment_faults(segments: Segments, context: Collection[str]) -> list[Fault]:
    """What is wrong with the segments themselves; `context` has the keys of all policies, since any of them may use a segment."""
    found = []
    for name, expression in segments.items():
        if name in _reached(name, segments):
            found.append(Fault(f"segments.{name}", CYCLE))
            continue
        below = [*reference_faults(expression, segments), *targeting_faults(inlined(expression, segments), context)]
        found += [Fault(".".join(part for part in (f"segments.{name}", fault.path) if part), fault.detail) for fault in below]
    return list(dict.fromkeys(found))


def reference_faults(expression: Any, segments: Segments, context: Collection[str] | None = None) -> list[Fault]:
    """References to segments that there are not and, with `context`, to ones that ask for keys which are not in it."""
    found = []
    for path, name in _references(expression, ()):
        if name not in segments:
            found.append(Fault(".".join(path), "names no segment of the site"))
        elif context is not None and (foreign := sorted(_asked(name, segments) - set(context))):
            found.append(Fault(".".join(path), f"names a segment that asks for {', '.join(foreign)}: no context of this policy"))
    return found


class _Inlining:
    """Each segment is expanded once and then shared, so that segments of segments cannot grow without bound."""

    def __init__(self, segments: Segments) -> None:
        self._segments, self._done = segments, dict[str, Any]()

    def of(self, given: Any, within: tuple[str, ...], depth: int) -> Any:
        if not isinstance(given, Mapping) or depth > DEPTH_LIMIT:
            return given
        if (name := _reference(given)) is not None:
            return given if name in within or name not in self._segments else self._segment(name, within)
        return {key: self._inner(key, value, within, depth + 1) for key, value in given.items()}

    def _inner(self, key: str, value: Any, within: tuple[str, ...], depth: int) -> Any:
        if key not in COMBINATORS:
            return value
        return [self.of(one, within, depth) for one in value] if isinstance(value, list) else self.of(value, within, depth)

    def _segment(self, name: str, within: tuple[str, ...]) -> Any:
        if name not in self._done:
            self._done[name] = self.of(self._segments[name], (*within, name), 0)
        return self._done[name]


def _reached(name: str, segments: Segments) -> set[str]:
    """The segments that a segment leads to; it is among them itself where it leads back."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        following = {other for _, other in _references(segments[waiting.pop()], ())} & set(segments)
        waiting += following - reached
        reached |= following
    return reached


def _asked(name: str, segments: Segments) -> set[str]:
    """The fields that a segment and those it leads to look at."""
    return set().union(*(_fields(segments[one], 0) for one in {name} | _reached(name, segments)))


def _references(given: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if not isinstance(given, Mapping) or len(path) > 2 * DEPTH_LIMIT:
        return
    if (name := _reference(given)) is not None:
        yield (*path, SEGMENT), name
        return
    for key in COMBINATORS:
        inner = given.get(key)
        for at, one in enumerate(inner) if isinstance(inner, list) else [(None, inner)]:
            yield from _references(one, (*path, key) if at is None else (*path, key, str(at)))


def _fields(given: Any, depth: int) -> set[str]:
    found: set[str] = set()
    if isinstance(given, Mapping) and depth <= DEPTH_LIMIT and _reference(given) is None:
        for key, inner in given.items():
            if key in COMBINATORS:
                found |= set().union(*(_fields(one, depth + 1) for one in (inner if isinstance(inner, list) else [inner])))
            else:
                found.add(str(key))
    return found


def _reference(given: Mapping[str, Any]) -> str | None:
    name = given.get(SEGMENT)
    return name if len(given) == 1 and isinstance(name, str) else None
