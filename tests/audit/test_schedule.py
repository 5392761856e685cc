"""Scheduled scans: each slot exactly once, whatever dies; missed slots made up for; nothing spent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

import privacy.tables
from audit.errors import SlotInvalid, SlotNotReady
from audit.log import Log
from audit.scan import Scanner
from audit.schedule import Schedule
from audit.slots import Missed, due, slot_at
from audit.store import AuditStore
from audit.tables import evidence, scans
from privacy.releases import ReleaseStore
from tacit import migrations
from tacit.core.claims import Claims
from tacit.core.clock import iso
from tacit.core.db import connect, reading
from tacit.core.declaration import AuditTerms, Site
from tests.audit.examples import MINUTE, FixedClock, audit_measure_of, charge, example_site, release_of, released_vault, trials, with_noise
from tests.postgres import empty_database, server

SLOTS, PROCESSES = 200, 4
HOUR = 60 * MINUTE
MEASURE = audit_measure_of(example_site())
SHARES = {"under_35": 0.4, "35_to_54": 0.35, "55_plus": 0.25}
FAIR = dict.fromkeys(SHARES, (0.5, 0.5))
SKEWED = FAIR | {"55_plus": (0.7, 0.3)}


def scheduled(terms: AuditTerms) -> Site:
    site = example_site()
    return replace(site, audits={name: replace(audit, terms=terms) for name, audit in site.audits.items()})


class House:
    """A released vault with a schedule of its own."""

    def __init__(self, engine: Engine, clock: FixedClock, *, owner: str = "one") -> None:
        self.engine, self.clock = engine, clock
        self.log = Log(engine, clock)
        self.releases, self.store = ReleaseStore(engine), AuditStore(engine)
        self.scanner = Scanner(self.releases, self.store, self.log, clock)
        self.claims = Claims(engine, owner=owner)
        self.schedule = Schedule(self.claims, self.scanner, self.releases, self.store, clock)

    def publish(self, start_ms: int, shown: Any = FAIR, *, people: int = 50_000, usable: bool | None = True) -> None:
        """One minute's release, and the window with it."""
        vector = with_noise(trials(MEASURE, people, SHARES, shown, dict.fromkeys(SHARES, (0.3, 0.3))), 4.0)
        release = release_of(MEASURE, vector, start_ms=start_ms, usable=None)
        charge(self.engine, release)
        assert self.releases.publish([release], self.log)
        if usable is not None:
            self.releases.set_usable(release.id, usable, {})


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(released_vault(tmp_path), FixedClock())


def start_of(slots: int, terms: AuditTerms, clock: FixedClock) -> int:
    """The slot so many slots before now."""
    return slot_at(terms, clock.ms) - slots * terms.schedule_ms


HOURLY = AuditTerms(schedule_ms=HOUR, offset_ms=10 * MINUTE, catch_up=3)


def test_a_slot_is_scanned_when_its_windows_are_decided_and_not_before(house: House) -> None:
    site, slot = scheduled(HOURLY), start_of(0, HOURLY, house.clock)
    assert house.schedule.run_due(site) == []
    house.publish(slot - 2 * MINUTE)
    assert house.schedule.run_due(site) == [], "the window that ends at the slot is still open"
    house.publish(slot - MINUTE, usable=None)
    assert house.schedule.run_due(site) == [], "a release is not checked yet"
    for release in house.releases.unchecked(site.name):
        house.releases.set_usable(release.id, True, {})
    (result,) = house.schedule.run_due(site)
    assert result.scan.slot == slot
    assert result.to_json()["releases"] == 2
    assert house.schedule.run_due(site) == []
    assert House(house.engine, house.clock, owner="two").schedule.run_due(site) == []


def test_missed_slots_are_made_up_for_and_each_reads_what_there_was_at_its_time(house: House) -> None:
    site, newest = scheduled(HOURLY), start_of(0, HOURLY, house.clock)
    for slots in (2, 1, 0):
        house.publish(newest - slots * HOUR - MINUTE)
    results = house.schedule.run_due(site)
    assert [r.scan.slot for r in results] == [newest - 2 * HOUR, newest - HOUR, newest]
    assert [r.to_json()["releases"] for r in results] == [1, 2, 3]
    assert house.store.skipped("newsroom", "by_age") == []


def test_slots_missed_for_too_long_are_put_on_record_as_skipped_once(house: House) -> None:
    site, newest = scheduled(HOURLY), start_of(0, HOURLY, house.clock)
    house.publish(newest - 10 * HOUR - MINUTE)
    house.publish(newest - MINUTE)
    assert [r.scan.slot for r in house.schedule.run_due(site)] == [newest - 2 * HOUR, newest - HOUR, newest]
    assert house.store.skipped("newsroom", "by_age") == [Missed(newest - 10 * HOUR, newest - 3 * HOUR, 8)]
    assert House(house.engine, house.clock, owner="two").schedule.run_due(site) == []
    house.publish(newest + HOUR - MINUTE)
    assert [r.scan.slot for r in house.schedule.run_due(site)] == [newest + HOUR]
    (entry,), _ = house.log.list(kind="audit.skipped")
    assert entry.body == {"audit": "by_age", "first": iso(newest - 10 * HOUR), "last": iso(newest - 3 * HOUR), "slots": 8}
    assert [a.kind for a in house.store.alerts("newsroom")[0]].count("audit.skipped") == 1


def test_a_slot_that_another_process_holds_is_left_to_it_until_its_lease_has_run_out(house: House) -> None:
    site, newest = scheduled(HOURLY), start_of(0, HOURLY, house.clock)
    house.publish(newest - MINUTE)
    dead = Claims(house.engine, owner="dead", lease_ms=60_000)
    assert dead.take("scan:newsroom:by_age", newest, now_ms=house.clock.ms)
    assert house.schedule.run_due(site) == []
    house.clock.ms += 60_001
    assert [r.scan.slot for r in house.schedule.run_due(site)] == [newest]


