"""A clock that jumps: nothing is released or charged twice, releases go on, and the operator is told."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clocked import PEOPLE, SITE, Clocked

SURE = 12
"""A sum of at most 32 counts of standard deviation below 0.33 is further from the truth than this less than once in 1e10 runs."""

AHEAD = 30
"""Hours, in seven epochs of four hours."""


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Clocked]:
    made = Clocked(tmp_path, epoch="4h", at=4)
    yield made
    made.close()


def once_and_no_more(one: Clocked) -> None:
    """What must hold whatever the clock did."""
    assert one.rows("released", "select window_ms from releases group by window_ms having count(*) > 1") == []
    assert one.rows("released", "select state from charges where state <> 'published'") == []
    starts = one.rows("released", "select window_ms, window_end_ms from closings order by 1")
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(starts))
    assert one.overspent() == []
    spans = one.rows("released", "select start_ms, end_ms from epochs order by 1")
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert set(one.entered("key.destroyed").values()) == {1}
    assert one.rows("released", "select count(*) from closings where state <> 'finished'") == [(0,)]


def people_counted(one: Clocked, first: int, end: int) -> float:
    return sum(count for hour, count in one.counted().items() if first <= hour < end)


def warned(caplog: Any) -> list[int]:
    return [r.tacit_fields["seconds"] for r in caplog.records if r.msg == "clock.behind" and r.levelname == "WARNING"]


@pytest.mark.parametrize("sanitiser", ["was away", "died at it", "closed all"])
def test_far_forward_over_several_epochs_and_back(one: Clocked, caplog: Any, sanitiser: str) -> None:
    one.live(4, 5)
    one.at(5 + AHEAD)
    one.send()
    if sanitiser == "died at it":  # and left a lease that ends days ahead of what follows
        first = one.services.sanitiser.due(SITE)[0]
        assert one.services.claims.take(f"close:{SITE}", first.start_ms, now_ms=one.clock.now_ms())
        one.restart()
    elif sanitiser == "closed all":
        one.work()
    one.at(5.2)
    one.work()
    assert max(one.counted()) == 5 + AHEAD - 1  # the silent windows in between, each once
    assert max(warned(caplog)) == AHEAD * 3600 - 720
    released = len(one.counted())
    one.live(5.5, 13.5, step=0.5)
    assert len(one.counted()) - released >= 3  # at half speed, since the clock has to catch up
    assert {name for name in one.custody() if name.startswith("epoch-")} == {f"epoch-{start}" for start in _live(one)}
    assert len(_live(one)) == 1
    for start in range(4, 44, 4):
        assert people_counted(one, start, start + 4) < len(PEOPLE) + SURE
    assert people_counted(one, 32, 36) > len(PEOPLE) - SURE  # those whom the clock put there, each once
    once_and_no_more(one)


def test_backward_over_an_epochs_boundary(one: Clocked, caplog: Any) -> None:
    one.live(4, 8)
    one.at(8.1)
    one.send(PEOPLE[1:])
    one.work()
    assert people_counted(one, 4, 8) > len(PEOPLE) - SURE
    one.at(6.2)  # the epoch that has ended
    one.work()
    assert one.send()["accepted"] == len(PEOPLE)
    one.web.consent.withdraw(SITE, "user", PEOPLE[0], None)
    one.live(6.5, 12, step=0.5)
    assert warned(caplog)
    assert people_counted(one, 4, 8) < len(PEOPLE) + SURE
    assert abs(people_counted(one, 8, 12) - (len(PEOPLE) - 1)) < SURE  # in the new epoch once, and without the one who withdrew
    one.live(12, 13)
    assert sorted(_live(one)) == sorted(start for (start,) in one.rows("released", "select max(start_ms) from epochs"))
    once_and_no_more(one)


def test_a_small_step_back_changes_nothing(one: Clocked, caplog: Any) -> None:
    one.live(4, 6)
    one.at(5.9)
    assert one.send()["accepted"] == len(PEOPLE)
    one.work()
    one.live(6, 9)
    assert sorted(one.counted()) == [4, 5, 6, 7, 8]
    assert warned(caplog) == []
    once_and_no_more(one)


def _live(one: Clocked) -> list[int]:
    """Starts of the epochs that have a key."""
    return [start for (start,) in one.rows("intake", f"select epoch_ms from epoch_keys where site = '{SITE}' and destroyed_ms is null")]
