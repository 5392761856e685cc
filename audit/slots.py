"""Scheduled slots: fixed moments in UTC, which of them are due, and which have been missed for too long to make up for."""

from __future__ import annotations

from dataclasses import dataclass

from tacit.core.declaration import AuditTerms


@dataclass(frozen=True, slots=True)
class Missed:
    """A run of slots that nobody will scan any more."""

    first: int
    last: int
    number: int


@dataclass(frozen=True, slots=True)
class Due:
    """What a schedule owes: the slots to scan, oldest first, and the run before them that is given up."""

    slots: tuple[int, ...] = ()
    skipped: Missed | None = None


def slot_at(terms: AuditTerms, at_ms: int) -> int:
    """The newest slot at a moment or before it.

    >>> slot_at(AuditTerms(schedule_ms=100, offset_ms=30), 129), slot_at(AuditTerms(schedule_ms=100, offset_ms=30), 130)
    (30, 130)
    """
    return at_ms - (at_ms - terms.offset_ms) % terms.schedule_ms


def due(terms: AuditTerms, *, after_ms: int, until_ms: int) -> Due:
    """The slots in `(after_ms, until_ms]`: the newest `catch_up` are to be scanned, all before them are skipped.

    >>> due(AuditTerms(schedule_ms=10, catch_up=2), after_ms=0, until_ms=45)
    Due(slots=(30, 40), skipped=Missed(first=10, last=20, number=2))
    """
    last, first = slot_at(terms, until_ms), slot_at(terms, after_ms) + terms.schedule_ms
    number = (last - first) // terms.schedule_ms + 1
    if number <= 0:
        return Due()
    kept = min(number, terms.catch_up)
    start = last - (kept - 1) * terms.schedule_ms
    slots = tuple(range(start, last + 1, terms.schedule_ms))
    return Due(slots, Missed(first, start - terms.schedule_ms, number - kept) if number > kept else None)
