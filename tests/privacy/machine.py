"""A machine that lets two sanitisers on the same databases meet everything that may happen to them, and knows what must come out.

The databases, the ledger, the releases, the presence, the blocks and the evidence log are the real ones; events come from memory. A person
is a crowd of ten here, and epsilon is so large that noise does not hide a crowd: what is read must be the truth within 8 of its stated
standard deviations, which fails by chance with a probability below 1e-13 for each number.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Engine, delete, select

from audit.log import Log
from audit.tables import evidence
from ingest.secrets import FOLDER, Secrets
from privacy import accounting, series, tables
from privacy.bounding import PERSON
from privacy.errors import EpochEnded
from privacy.ledger import Ledger
from privacy.models import ATTO, Release, Window
from privacy.ports import Columns
from privacy.presence import PresenceBook
from privacy.releases import FAILED, FINISHED, PUBLISHED, ReleaseStore
from privacy.service import Sanitiser
from tacit.core.clock import Clock
from tacit.core.db import connect, intake_metadata, reading, released_metadata, writing
from tacit.core.declaration import Bounds, Keys, Kind, Measure, PrivacyTerms, Site, ValueRange
from tacit.core.evidence import EvidenceLog
from tacit.core.rootkey import RootKey
from tests.privacy.interruptions import BLOCK_STEPS, STEPS, Killed, dying_in, met_in
from tests.privacy.world import WINDOW, FixedClock, MemorySource, Row, count

CROWD, PEOPLE, CELLS = 10, 5, 3
LIMIT = 8.0
EPOCHS = (4 * WINDOW, 2 * WINDOW, 8 * WINDOW)
START = 800 * WINDOW

PAGES = count("pages", share="0.15", bounds=Bounds(per_window=2))
OFTEN = count("often", share="0.25", bounds=Bounds(windows=2))
PREFIX = count("prefix", share="0.2", over_time="prefix", block=3)
TWICE = count("twice", share="0.15", over_time="prefix", block=4, bounds=Bounds(windows=2))
DWELL = count("dwell", share="0.25", over_time="sliding:2", block=6, value=ValueRange("seconds", 0, 9))
DEARER = replace(PAGES, share=Decimal("0.25"))
LONGER = replace(PREFIX, block=5)
WORDS = replace(count("words", share="0.05"), kind=Kind.KEYS, dimensions=(), keys=Keys("word", Decimal("0.2")))
SETS: Sequence[tuple[Measure, ...]] = (
    (PAGES, OFTEN, PREFIX, TWICE, DWELL),
    (DEARER, OFTEN, PREFIX, DWELL, WORDS),
    (PAGES, LONGER, TWICE, DWELL),
    (PREFIX, DWELL),
)
ALL = {m.id: m for measures in SETS for m in measures}
SPELLED = {cell: f"word {cell}" for cell in range(CELLS)}

CRASHES = [*STEPS, *BLOCK_STEPS, ("releases", "fail"), ("evidence", "append"), ("releases", "of_window")]
MEETINGS = [step for step in CRASHES if step[0] != "evidence"]  # in the middle of a transaction nobody else can act

NUMBER = st.integers(0, 1)
Exact = npt.NDArray[np.int64]


def site_of(measures: tuple[Measure, ...], epsilon: str, epoch_ms: int) -> Site:
    return Site("shop", PrivacyTerms(Decimal(epsilon), Decimal("1e-6"), epoch_ms, WINDOW), "eu", None, measures)


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
class Home:
    """Databases and a custody directory that the examples of one run take over from each other, emptied."""

    urls: tuple[str, str]
    custody: Path
    engines: list[tuple[Engine, Engine]] = field(default_factory=list)

    def open(self) -> None:
        """Make the tables, and two processes' connections."""
        self.engines = [(connect(self.urls[0]), connect(self.urls[1])) for _ in range(2)]
        intake_metadata.create_all(self.engines[0][0])
        released_metadata.create_all(self.engines[0][1])

    def close(self) -> None:
        for pair in self.engines:
            for engine in pair:
                engine.dispose()

    def empty(self) -> None:
        for engine, metadata in zip(self.engines[0], (intake_metadata, released_metadata), strict=True):
            with writing(engine) as connection:
                for table in metadata.sorted_tables:
                    connection.execute(delete(table))
        shutil.rmtree(self.custody, ignore_errors=True)


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


