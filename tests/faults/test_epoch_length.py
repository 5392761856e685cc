"""The declaration's epoch length changes while an epoch runs: the old epoch ends when it would have ended, and nobody is counted twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from ingest.tables import epoch_keys, tombstones
from privacy.tables import presence
from tacit.core.db import reading
from tests.faults.clocked import BASE, HOUR, PEOPLE, SITE, Clocked

Open = Callable[..., Clocked]
SURE = 12
"""A sum of at most 32 counts of standard deviation below 0.33 is further from the truth than this less than once in 1e10 runs."""


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Open]:
    opened: list[Clocked] = []

    def open_(epoch: str, at: float) -> Clocked:
        opened.append(Clocked(tmp_path, epoch=epoch, at=at))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def key(hours: float) -> str:
    return f"epoch-{BASE + round(hours * HOUR)}"


def destroyed(*epochs: tuple[int, int]) -> Counter[str]:
    """The evidence that these epochs, in hours, were destroyed, once each."""
    spans = [(BASE + start * HOUR, BASE + end * HOUR) for start, end in epochs]
    return Counter(json.dumps({"end": end, "scope": "epoch", "start": start}, separators=(",", ":")) for start, end in spans)


def epochs_entered(one: Clocked) -> Counter[str]:
    return Counter({body: n for body, n in one.entered("key.destroyed").items() if '"epoch"' in body})


def left_of(one: Clocked, start: int, end: int) -> tuple[bool, int, set[int], int]:
    """Whether there is a key of the epoch, how many presence rows, seen files and tombstones."""
    with reading(one.web.vaults[0]) as connection:
        here = BASE + start * HOUR
        people = connection.scalar(select(func.count()).where(presence.c.epoch_ms == here)) or 0
        buried = connection.scalar(select(func.count()).where(tombstones.c.epoch_ms == here)) or 0
    return key(start) in one.custody(), people, {hour for hour in one.seen() if start <= hour < end}, buried


GONE = (False, 0, set(), 0)


@pytest.mark.parametrize(
    ("before", "after", "epoch", "change", "next_epoch"),
    [
        ("4h", "16h", (20, 24), 22, (32, 48)),  # the old epoch is unknown to the new length
        ("4h", "16h", (16, 20), 17, (32, 48)),  # both begin together
        ("16h", "4h", (16, 32), 18, (32, 36)),
        ("16h", "6h", (16, 32), 18, (36, 42)),
    ],
)
def test_the_old_epoch_ends_in_its_time_with_nothing_left_and_the_new_length_begins_after_it(
    installation: Open, before: str, after: str, epoch: tuple[int, int], change: int, next_epoch: tuple[int, int]
) -> None:
    start, end = epoch
    one = installation(before, start)
    one.live(start, change)
    one.web.consent.withdraw(SITE, "user", PEOPLE[0], None)
    assert left_of(one, start, end)[:3] == (True, 1, set(range(start, change)))
    one.restart(after)
    one.live(change, end)
    assert left_of(one, start, end) == GONE
    assert epochs_entered(one) == destroyed(epoch)
    one.live(end, next_epoch[0] + 1)
    assert sum(n for hour, n in one.counted().items() if hour < next_epoch[0]) < len(PEOPLE) + SURE
    assert abs(one.counted()[next_epoch[0]] - (len(PEOPLE) - 1)) < SURE  # all but the one who withdrew
    assert one.overspent() == []
    assert epochs_entered(one) == destroyed(epoch)
    assert one.custody() == {key(next_epoch[0])}


def test_a_length_that_is_set_back_in_time_goes_on_with_the_same_epoch_and_key(installation: Open) -> None:
    one = installation("16h", 16)
    one.live(16, 18)
    one.restart("4h")
    one.live(18, 24)
    assert key(16) in one.custody()
    one.restart("16h")
    one.live(24, 32)
    assert sum(one.counted().values()) < len(PEOPLE) + SURE
    assert set(one.counted()) == {16, 17, *range(24, 32)}
    assert (one.overspent(), left_of(one, 16, 32), epochs_entered(one)) == ([], GONE, destroyed((16, 32)))


@pytest.mark.parametrize("after", ["4h", "12h"])
def test_a_window_that_was_staged_under_two_lengths_counts_nobody_twice(installation: Open, after: str) -> None:
    """The sanitiser was away, so the ledger knows of no epoch yet that would forbid the new one."""
    one = installation("16h", 16)
    for hour in (16, 25):
        one.at(hour + 0.3)
        assert one.send()["accepted"] == len(PEOPLE)
    one.restart(after)
    one.at(25.6)
    assert one.send()["refused"] == {"epoch_key_lost": len(PEOPLE)}
    one.at(26)
    one.work()
    assert all(abs(count) < SURE for count in one.counted().values())
    one.live(26, 36)
    assert left_of(one, 16, 32) == GONE
    assert one.overspent() == []


def test_a_key_made_ahead_for_an_epoch_that_will_not_come_does_not_stand_in_the_way_of_the_one_that_does(installation: Open) -> None:
    one = installation("4h", 28)
    one.live(28, 31)
    one.at(31.9)
    one.web.consent.withdraw(SITE, "user", PEOPLE[0], None)  # near the boundary: buried in the next epoch too
    assert key(32) in one.custody()
    one.restart("16h")
    one.work()
    assert key(32) not in one.custody()
    one.live(32, 33)
    assert abs(one.counted()[32] - (len(PEOPLE) - 1)) < SURE
    with reading(one.web.vaults[0]) as connection:
        ends = connection.execute(select(epoch_keys.c.end_ms).where(epoch_keys.c.epoch_ms == BASE + 32 * HOUR)).scalars().all()
    assert ends == [BASE + 48 * HOUR]


def test_an_epoch_that_was_left_open_ends_with_the_next_pass_also_where_no_window_is_due(installation: Open) -> None:
    one = installation("4h", 4)
    one.live(4, 8)
    with one.web.vaults[0].begin() as intake, one.web.vaults[1].begin() as released:
        intake.exec_driver_sql(f"insert into presence values ('{SITE}', {BASE + 4 * HOUR}, 1, 1, x'00')")
        released.exec_driver_sql("update epochs set ended_ms = null, destroyed_ms = null")
    assert one.services.sanitiser.due(SITE) == []
    one.work()
    assert left_of(one, 4, 8) == GONE
    assert one.rows("released", "select ended_ms is null, destroyed_ms is null from epochs") == [(0, 0)]


def test_windows_of_an_epoch_that_was_ended_too_early_are_given_up_and_the_next_epoch_is_released(installation: Open) -> None:
    one = installation("4h", 4)
    one.live(4, 6)
    one.services.sanitiser.ledger.end_epoch(SITE, BASE + 4 * HOUR)
    one.live(6, 9)
    assert set(one.counted()) == {4, 5, 8}
    assert sum(n for body, n in one.entered("window.failed").items() if "epoch-ended" in body) == 2
    assert left_of(one, 4, 8) == GONE
    assert not any(name.startswith("window-") for name in one.custody())
