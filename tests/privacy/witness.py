"""Sees what the sanitisers of the state machine read, and knows what has to come out once it is published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from audit.log import Log
from ingest.secrets import Secrets
from privacy.ledger import Ledger
from privacy.models import Release, Window
from privacy.ports import Columns
from privacy.presence import PresenceBook
from privacy.releases import ReleaseStore
from privacy.service import Sanitiser
from tacit.core.clock import Clock
from tacit.core.declaration import Measure, PrivacyTerms, Site
from tacit.core.evidence import EvidenceLog
from tacit.core.rootkey import RootKey
from tests.privacy.declared import CELLS, CROWD, SPELLED, START, WORDS
from tests.privacy.homes import Home
from tests.privacy.world import WINDOW, MemorySource, Row

Exact = npt.NDArray[np.int64]


@dataclass
class Staged(MemorySource):
    """What is staged for both processes. Windows only ever go on, whatever the clock does."""

    reached_ms: int = START
    dead: set[Row] = field(default_factory=set)
    """Rows of people who withdrew."""

    @property
    def open_ms(self) -> int:
        """Start of the open window."""
        self.reached_ms = max(self.reached_ms, self.clock.now - self.clock.now % WINDOW)
        return self.reached_ms

    def closed(self, site: str, after_ms: int | None) -> list[Window]:
        start = self.first_ms if after_ms is None else after_ms
        return [Window(site, at, at + WINDOW, at) for at in range(start, self.open_ms, WINDOW)]

    @contextmanager
    def steady(self, window: Window, rows: Columns) -> Iterator[bool]:
        person = self.withdrawing.pop(window.start_ms, None)
        if person is not None:
            rows_here = self.rows.get(window.start_ms, [])
            self.dead |= {row for row in rows_here if row[0] // CROWD == person}
            self.rows[window.start_ms] = [row for row in rows_here if row not in self.dead]
        yield person is None


@dataclass
class Truth:
    """What was published, as it should be without noise, and who is in it; by window."""

    vectors: dict[int, dict[int, Exact]] = field(default_factory=dict)
    people: dict[int, dict[int, set[int]]] = field(default_factory=dict)


@dataclass
class Witness:
    """One process's view of what is staged. It notes what is read, and what has to come out once that is published."""

    source: Staged
    truth: Truth
    process: Process | None = None
    rows: list[Row] = field(default_factory=list)
    used: dict[tuple[int, int], int] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def closed(self, site: str, after_ms: int | None) -> list[Window]:
        epoch_ms = self.terms.epoch_ms
        return [replace(w, epoch_ms=w.start_ms - w.start_ms % epoch_ms) for w in self.source.closed(site, after_ms)]

    def contributions(self, window: Window) -> Columns:
        read = self.source.contributions(window)
        self.rows = list(self.source.rows.get(window.start_ms, []))
        return replace(read, names={WORDS.id: SPELLED})

    def published(self, window: Window) -> None:
        """Its releases came from what was read last."""
        assert self.process is not None
        assert not self.source.dead.intersection(self.rows), "somebody had withdrawn"
        expected = expected_of(self.rows, self.process.site.measures, self.used)
        self.truth.vectors[window.start_ms], self.truth.people[window.start_ms] = expected

    @property
    def terms(self) -> PrivacyTerms:
        assert self.process is not None
        return self.process.site.privacy


class NotedStore(ReleaseStore):
    """The real store; what it published is noted."""

    def __init__(self, engine: Engine, clock: Clock, witness: Witness) -> None:
        super().__init__(engine, clock)
        self._witness = witness

    def publish(self, releases: Sequence[Release], evidence: EvidenceLog, *, window: Window | None = None) -> bool:
        published = super().publish(releases, evidence, window=window)
        if published:
            assert window is not None
            self._witness.published(window)
        return published


class NotedBook(PresenceBook):
    """The real book; what it answered is noted."""

    def __init__(self, engine: Engine, witness: Witness) -> None:
        super().__init__(engine)
        self._witness = witness

    def others(self, window: Window, measures: Iterable[Measure]) -> dict[str, npt.NDArray[Any]]:
        used = super().others(window, measures)
        self._witness.used = Counter(zip(used["measure"].tolist(), used["p1"].tolist(), strict=True))
        return used


def expected_of(
    rows: Sequence[Row], measures: Sequence[Measure], used: Mapping[tuple[int, int], int]
) -> tuple[dict[int, Exact], dict[int, set[int]]]:
    """Bounding written down plainly: each person's rows in the order of `h`, so many a cell and so many altogether."""
    vectors = {m.id: np.zeros(CELLS if m.keys else m.length, dtype=np.int64) for m in measures}
    people = {m.id: set[int]() for m in measures}
    taken: Counter[tuple[int, int]] = Counter()
    in_cell: Counter[tuple[int, int, int]] = Counter()
    for person, _, _, identity, cell, value in sorted(rows, key=lambda r: (r[1], r[2])):
        measure = next((m for m in measures if m.id == identity), None)
        if measure is None or used.get((identity, person), 0) >= measure.bounds.windows:
            continue
        here = (identity, person, cell)
        if in_cell[here] < measure.bounds.per_cell and taken[here[:2]] < measure.bounds.per_window:
            in_cell[here] += 1
            taken[here[:2]] += 1
            vectors[identity][cell] += 1
            people[identity].add(person)
            if measure.value is not None:
                vectors[identity][measure.cells + cell] += min(max(value, measure.value.low), measure.value.high)
    return vectors, people


@dataclass
class Process:
    """One process: its declaration and its sanitiser."""

    site: Site
    sanitiser: Sanitiser
    evidence: Log


def process_in(home: Home, number: int, source: Staged, truth: Truth, site: Site) -> Process:
    intake, released = home.engines[number]
    clock, witness = source.clock, Witness(source, truth)
    releases, log = NotedStore(released, clock, witness), Log(released, clock)
    secrets = Secrets(home.custody, RootKey(b"r" * 32))
    sanitiser = Sanitiser(witness, NotedBook(intake, witness), Ledger(released, clock), releases, log, clock, secrets)
    witness.process = Process(site, sanitiser, log)
    return witness.process
