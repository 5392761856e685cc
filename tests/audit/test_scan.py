"""The scanner: what it reads, what it stores, when it opens a finding."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update

from audit.log import Log
from audit.scan import Scanner, exit_code
from audit.store import AuditStore
from audit.tables import findings
from privacy.releases import ReleaseStore
from tacit.core.db import writing
from tests.audit.examples import MINUTE, FixedClock, audit_measure_of, charge, example_site, release_of, released_vault, trials, with_noise

SITE = example_site()
MEASURE = audit_measure_of(SITE)
SHARES = {"under_35": 0.4, "35_to_54": 0.35, "55_plus": 0.25}
FAIR = dict.fromkeys(SHARES, (0.5, 0.5))
SKEWED = FAIR | {"55_plus": (0.7, 0.3)}
REWARD = dict.fromkeys(SHARES, (0.3, 0.3))


class House:
    """A released vault with its scanner, filled release by release."""

    def __init__(self, tmp_path: Path) -> None:
        self.engine: Engine = released_vault(tmp_path)
        self.clock = FixedClock()
        self.log = Log(self.engine, self.clock)
        self.releases = ReleaseStore(self.engine)
        self.store = AuditStore(self.engine)
        self.scanner = Scanner(self.releases, self.store, self.log, self.clock)
        self.window_ms = self.clock.ms

    def publish(self, shown: dict[str, Any], *, people: int = 50_000, usable: bool | None = True) -> None:
        counts = trials(MEASURE, people, SHARES, shown, REWARD)
        release = release_of(MEASURE, with_noise(counts, 4.0), start_ms=self.window_ms, usable=None)
        self.window_ms += MINUTE
        charge(self.engine, release)
        assert self.releases.publish([release], self.log)
        if usable is not None:
            self.releases.set_usable(release.id, usable, {})

    def scan(self, slot: int | None = None) -> Any:
        self.clock.ms += MINUTE
        (result,) = self.scanner.scan(SITE, slot)
        return result


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_planted_exposure_skew_is_a_breach_and_opens_a_finding(house: House) -> None:
    house.publish(SKEWED)
    result = house.scan()
    assert result.verdict == "breach"
    assert exit_code([result]) == 3
    assert result.sentence.startswith("newsroom by_age: breach. age_band=55_plus exposure ")
    opened, _ = house.store.findings("newsroom")
    assert {f.id for f in opened} == set(result.opened)
    subject = {f.subject: f for f in opened}["age_band=55_plus exposure larger"]
    assert subject.state == "open"
    assert subject.scan_id == result.scan.id
    assert subject.due_ms == subject.opened_ms + SITE.audits["by_age"].terms.due_breach_ms
    assert subject.detail["comparison"]["difference"] == pytest.approx(-0.2, abs=0.05)
    (alert,), _ = house.store.alerts("newsroom")
    assert alert.kind == "audit.breach"
    assert set(alert.detail["findings"]) == set(result.opened)


def test_a_fair_service_opens_no_finding(house: House) -> None:
    # Whether a single comparison excludes zero is chance; that an interval lies wholly beyond 5 points is 10 standard errors away.
    house.publish(FAIR)
    result = house.scan()
    assert result.verdict != "breach"
    assert exit_code([result]) == 0
    assert house.store.findings("newsroom") == ([], None)
    assert house.store.alerts("newsroom") == ([], None)


def test_releases_that_are_held_or_not_checked_yet_are_not_read(house: House) -> None:
    house.publish(SKEWED, usable=False)
    house.publish(SKEWED, usable=None)
    result = house.scan()
    assert result.verdict == "cannot tell"
    assert exit_code([result]) == 0
    assert result.to_json()["releases"] == 0
    assert result.to_json()["window"] is None


def test_all_usable_releases_are_added_up(house: House) -> None:
    for _ in range(4):
        house.publish(SKEWED, people=10_000)
    result = house.scan().to_json()
    assert result["releases"] == 4
    assert result["noise_sd"] == pytest.approx(8.0)
    assert result["point_metrics"][0]["parity_difference"] == pytest.approx(0.2, abs=0.06)


def test_a_breach_that_lasts_stays_one_finding_and_a_closed_one_is_opened_again(house: House) -> None:
    house.publish(SKEWED)
    first = house.scan()
    second = house.scan()
    assert second.opened == ()
    found, _ = house.store.findings("newsroom")
    assert {f.scan_id for f in found} == {second.scan.id}
    assert {f.opened_ms for f in found} == {first.scan.at_ms}
    with writing(house.engine) as connection:
        connection.execute(update(findings).values(state="closed"))
    assert len(house.scan().opened) == len(found)


def test_a_slot_is_scanned_once(house: House) -> None:
    house.publish(SKEWED)
    first, again = house.scan(7), house.scan(7)
    assert again.scan == first.scan
    assert again.opened == ()
    assert len(house.store.scans("newsroom")[0]) == 1
    assert house.scan(8).scan.id != first.scan.id


def test_a_slot_is_scanned_once_by_many_at_the_same_time(house: House) -> None:
    house.publish(SKEWED)
    house.scan()  # fairlearn is loaded now
    with ThreadPoolExecutor(4) as pool:
        ids = {one.scan.id for one in pool.map(lambda _: house.scanner.scan(SITE, 9)[0], range(4))}
    assert len(ids) == 1
    assert len([e for e in house.log.list(kind="audit.scanned")[0] if e.body["slot"] == 9]) == 1


def test_each_scan_leaves_a_line_in_the_evidence_log(house: House) -> None:
    house.publish(SKEWED)
    result = house.scan(3)
    (logged,), _ = house.log.list(kind="audit.scanned")
    assert logged.body["scan"] == result.scan.id
    assert logged.body["verdict"] == "breach"
    assert logged.body["slot"] == 3
    assert logged.body["findings"] == list(result.opened)
    assert house.log.verify() is None


def test_a_stored_scan_reads_back_as_it_was(house: House) -> None:
    house.publish(SKEWED)
    result = house.scan(1)
    assert house.store.latest("newsroom", "by_age") == result.scan
    assert house.store.latest("newsroom", "unknown") is None


def test_an_audit_that_nobody_has_fed_cannot_be_told(house: House) -> None:
    result = house.scan()
    assert result.verdict == "cannot tell"
    assert result.sentence == "newsroom by_age: cannot tell (15 of 15 comparisons, 0 releases)."
