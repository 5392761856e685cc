"""The people who can lose most, as staged rows of eight windows in two epochs, and the crowd around them.

The person to be hidden is `ME`, in the first epoch. `AFTER` is the same person under the next epoch's pseudonym, and belongs to the crowd:
the unit that is hidden is a person's epoch. Everybody's order `h` depends on that person's own messages, as the door makes it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tacit.core.declaration import Bounds, Dimension, Kind, Measure, ValueRange
from tests.privacy.world import EPOCH, WINDOW, Row, count

WINDOWS = 2 * EPOCH // WINDOW
IN_EPOCH = EPOCH // WINDOW
CELLS = 4
ME, AFTER = 1, 2
LONELY = CELLS - 1
"""A cell that nobody of the crowd uses."""

Staged = list[list[Row]]
"""Rows by window."""

ONCE, THRICE = Bounds(windows=1, per_window=3, per_cell=2), Bounds(windows=3, per_window=3, per_cell=2)
SECONDS = ValueRange("seconds", 0, 120)


def _measure(name: str, bounds: Bounds, value: ValueRange | None = None, over_time: str = "none") -> Measure:
    return count(name, share="1", cells=CELLS, bounds=bounds, value=value, over_time=over_time, block=WINDOWS)


def _of_people() -> Measure:
    return replace(_measure("people", Bounds(per_window=2)), kind=Kind.PEOPLE)


def _of_steps() -> Measure:
    places = tuple(f"c{i}" for i in range(CELLS))
    ends = tuple(Dimension(end, places, closed=True) for end in ("from", "to"))
    return replace(_measure("steps", ONCE), kind=Kind.TRANSITIONS, dimensions=ends)


MEASURES = {
    m.name: m
    for m in (
        _measure("count", ONCE),
        _measure("count-thrice", THRICE),
        _measure("sum", ONCE, SECONDS),
        _measure("sum-thrice", THRICE, SECONDS),
        _measure("prefix", ONCE, over_time="prefix"),
        _measure("prefix-thrice", THRICE, over_time="prefix"),
        _measure("sum-prefix", ONCE, SECONDS, over_time="prefix"),
        _measure("sliding", ONCE, over_time="sliding:3"),
        _measure("sliding-thrice", THRICE, over_time="sliding:6"),
        _of_people(),
        _of_steps(),
    )
}
"""One of each mechanism and kind of bound. Each has the whole budget of its site."""


@dataclass(frozen=True, slots=True)
class Event:
    """One staged event of somebody, before it is a row of a measure."""

    window: int
    cell: int
    message: int
    value: int = SECONDS.high


def _fills_one_cell(windows: int) -> list[Event]:
    return [Event(0, 0, message) for message in range(10)]


def _fills_several_cells(windows: int) -> list[Event]:
    return [Event(0, message % 2, message) for message in range(10)]


def _in_every_window(windows: int) -> list[Event]:
    return [Event(window, message % 2, 100 * window + message) for window in range(IN_EPOCH) for message in range(6)]


def _late(windows: int) -> list[Event]:
    """First seen in the last windows of the epoch, where nothing can follow; correlated noise carries them into the next epoch."""
    return [Event(window, message % 2, 100 * window + message) for window in range(IN_EPOCH - windows, IN_EPOCH) for message in range(6)]


def _with_one_message_id(windows: int) -> list[Event]:
    return [Event(window, cell, 7) for window in range(IN_EPOCH) for cell in (0, 1, 0, 1)]


def _alone_in_a_cell(windows: int) -> list[Event]:
    return [Event(1, LONELY, message, SECONDS.low) for message in range(10)]


def _beyond_every_range(windows: int) -> list[Event]:
    values = (2**31 - 1, -(2**31))
    return [Event(2, cell, 10 * cell + i, value) for cell in (0, 1, CELLS, 2**32 - 1) for i, value in enumerate(values)]


PEOPLE: dict[str, Callable[[int], list[Event]]] = {
    "fills one cell": _fills_one_cell,
    "fills several cells": _fills_several_cells,
    "in every window": _in_every_window,
    "late, up to the epoch's end": _late,
    "one message id for everything": _with_one_message_id,
    "alone in a cell": _alone_in_a_cell,
    "beyond every range": _beyond_every_range,
}
"""What each of them sends in the first epoch, for a measure that counts a person in so many windows."""

NOTHING = {("steps", "one message id for everything")}
"""One message makes no step."""


def crowd() -> list[tuple[int, Event]]:
    """Thirty people of whom many exceed the bounds, some in every window, and `AFTER` from the second epoch's first window on."""
    chance = random.Random(5)
    found = []
    for person in range(10, 40):
        for window in chance.sample(range(WINDOWS), chance.choice((1, 2, WINDOWS))):
            for message in range(chance.choice((1, 2, 8))):
                found.append((person, Event(window, chance.randrange(LONELY), 100 * window + message, 30)))
    found += [(AFTER, Event(window, m % 2, 100 * window + m)) for window in (IN_EPOCH, IN_EPOCH + 1) for m in range(6)]
    return found


def staged(measures: Iterable[Measure], *events: tuple[int, Event], mine: Sequence[Event] = (), windows: int = WINDOWS) -> Staged:
    """Rows of these measures by window. Mine come first, so that whoever counts positions counts everybody else differently."""
    found: Staged = [[] for _ in range(windows)]
    for measure in measures:
        for person, event in [*((ME, event) for event in mine), *events]:
            found[event.window].append(row(person, measure, event))
    return found


def row(person: int, measure: Measure, event: Event) -> Row:
    """A staged row, its order a hash of the person's message in this window."""
    digest = hashlib.sha256(f"{person} {event.window} {event.message}".encode()).digest()
    return person, int.from_bytes(digest[:8], "little", signed=True), event.message, measure.id, event.cell, event.value
