"""Who was already counted in this epoch, in the intake vault, under pseudonyms whose key dies with the epoch.

The invariant: what is recorded for a window only grows until the epoch ends. A repeated or overtaken close may find fewer rows, and
must not make anybody countable again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from privacy.bounding import PERSON
from privacy.models import Window
from privacy.tables import presence
from tacit.core.db import reading, writing
from tacit.core.declaration import Measure


class PresenceBook:
    """Presence rows of all sites."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def others(self, window: Window, measures: Iterable[Measure]) -> dict[str, npt.NDArray[Any]]:
        """Columns measure, p1, p2: one row for each person and *other* window of the epoch in which the person was counted."""
        ids = [m.id for m in measures]
        query = select(presence.c.measure_id, presence.c.people).where(
            presence.c.site == window.site,
            presence.c.epoch_ms == window.epoch_ms,
            presence.c.window_ms != window.start_ms,
            presence.c.measure_id.in_(ids),
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        people = np.frombuffer(b"".join(r.people for r in rows), dtype=PERSON)
        counts = [len(r.people) // PERSON.itemsize for r in rows]
        owners = np.repeat(np.array([r.measure_id for r in rows], dtype=np.int64), counts)
        return {"measure": owners, "p1": np.ascontiguousarray(people["p1"]), "p2": np.ascontiguousarray(people["p2"])}

    def record(self, window: Window, people: Mapping[int, bytes]) -> None:
        """Add the people counted in a window, by measure id."""
        try:
            self._record(window, people)
        except IntegrityError:
            self._record(window, people)  # another process wrote the first row just now: merge with what it wrote

    def epochs(self, site: str) -> list[int]:
        """The epochs of which somebody is remembered."""
        with reading(self._engine) as connection:
            return list(connection.scalars(select(presence.c.epoch_ms).where(presence.c.site == site).distinct()))

    def end_epoch(self, site: str, epoch_ms: int) -> None:
        """Delete everything of an epoch."""
        with writing(self._engine) as connection:
            connection.execute(delete(presence).where(presence.c.site == site, presence.c.epoch_ms == epoch_ms))

    def _record(self, window: Window, people: Mapping[int, bytes]) -> None:
        with writing(self._engine) as connection:
            for measure_id, found in people.items():
                if found:
                    _add(connection, window, measure_id, found)


def _add(connection: Connection, window: Window, measure_id: int, people: bytes) -> None:
    key = {"site": window.site, "epoch_ms": window.epoch_ms, "measure_id": measure_id, "window_ms": window.start_ms}
    row = [presence.c[name] == value for name, value in key.items()]
    before = connection.scalar(select(presence.c.people).where(*row).with_for_update())
    if before is None:
        connection.execute(insert(presence).values(**key, people=people))
    elif before != people:
        both = np.frombuffer(before + people, dtype=PERSON)
        connection.execute(update(presence).where(*row).values(people=np.unique(both).tobytes()))