@dataclass
class Seen:
    """What was there before, and must not change."""

    promises: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    releases: dict[str, tuple[str, str]] = field(default_factory=dict)
    ended: dict[int, set[str]] = field(default_factory=dict)
    people: dict[tuple[int, int], set[int]] = field(default_factory=dict)


class Closing(RuleBasedStateMachine):
    """Windows are filled, closed, interrupted and repaired. `home` is given by a subclass."""

    home: ClassVar[Home]

    def __init__(self) -> None:
        super().__init__()
        self.home.empty()
        self.clock = FixedClock(START)
        self.staged = Staged(self.clock, first_ms=START)
        self.truth, self.seen = Truth(), Seen()
        site = site_of(SETS[0], "200", EPOCHS[0])
        self.processes = [process_in(self.home, number, self.staged, self.truth, site) for number in range(2)]
        self.messages = 0
        self.changed = False
        self.sound = True

    # What people and operators do.

    @rule(
        visits=st.lists(
            st.tuples(
                st.integers(0, PEOPLE - 1),
                st.integers(0, len(ALL) - 1),
                st.integers(0, CELLS - 1),
                st.integers(0, 12),
                st.integers(-9, 9),
            ),
            min_size=1,
            max_size=6,
        ),
        late=st.sampled_from([0, 0, 0, 1, 2]),
    )
    def people_come(self, visits: list[tuple[int, int, int, int, int]], late: int) -> None:
        """`late` is how many windows ago; what comes to a window that was published must change nothing."""
        at = max(START, self.staged.open_ms - late * WINDOW)
        for person, measure, cell, value, h in visits:
            self.messages += 1
            chosen = list(ALL.values())[measure]
            last = 0 if chosen.keys else value  # of an undeclared key it is a part
            self.staged.put(at, *[(person * CROWD + n, h, self.messages, chosen.id, cell, last) for n in range(CROWD)])

    @rule(windows=st.sampled_from([0.5, 1, 1, 1, 1, 2, 2, 6, -3]))
    def time_goes_on(self, windows: float) -> None:
        """Also over whole epochs at once, and back."""
        self.clock.now = max(START, self.clock.now + int(windows * WINDOW))

    @rule(number=NUMBER, measures=st.integers(0, len(SETS) - 1), epsilon=st.sampled_from(["200", "150"]), epoch=st.sampled_from(EPOCHS))
    def declaration_changes(self, number: int, measures: int, epsilon: str, epoch: int) -> None:
        """In one process, as in a rolling restart: the other one may still work with its own."""
        self.processes[number].site = site_of(SETS[measures], epsilon, epoch)

    @rule(person=st.integers(0, PEOPLE - 1), late=st.integers(0, 2))
    def somebody_withdraws(self, person: int, late: int) -> None:
        """Just when the window has been counted."""
        self.staged.withdrawing[max(START, self.staged.open_ms - late * WINDOW)] = person

    @rule()
    def secrets_are_lost(self) -> None:
        for path in self._secret_files():
            path.unlink()

    @rule(late=st.integers(0, 2))
    def staging_breaks(self, late: int) -> None:
        self.staged.broken.add(max(START, self.staged.open_ms - late * WINDOW))

    # What sanitisers do.

    @rule(number=NUMBER)
    def what_is_due_is_closed(self, number: int) -> None:
        self._close_due(number)

    @rule(number=NUMBER, at=st.sampled_from(CRASHES), after=st.booleans())
    def a_sanitiser_dies(self, number: int, at: tuple[str, str], after: bool) -> None:
        process = self.processes[number]
        target = self._next(number)
        if target is not None:
            self._close(dying_in(process.sanitiser, *at, after=after), process.site, target)

    @rule(number=NUMBER, at=st.sampled_from(MEETINGS), death=st.none() | st.sampled_from(CRASHES))
    def two_sanitisers_meet(self, number: int, at: tuple[str, str], death: tuple[str, str] | None) -> None:
        """One closes a window, the other one everything that is due, in the middle of it; then the first may die as well."""
        process = self.processes[number]
        target = self._next(number)
        if target is not None:
            mortal = process.sanitiser if death is None else dying_in(process.sanitiser, *death, after=True)
            self._close(met_in(mortal, *at, lambda: self._close_due(1 - number)), process.site, target, met=True)

    @precondition(lambda self: self.staged.broken)
    @rule(number=NUMBER, at=st.none() | st.just(("presence", "record")) | st.sampled_from(MEETINGS))
    def staging_is_repaired(self, number: int, at: tuple[str, str] | None) -> None:
        """And what failed is closed again; the other process may close what is due in the middle of it."""
        self.staged.broken.clear()
        process = self.processes[number]
        for window in self._failed():
            met = met_in(process.sanitiser, *at, lambda: self._close_due(1 - number)) if at else process.sanitiser
            self._close(met, process.site, window, met=True)

    def _next(self, number: int) -> Window | None:
        due = self.processes[number].sanitiser.due("shop")
        return due[0] if due else next(iter(self._failed()), None)

    def _close_due(self, number: int) -> None:
        process = self.processes[number]
        for window in process.sanitiser.due("shop"):
            self._close(process.sanitiser, process.site, window)

    def _close(self, sanitiser: Sanitiser, site: Site, window: Window, *, met: bool = False) -> None:
        """Close a window; that it is too late for its epoch is an answer only for a repair, or where somebody else ended it meanwhile."""
        self.changed, self.sound = True, False
        late = met or window in self._failed()
        try:
            sanitiser.close(site, window)
        except EpochEnded:
            assert late
        except Killed:
            pass
        self.sound = True

    def _failed(self) -> list[Window]:
        with reading(self.home.engines[0][1]) as connection:
            found = connection.execute(select(tables.closings).where(tables.closings.c.state == FAILED)).all()
        return [Window(r.site, r.window_ms, r.window_end_ms, r.epoch_ms) for r in found]

    def _secret_files(self) -> list[Path]:
        folder = self.home.custody / "shop" / FOLDER
        return sorted(folder.iterdir()) if folder.is_dir() else []

    # What must hold at any time.

    @invariant()
    def promises_are_kept(self) -> None:
        if self.changed:
            self.changed = self.sound = False
            check(Vaults.read(self.home), self.seen, self.truth)
            self.sound = True

    def teardown(self) -> None:
        """Everything is repaired and closed until all epochs are over; then nothing is left of anybody, and the sums are the truth."""
        if not self.sound:
            return  # what was found already is what should be reported
        self.staged.broken.clear()
        self.staged.withdrawing.clear()
        self.clock.now = (max(self.clock.now, self.staged.open_ms) // max(EPOCHS) + 1) * max(EPOCHS)
        self._close_due(0)
        vaults = Vaults.read(self.home)
        check(vaults, self.seen, self.truth)
        assert all(c.state in (FINISHED, FAILED) for c in vaults.closings)
        assert self.processes[1].sanitiser.due("shop") == []
        assert vaults.presence == []
        assert all(e.ended_ms is not None and e.destroyed_ms is not None for e in vaults.epochs)
        assert self.processes[0].evidence.verify() is None
        check_secrets([path.name for path in self._secret_files()], vaults.releases, self.processes[0].site.measures, self.clock.now)
        check_sums(vaults.releases, self.truth)


@dataclass
class Vaults:
    """Everything in both vaults."""

    epochs: Sequence[Any]
    spends: Sequence[Any]
    charges: Sequence[Any]
    closings: Sequence[Any]
    evidence: Sequence[Any]
    presence: Sequence[Any]
    releases: list[Release]

    @classmethod
    def read(cls, home: Home) -> Vaults:
        intake, released = home.engines[0]
        with reading(released) as connection:
            five = [connection.execute(select(t)).all() for t in (tables.epochs, tables.spends, tables.charges, tables.closings, evidence)]
            starts = connection.scalars(select(tables.releases.c.window_ms).distinct()).all()
        with reading(intake) as connection:
            presence = connection.execute(select(tables.presence)).all()
        store = ReleaseStore(released)
        found = [release for start in starts for release in store.of_window("shop", start)]
        return cls(*five, presence, found)


def check(vaults: Vaults, seen: Seen, truth: Truth) -> None:
    """All that has to hold after every step."""
    check_budget(vaults, seen)
    check_charges(vaults)
    check_blocks(vaults)
    check_presence(vaults, truth, seen)
    check_evidence(vaults)
    check_unchanged(vaults, seen)
    check_values([r for r in vaults.releases if r.id not in seen.releases], truth)
    seen.releases |= {r.id: (r.digest(), repr(r.row)) for r in vaults.releases}


def check_budget(vaults: Vaults, seen: Seen) -> None:
    """No epoch spends more than was promised when it opened, and no person costs a measure more than it reserved."""
    for epoch in vaults.epochs:
        promise = (epoch.rho_pico, epoch.end_ms, epoch.keys_atto)
        assert seen.promises.setdefault(epoch.start_ms, promise) == promise
        assert promise[0] <= accounting.rho_of(Decimal(epoch.epsilon), Decimal(epoch.delta) - Decimal(epoch.keys_atto) / ATTO)
        spends = [s for s in vaults.spends if s.epoch_ms == epoch.start_ms]
        assert sum(s.rho_pico for s in spends) <= epoch.rho_pico
        assert sum(s.delta_atto for s in spends) <= epoch.keys_atto
    for one, other in ((a, b) for a in vaults.epochs for b in vaults.epochs if a.start_ms < b.start_ms):
        assert one.end_ms <= other.start_ms
    reserved = {(s.epoch_ms, s.measure_id): s for s in vaults.spends}
    for charge in vaults.charges:
        (epoch,) = [e for e in vaults.epochs if e.start_ms <= charge.window_ms < e.end_ms]
        spend = reserved[epoch.start_ms, charge.measure_id]
        windows = ALL[charge.measure_id].bounds.windows
        assert charge.rho_pico * windows <= spend.rho_pico
        assert charge.delta_atto * windows <= spend.delta_atto


def check_charges(vaults: Vaults) -> None:
    """Every release has one charge of its rho, published; every published charge has one release."""
    published = Counter((r.window.start_ms, r.measure.id, r.rho_pico) for r in vaults.releases)
    assert all(times == 1 for times in published.values())
    assert len({key[:2] for key in published}) == len(published), "a window's measure was released twice"
    assert set(published) == {(c.window_ms, c.measure_id, c.rho_pico) for c in vaults.charges if c.state == PUBLISHED}
    decided = {c.window_ms for c in vaults.closings if c.state in (PUBLISHED, FINISHED)}
    assert {r.window.start_ms for r in vaults.releases} <= decided


def check_blocks(vaults: Vaults) -> None:
    """Positions follow each other in the order of publication, under one scale; only the last place of a block names no state."""
    blocks: dict[str, list[Release]] = defaultdict(list)
    for release in vaults.releases:
        assert (release.row is not None) == (release.measure.over_time != "none")
        if release.row is not None:
            blocks[release.row.block].append(release)
    for found in blocks.values():
        found.sort(key=lambda r: r.evidence_index or 0)
        assert [r.row.position for r in found if r.row] == list(range(len(found)))
        assert len({(r.measure.id, r.mechanism) for r in found}) == 1
        assert [r.row.state == "" for r in found if r.row] == [at == found[0].measure.block - 1 for at in range(len(found))]
        states = [r.row.state for r in found if r.row and r.row.state]
        assert len(set(states)) == len(states)


def check_secrets(names: Sequence[str], releases: Sequence[Release], measures: Sequence[Measure], end_ms: int) -> None:
    """After a close, a measure's only secret is the one that its newest row names, and what is not declared has none."""
    declared = {str(m.id) for m in measures}
    assert all(name.split("-")[1] in declared for name in names)
    for release in releases:
        if release.window.end_ms == end_ms and release.row is not None:
            left = [name.split("-")[-1] for name in names if name.split("-")[1] == str(release.measure.id)]
            assert left == ([release.row.state] if release.row.state else [])


def check_presence(vaults: Vaults, truth: Truth, seen: Seen) -> None:
    """Nobody is counted in more windows than the measure allows. While the epoch runs who was counted is remembered; then nobody is."""
    ended = {e.start_ms for e in vaults.epochs if e.ended_ms is not None}
    windows: Counter[tuple[int, int, int]] = Counter()
    remembered: dict[tuple[int, int], set[int]] = {}
    for row in vaults.presence:
        assert row.epoch_ms not in ended
        here = set(np.frombuffer(row.people, dtype=PERSON)["p1"].tolist())
        remembered[row.window_ms, row.measure_id] = here
        assert here >= seen.people.get((row.window_ms, row.measure_id), set()), "somebody was forgotten"
        windows.update((row.epoch_ms, row.measure_id, person) for person in here)
    for (_, measure, _), times in windows.items():
        assert times <= ALL[measure].bounds.windows
    seen.people = remembered
    counted: Counter[tuple[int, int, int]] = Counter()
    for release in vaults.releases:
        people = truth.people[release.window.start_ms][release.measure.id]
        counted.update((release.window.epoch_ms, release.measure.id, person) for person in people)
        if release.window.epoch_ms not in ended:
            assert people <= remembered.get((release.window.start_ms, release.measure.id), set())
    assert all(times <= ALL[measure].bounds.windows for (_, measure, _), times in counted.items()), "somebody was counted too often"


def check_evidence(vaults: Vaults) -> None:
    """Each release is named with its digest in one entry, and no entry names another; nothing is entered for a window twice."""
    named = [
        (entry.idx, line["id"], line["sha256"])
        for entry in vaults.evidence
        if entry.kind == "release.published"
        for line in json.loads(entry.body)["releases"]
    ]
    assert sorted(named) == sorted((r.evidence_index, r.id, r.digest()) for r in vaults.releases)
    windows = Counter(tuple(json.loads(e.body)["window"]) for e in vaults.evidence if e.kind == "release.published")
    assert all(times == 1 for times in windows.values())
    blocks = Counter(
        b["block"] for b in (json.loads(e.body) for e in vaults.evidence if e.kind == "key.destroyed") if b["scope"] == "block"
    )
    assert all(times == 1 for times in blocks.values())
    ends = {b["start"]: e.idx for e in vaults.evidence if e.kind == "key.destroyed" and (b := json.loads(e.body))["scope"] == "epoch"}
    for release in vaults.releases:
        assert (release.evidence_index or 0) < ends.get(release.window.epoch_ms, len(vaults.evidence)), "published after its epoch's end"


def check_unchanged(vaults: Vaults, seen: Seen) -> None:
    """A release is never changed and never removed, and an ended epoch gets no other one."""
    now = {r.id: (r.digest(), repr(r.row)) for r in vaults.releases}
    assert {identity: now.get(identity) for identity in seen.releases} == seen.releases
    for epoch in vaults.epochs:
        if epoch.ended_ms is not None:
            here = {r.id for r in vaults.releases if r.window.epoch_ms == epoch.start_ms}
            assert seen.ended.setdefault(epoch.start_ms, here) == here


def check_values(releases: Sequence[Release], truth: Truth) -> None:
    """A window's own numbers are the truth of what was read for it."""
    for release in releases:
        exact = truth.vectors[release.window.start_ms][release.measure.id]
        if release.keys is None:
            close_to(release.measure, release.values, exact, release.sd, release.sum_sd)
            continue
        assert release.threshold is not None
        assert list(release.keys) == sorted(release.keys)
        shown = dict(zip(release.keys, release.vector, strict=True))
        for cell, word in SPELLED.items():
            if word in shown:
                assert exact[cell] > 0
                assert release.threshold <= shown[word] <= exact[cell] + LIMIT * release.sd
            assert shown.get(word, release.threshold) >= exact[cell] - LIMIT * release.sd, "enough people sent it"


def check_sums(releases: Sequence[Release], truth: Truth) -> None:
    """So are sums over all windows of a measure, and over every second one."""
    for measure in {r.measure.id: r.measure for r in releases if r.measure.keys is None}.values():
        mine = sorted((r for r in releases if r.measure.id == measure.id), key=lambda r: r.window.start_ms)
        for chosen in (mine, mine[::2]):
            found = series.total(chosen)
            assert found is not None
            exact = np.sum([truth.vectors[r.window.start_ms][measure.id] for r in chosen], axis=0)
            close_to(measure, found.values, exact, found.sd, found.sum_sd)


def close_to(measure: Measure, values: Sequence[float], exact: Exact, sd: float, sum_sd: float | None) -> None:
    missed = np.abs(np.array(values) - exact)
    assert missed[: measure.cells].max() <= LIMIT * sd
    if sum_sd is not None:
        assert missed[measure.cells :].max() <= LIMIT * sum_sd
