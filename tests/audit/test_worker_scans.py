"""The sanitiser's loop scans slots as they come, in a whole house under a clock that the test sets."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.clocked import BASE, HOUR, SITE, Clocked

AUDITED = """
sites:
  newsroom:
    privacy: {epsilon: 20.0, delta: 1.0e-6, epoch: 4h, window: 1h}
    measures:
      pages: {event: page, share: 0.2}
    policies:
      headline:
        zone: front
        arms: {control: {scale: 1.0}, larger: {scale: 1.1}}
        reward: {event: click}
        share: 0.4
    audits:
      by_age:
        policy: headline
        groups: {age_band: [young, old]}
        share: 0.4
        schedule: 4h
        offset: 1h
        catch_up: 2
"""


class Audited(Clocked):
    """A house with one audit, scanned every four hours, one hour after the epoch's begin."""

    def _text(self, epoch: str) -> str:
        return AUDITED


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Audited]:
    house = Audited(tmp_path, epoch="4h", at=4.5)
    yield house
    shutil.rmtree(tmp_path / "custody", ignore_errors=True)


def test_slots_are_scanned_as_they_come_and_caught_up_after_an_outage(one: Audited) -> None:
    def slots() -> list[float]:
        found, _ = one.web.audits.scans(SITE, limit=1000)
        return sorted((scan.slot - BASE) / HOUR for scan in found if scan.slot is not None)

    one.work()
    for hour in (5.1, 6.1, 7.1, 8.1):
        one.at(hour)
        one.work()
    assert slots() == [5.0], "the window from 4:00 to 5:00 is the first"
    one.at(9.05)
    one.work()
    one.work()
    assert slots() == [5.0, 9.0]
    one.at(26.1)  # nobody worked for three slots and a half: 13, 17, 21, 25
    one.work()
    one.restart()
    one.work()
    assert slots() == [5.0, 9.0, 21.0, 25.0]
    (skipped,) = one.web.audits.skipped(SITE, "by_age")
    assert [(skipped.first - BASE) / HOUR, (skipped.last - BASE) / HOUR, skipped.number] == [13.0, 17.0, 2]
