"""Closed windows for the sanitiser: what privacy's `EventSource` asks for, without importing it.

Rows of people who withdrew and of messages that an earlier window counted are left out here. Forgetting writes the list of seen messages
first, deletes the rows and destroys the key last, so that it can be repeated after a crash at any point.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection, Engine, delete, or_, select, text

from ingest import spelling
from ingest.custody import Custody
from ingest.errors import EpochKeyLost, StagingCorrupt
from ingest.rows import FIELDS
from ingest.seen import KEPT_MS
from ingest.staging import Staging
from ingest.tables import tombstones
from ingest.windows import Window
from tacit.core.clock import Clock
from tacit.core.db import empty_wal, reading, writing
from tacit.core.declaration import Declaration
from tacit.core.logs import Log

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LOOKED_UP_AT_ONCE = 64 * 2**20
"""Bytes of message hashes that are sorted together."""

_log = Log("staging")


class Span(Protocol):
    """A window as the sanitiser names it."""

    @property
    def site(self) -> str: ...
    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...
    @property
    def epoch_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """A window that has ended."""

    site: str
    start_ms: int
    end_ms: int
    epoch_ms: int


class Rows(Protocol):
    """Rows that `contributions` gave, as the sanitiser hands them back."""

    @property
    def columns(self) -> Mapping[str, npt.NDArray[Any]]: ...


@dataclass(frozen=True, slots=True)
class StagedRows:
    """The rows of one window, column by column, and the people who had withdrawn when they were read."""

    columns: Mapping[str, npt.NDArray[Any]]
    withdrawn: frozenset[bytes] = frozenset()
    names: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    """The texts that stand behind the numbers of undeclared values, by measure and number."""


class StagedSource:
    """The sanitiser's view of the staging area."""

    def __init__(self, staging: Staging, custody: Custody, engine: Engine, declaration: Declaration, clock: Clock) -> None:
        self._staging, self._custody, self._engine = staging, custody, engine
        self._declaration, self._clock = declaration, clock
        self._wal_is_kept = False

    def closed(self, site: str, after_ms: int | None) -> list[ClosedWindow]:
        """All windows that have ended, from the one that starts at `after_ms`, oldest first, those without events included."""
        terms = self._declaration.sites[site].privacy
        found = self._staging.book(site).closed(after_ms, self._clock.now_ms())
        return [ClosedWindow(site, w.start, w.end, terms.epoch_of(w.start)) for w in found]

    def contributions(self, window: Span) -> StagedRows:
        """The window's rows. Raises `StagingCorrupt`, `StorageUnavailable`."""
        import numpy as np

        rows = self._staging.read(window.site, Window(window.start_ms, window.end_ms))
        with reading(self._engine) as connection:
            withdrawn = _withdrawn(window, connection)
        if len(rows) and not self._has_key(window):
            rows = rows[:0]
        rows, names = _apart(rows)
        if len(rows):
            rows = rows[~self._seen(window, rows)]
            rows = rows[~_rows_of(withdrawn, rows["p1"], rows["p2"])]
        return StagedRows({name: np.ascontiguousarray(rows[name]) for name, _ in FIELDS}, withdrawn, names)

    @contextmanager
    def steady(self, window: Span, rows: Rows) -> Iterator[bool]:
        """Keep withdrawals waiting; whether nobody in these rows has withdrawn since they were read.

        What is published inside therefore stands before every withdrawal that is answered later. Raises `StorageUnavailable`.
        """
        before = rows.withdrawn if isinstance(rows, StagedRows) else frozenset()
        with writing(self._engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("lock table tombstones in share mode"))
            since = _withdrawn(window, connection) - before
            yield not _rows_of(since, rows.columns["p1"], rows.columns["p2"]).any()

    def forget(self, window: Span) -> bool:
        """Destroy the window's rows and key; whether a key was destroyed. Safe to repeat."""
        import numpy as np

        site, start_ms = window.site, window.start_ms
        try:
            rows, _ = _apart(self._staging.read(site, Window(start_ms, window.end_ms)))
            # Sorted by hand: np.unique hashes, and takes fourteen times as long for ten million random numbers.
            found = np.sort(rows["m"])
            messages = found[np.append(True, found[1:] != found[:-1])[: len(found)]].tobytes()
        except StagingCorrupt:
            messages = b""
        self._staging.seen.record(site, start_ms, messages)
        self._staging.seen.prune(site, window.end_ms - KEPT_MS)
        self._staging.drop(site, start_ms)
        return self._custody.destroy_window(site, start_ms)

    def end_epoch(self, site: str, epoch_ms: int, end_ms: int) -> bool:
        """Destroy the epoch's keys and what is left of it; whether a key was destroyed. Safe to repeat."""
        self._staging.seen.prune(site, end_ms)
        destroyed = self._custody.destroy_epoch(site, epoch_ms, end_ms)
        self._drop_tombstones(site, epoch_ms)  # after the key: until then a withdrawal may still add to them
        self._empty_wal()
        return destroyed

    def sweep(self, site: str, until_ms: int) -> None:
        """End every epoch that has a key and was over by `until_ms`, also where the declaration no longer knows it. Safe to repeat."""
        if self._wal_is_kept:
            self._empty_wal()
        terms, window = self._declaration.sites[site].privacy, self._staging.book(site).current()
        with reading(self._engine) as connection:
            live = self._custody.live_epochs(site, connection)
        for start_ms, end_ms in live:
            if end_ms <= until_ms:
                self.end_epoch(site, start_ms, end_ms)
            elif window is not None and start_ms > window.start and terms.span_of(start_ms) != (start_ms, end_ms):
                # Made ahead by a withdrawal for an epoch that will not come: left there, it would keep the one that does come from its key.
                self._custody.take_back(site, start_ms)
                self._drop_tombstones(site, start_ms)

    def cut(self, site: str) -> None:
        """Close the open window now."""
        self._staging.book(site).cut(self._clock.now_ms())

    def _drop_tombstones(self, site: str, epoch_ms: int) -> None:
        with writing(self._engine) as connection:
            connection.execute(delete(tombstones).where(tombstones.c.site == site, tombstones.c.epoch_ms == epoch_ms))

    def _empty_wal(self) -> None:
        """Let go of the pages that presence and tombstones of the epoch were deleted from. A reader may put it off to a later pass."""
        kept = not empty_wal(self._engine)
        if kept and not self._wal_is_kept:
            _log.warning("staging.wal_kept")
        self._wal_is_kept = kept

    def _has_key(self, window: Span) -> bool:
        """Rows whose epoch key is lost count as lost too: nobody could find a person's rows in them who withdraws."""
        try:
            end_ms = window.epoch_ms + self._declaration.sites[window.site].privacy.epoch_ms
            self._custody.epoch_secret(window.site, window.epoch_ms, end_ms)
        except EpochKeyLost:
            _log.warning("staging.epoch_key_lost", site=window.site)
            return False
        return True

    def _seen(self, window: Span, rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
        import numpy as np

        found = np.zeros(len(rows), dtype=bool)
        batch: list[bytes] = []
        for messages in chain(self._staging.seen.before(window.site, window.start_ms), (None,)):
            if messages is not None:
                batch.append(messages)
            if messages is None or sum(map(len, batch)) > _LOOKED_UP_AT_ONCE:
                found |= np.isin(rows["m"], np.frombuffer(b"".join(batch), dtype="<u8"))
                batch = []
        return found


def _apart(rows: npt.NDArray[np.void]) -> tuple[npt.NDArray[np.void], Mapping[int, Mapping[int, str]]]:
    """The rows that count, and what the others spell."""
    spelled = rows["measure"] < 0
    if not spelled.any():
        return rows, {}
    return rows[~spelled], spelling.read(rows[spelled].tobytes())


def _withdrawn(window: Span, connection: Connection) -> frozenset[bytes]:
    """People whose rows of this window are dead, by their 16 bytes; those differ from purpose to purpose."""
    query = select(tombstones.c.person).where(
        tombstones.c.site == window.site,
        tombstones.c.epoch_ms == window.epoch_ms,
        or_(tombstones.c.until_ms.is_(None), tombstones.c.until_ms > window.start_ms),
    )
    return frozenset(bytes(person) for person in connection.scalars(query))


def _rows_of(people: frozenset[bytes], p1: npt.NDArray[np.uint64], p2: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which rows belong to one of these people."""
    import numpy as np

    if not people or not len(p1):
        return np.zeros(len(p1), dtype=bool)
    found: npt.NDArray[np.bool_] = np.isin(p1, np.frombuffer(b"".join(people), dtype="<u8").reshape(-1, 2)[:, 0])
    for index in np.flatnonzero(found):  # few: half of the pseudonym agrees already
        found[index] = p1[index].tobytes() + p2[index].tobytes() in people
    return found
