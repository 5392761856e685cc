"""A small real house around the sanitiser: an evidence log and an event source that keep everything in memory, a clock that stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine

from ingest.secrets import Secrets
from privacy import tables
from privacy.ledger import Ledger
from privacy.models import Window
from privacy.ports import COLUMNS, Columns, Contributions
from privacy.presence import PresenceBook
from privacy.releases import ReleaseStore
from privacy.service import Sanitiser
from tacit.core.db import connect, intake_metadata, released_metadata
from tacit.core.declaration import BLOCK, Bounds, Dimension, Kind, Measure, PrivacyTerms, Site, ValueRange
from tacit.core.errors import Problem
from tacit.core.evidence import Entry
from tacit.core.rootkey import RootKey

assert tables.epochs.metadata is released_metadata

WINDOW, EPOCH = 60_000, 240_000
Row = tuple[int, int, int, int, int, int]
"""person, order h, message, measure id, cell, value."""


@dataclass
class FixedClock:
    now: int = 0

    def now_ms(self) -> int:
        return self.now


class StagingBroken(Problem):
    type = "staging-corrupt"
    title = "Staging is corrupt"


@dataclass
class MemoryEvidence:
    """Keeps an entry only if its transaction was committed, which a later append of the same log finds out."""

    entries: list[Entry] = field(default_factory=list)

    def append(self, entries: Sequence[Entry], connection: Connection | None = None) -> list[int]:
        start = len(self.entries)
        self.entries.extend(entries)
        return list(range(start, len(self.entries)))

    def kinds(self) -> list[str]:
        return [e.kind for e in self.entries]


@dataclass
class MemorySource:
    """Every window from `first_ms` to the clock's grid point, with the rows that were put into it."""

    clock: FixedClock
    site: str = "shop"
    first_ms: int = 0
    rows: dict[int, list[Row]] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)
    withdrawing: dict[int, int] = field(default_factory=dict)
    """Who withdraws from a window after it was read and before it is published."""
    keys: set[int] = field(default_factory=set)
    ended: list[int] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)

    def put(self, start_ms: int, *rows: Row) -> None:
        self.rows.setdefault(start_ms, []).extend(rows)
        self.keys.add(start_ms)

    def closed(self, site: str, after_ms: int | None) -> list[Window]:
        start = self.first_ms if after_ms is None else after_ms
        end = self.clock.now - self.clock.now % WINDOW
        return [window(at) for at in range(start, end, WINDOW)]

    def contributions(self, window: Window) -> Contributions:
        self.reads.append(window.start_ms)
        if window.start_ms in self.broken:
            raise StagingBroken()
        return contributions(self.rows.get(window.start_ms, []))

    @contextmanager
    def steady(self, window: Window, rows: Columns) -> Iterator[bool]:
        person = self.withdrawing.pop(window.start_ms, None)
        if person is not None:
            self.rows[window.start_ms] = [row for row in self.rows[window.start_ms] if row[0] != person]
        yield person is None

    def forget(self, window: Window) -> bool:
        self.rows.pop(window.start_ms, None)
        had = window.start_ms in self.keys
        self.keys.discard(window.start_ms)
        return had

    def end_epoch(self, site: str, epoch_ms: int, end_ms: int) -> bool:
        self.ended.append(epoch_ms)
        return True

    def sweep(self, site: str, until_ms: int) -> None:
        """There are no keys here."""

    def cut(self, site: str) -> None:
        """Nothing is open here."""


def window(start_ms: int) -> Window:
    return Window("shop", start_ms, start_ms + WINDOW, start_ms - start_ms % EPOCH)


def contributions(rows: Sequence[Row]) -> Contributions:
    names = ("p1", "h", "m", "measure", "cell", "value")
    columns: Mapping[str, npt.NDArray[Any]] = {
        name: np.array([row[i] for row in rows], dtype=COLUMNS[name]) for i, name in enumerate(names)
    } | {"p2": np.zeros(len(rows), dtype=np.uint64)}
    return Contributions(columns)


def nobody() -> dict[str, npt.NDArray[Any]]:
    return {"measure": np.zeros(0, np.int64), "p1": np.zeros(0, np.uint64), "p2": np.zeros(0, np.uint64)}


def count(
    name: str = "pages",
    *,
    share: str = "0.5",
    cells: int = 3,
    bounds: Bounds | None = None,
    value: ValueRange | None = None,
    over_time: str = "none",
    block: int = BLOCK,
) -> Measure:
    return Measure(
        site="shop",
        name=name,
        kind=Kind.SUM if value else Kind.COUNT,
        event="page",
        purpose="measurement",
        dimensions=(Dimension("cell", tuple(f"c{i}" for i in range(cells)), closed=True),),
        share=Decimal(share),
        bounds=bounds or Bounds(),
        value=value,
        over_time=over_time,
        block=block,
    )


def shop(*measures: Measure, epsilon: str = "1", epoch_ms: int = EPOCH) -> Site:
    return Site("shop", PrivacyTerms(Decimal(epsilon), Decimal("1e-6"), epoch_ms, WINDOW), "eu", None, measures)


@dataclass
class World:
    intake: Engine
    released: Engine
    clock: FixedClock
    source: MemorySource
    evidence: MemoryEvidence
    releases: ReleaseStore
    ledger: Ledger
    sanitiser: Sanitiser
    secrets: Secrets

    def close_due(self, site: Site) -> None:
        for one in self.sanitiser.due(site.name):
            self.sanitiser.close(site, one)


def world(directory: Path) -> World:
    intake, released = connect(f"sqlite:///{directory / 'intake.db'}"), connect(f"sqlite:///{directory / 'released.db'}")
    intake_metadata.create_all(intake)
    released_metadata.create_all(released)
    clock = FixedClock()
    source, evidence = MemorySource(clock), MemoryEvidence()
    releases, ledger = ReleaseStore(released, clock), Ledger(released, clock)
    secrets = Secrets(directory / "custody", RootKey(b"r" * 32))
    sanitiser = Sanitiser(source, PresenceBook(intake), ledger, releases, evidence, clock, secrets)
    return World(intake, released, clock, source, evidence, releases, ledger, sanitiser, secrets)
