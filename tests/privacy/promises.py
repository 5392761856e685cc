"""What must hold in both vaults at any time, whatever has happened to the sanitisers."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from sqlalchemy import select

from audit.tables import evidence
from privacy import accounting, series, tables
from privacy.bounding import PERSON
from privacy.models import ATTO, Release
from privacy.releases import FINISHED, PUBLISHED, ReleaseStore
from tacit.core.db import reading
from tacit.core.declaration import Measure
from tests.privacy.declared import ALL, SPELLED
from tests.privacy.homes import Home
from tests.privacy.witness import Exact, Truth

LIMIT = 8.0
"""Standard deviations that a published number may be away from the truth: beyond them with a probability below 1e-13."""


@dataclass
class Seen:
    """What was there before, and must not change."""

    promises: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    releases: dict[str, tuple[str, str]] = field(default_factory=dict)
    ended: dict[int, set[str]] = field(default_factory=dict)
    people: dict[tuple[int, int], set[int]] = field(default_factory=dict)


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
        assert [r.row.state == "" for r in found if r.row] == [
            at == row.strategy.length - 1 for at, row in enumerate(r.row for r in found if r.row)
        ]
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
