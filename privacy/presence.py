"""Who was already counted in this epoch, in the intake vault, under pseudonyms whose key dies with the epoch.

The invariants: what is recorded for a window only grows until the epoch ends, since a repeated or overtaken close may find fewer rows and
must not make anybody countable again; and nobody is recorded on the strength of what was no longer true, so that two windows closed at
once do not both count a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, update

from privacy.bounding import PERSON
from privacy.errors import Overtaken
from privacy.models import Window
from privacy.tables import presence
from tacit.core.db import reading, writing
from tacit.core.declaration import Measure

State = frozenset[tuple[int, int, int]]
"""(measure, window, bytes of people) of an epoch's other windows. People are only ever added, so the same sizes are the same people."""


class PresenceBook:
    """Presence rows of all sites."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def others(self, window: Window, measures: Iterable[Measure]) -> dict[str, npt.NDArray[Any]]:
        """Columns measure, p1, p2: one row for each person and *other* window of the epoch in which the person was counted."""
        ids = [m.id for m in measures]
        query = select(presence.c.measure_id, presence.c.people).where(*_others(window), presence.c.measure_id.in_(ids))
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        people = np.frombuffer(b"".join(r.people for r in rows), dtype=PERSON)
        counts = [len(r.people) // PERSON.itemsize for r in rows]
        owners = np.repeat(np.array([r.measure_id for r in rows], dtype=np.int64), counts)
        return {"measure": owners, "p1": np.ascontiguousarray(people["p1"]), "p2": np.ascontiguousarray(people["p2"])}

    def state(self, window: Window) -> State:
        """Who was counted in the other windows, in short."""
        with reading(self._engine) as connection:
            return _state(connection, window)

    def record(self, window: Window, people: Mapping[int, bytes], *, seen: State) -> None:
        """Add the people counted in a window, by measure id. `seen` is the state before `others` was asked.

        Raises `Overtaken`, and nothing is recorded, where another window's people were added since: they may be the same.
        """
        with writing(self._engine) as connection:
            if connection.dialect.name == "postgresql":  # SQLite's writers take turns anyway
                connection.exec_driver_sql("lock table presence in share row exclusive mode")
            if _state(connection, window) != seen:
                raise Overtaken()
            for measure_id, found in people.items():
                if found:
                    _add(connection, window, measure_id, found)

    def epochs(self, site: str) -> list[int]:
        """The epochs of which somebody is remembered."""
        with reading(self._engine) as connection:
            return list(connection.scalars(select(presence.c.epoch_ms).where(presence.c.site == site).distinct()))

    def end_epoch(self, site: str, epoch_ms: int) -> None:
        """Delete everything of an epoch."""
        with writing(self._engine) as connection:
            connection.execute(delete(presence).where(presence.c.site == site, presence.c.epoch_ms == epoch_ms))


def _state(connection: Connection, window: Window) -> State:
    query = select(presence.c.measure_id, presence.c.window_ms, func.length(presence.c.people)).where(*_others(window))
    return frozenset((measure, window_ms, length) for measure, window_ms, length in connection.execute(query))


def _others(window: Window) -> list[ColumnElement[bool]]:
    return [presence.c.site == window.site, presence.c.epoch_ms == window.epoch_ms, presence.c.window_ms != window.start_ms]


def _add(connection: Connection, window: Window, measure_id: int, people: bytes) -> None:
    key = {"site": window.site, "epoch_ms": window.epoch_ms, "measure_id": measure_id, "window_ms": window.start_ms}
    row = [presence.c[name] == value for name, value in key.items()]
    before = connection.scalar(select(presence.c.people).where(*row))
    if before is None:
        connection.execute(insert(presence).values(**key, people=people))
    elif before != people:
        both = np.frombuffer(before + people, dtype=PERSON)
        connection.execute(update(presence).where(*row).values(people=np.unique(both).tobytes()))