def test_an_owner_that_slept_through_its_lease_writes_nothing(house: House) -> None:
    site, newest = scheduled(HOURLY), start_of(0, HOURLY, house.clock)
    house.publish(newest - MINUTE)
    sleeper = House(house.engine, house.clock, owner="sleeper")

    class Sleeping(Scanner):
        def scan_audit(self, *given: Any, **options: Any) -> Any:
            house.clock.ms += 60_001
            (result,) = house.schedule.run_due(site)
            ours.append(result)
            return super().scan_audit(*given, **options)

    ours: list[Any] = []
    waking = Sleeping(sleeper.releases, BlindStore(house.engine), sleeper.log, house.clock)
    schedule = Schedule(sleeper.claims, waking, sleeper.releases, sleeper.store, house.clock)
    (audit,) = site.audits.values()
    result = schedule.run(site, audit, newest, until_ms=newest)
    assert result is not None
    assert result.scan == ours[0].scan
    assert len(house.log.list(kind="audit.scanned")[0]) == 1


class BlindStore(AuditStore):
    """Looks for a slot's scan too early to see it, as a process may."""

    def scan_of_slot(self, site: str, audit: str, slot: int) -> Any:
        return None

    def save_scan(self, scan: Any, connection: Any) -> None:
        """Writes under another slot, so that only the claim can stop it."""
        super().save_scan(replace(scan, slot=None), connection)


def test_a_named_moment_runs_the_slot_before_it_once(house: House) -> None:
    site, newest = scheduled(HOURLY), start_of(0, HOURLY, house.clock)
    house.publish(newest - MINUTE)
    first = house.schedule.run_named(site, iso(newest + 7 * MINUTE))
    assert [r.scan.slot for r in first] == [newest]
    assert [r.scan for r in house.schedule.run_named(site, iso(newest))] == [r.scan for r in first]
    assert [r.scan.slot for r in house.schedule.run_named(site, "7")] == [7]
    with pytest.raises(SlotNotReady):
        house.schedule.run_named(site, iso(newest + HOUR))
    for text in ("yesterday", "2026-01-31T00:00:00", "-1"):
        with pytest.raises(SlotInvalid):
            house.schedule.run_named(site, text)


def test_a_scan_spends_nothing(house: House) -> None:
    site, newest = scheduled(HOURLY), start_of(0, HOURLY, house.clock)
    for slots in range(9):
        house.publish(newest - slots * HOUR - MINUTE, SKEWED)

    def ledger() -> list[Any]:
        with reading(house.engine) as connection:
            tables = [t for t in privacy.tables.charges.metadata.sorted_tables if t.name in {"charges", "spends", "epochs", "refusals"}]
            assert privacy.tables.charges in tables
            return [connection.execute(select(table)).all() for table in tables]

    before = ledger()
    assert len(house.schedule.run_due(site)) == 3
    house.scanner.scan(site)
    assert ledger() == before


def test_the_newest_slots_are_kept_and_the_offset_counts() -> None:
    terms = AuditTerms(schedule_ms=10, offset_ms=3, catch_up=2)
    assert due(terms, after_ms=3, until_ms=12).slots == ()
    assert due(terms, after_ms=2, until_ms=3).slots == (3,)
    assert due(terms, after_ms=3, until_ms=43).slots == (33, 43)
    assert due(terms, after_ms=3, until_ms=43).skipped == Missed(13, 23, 2)


def race(url: str, *, kill_at: int | None = None) -> Engine:
    """All processes run all slots at once; the first one dies at `kill_at`."""
    engine = connect(url)
    migrations.upgrade(engine, "released")
    lease = "1500" if kill_at is not None else "60000"
    slots = SLOTS if kill_at is None else kill_at + 10
    command = [sys.executable, "-m", "tests.audit.slot_racer", url]
    doomed = [*command, "0", str(slots), lease, *([str(kill_at)] if kill_at is not None else [])]
    if kill_at is not None:
        doomed[4] = str(kill_at)  # alone at that slot, so that it is surely its own
    racers = [subprocess.Popen(doomed, cwd=Path(__file__).parents[2], env=dict(os.environ))]
    if kill_at is not None:
        assert racers[0].wait(timeout=60) == -signal.SIGKILL
    others = [*command, "0", str(slots), lease]
    racers += [subprocess.Popen(others, cwd=Path(__file__).parents[2], env=dict(os.environ)) for _ in range(PROCESSES - 1)]
    for racer in racers[1 if kill_at is not None else 0 :]:
        assert racer.wait(timeout=200) == 0
    with reading(engine) as connection:
        found = Counter(connection.scalars(select(scans.c.slot)))
        assert connection.scalar(select(func.count()).select_from(evidence).where(evidence.c.kind == "audit.scanned")) == slots
    assert found == dict.fromkeys(range(slots), 1)
    assert Log(engine, FixedClock()).verify() is None
    return engine


def test_four_processes_scan_two_hundred_slots_once_each(tmp_path: Path) -> None:
    race(f"sqlite:///{tmp_path / 'released.db'}").dispose()


def test_a_killed_owners_slot_is_scanned_once_by_another(tmp_path: Path) -> None:
    race(f"sqlite:///{tmp_path / 'released.db'}", kill_at=5).dispose()


def test_on_postgres_each_slot_is_scanned_once_also_when_an_owner_is_killed(tmp_path: Path) -> None:
    with server() as url:
        race(empty_database(url, "slots")).dispose()
        race(empty_database(url, "killed"), kill_at=5).dispose()
