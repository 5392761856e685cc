from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select

from privacy.errors import EpochEnded, NotCharged, WindowNotDue
from privacy.models import Window
from privacy.tables import charges, presence, releases, spends
from tacit.core.db import reading, writing
from tacit.core.declaration import Bounds
from tacit.core.errors import StorageUnavailable
from tests.privacy.interruptions import STEPS, Killed, dying_in, met_in
from tests.privacy.world import EPOCH, WINDOW, Row, World, count, shop, window

PAGES = count("pages", share="0.4")
VISITS = count("visits", share="0.6", bounds=Bounds(windows=2))
SHOP = shop(PAGES, VISITS)
CROWD = 10_000
"""So many people that noise (sd below 20) cannot hide whether they were counted: false failures below 1e-1000."""


def crowd(measure: int, message: int, cell: int = 0) -> list[Row]:
    return [(person, person, message, measure, cell, 0) for person in range(CROWD)]


def rows_in(house: World, table: Any) -> int:
    engine = house.intake if table is presence else house.released
    with reading(engine) as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def counted(house: World, at: int, name: str) -> int:
    """The noisy count of the first cell, in crowds."""
    release = next(r for r in house.releases.of_window("shop", at) if r.measure.name == name)
    return round(release.vector[0] / CROWD)


def test_a_window_without_events_is_released_like_any_other(house: World) -> None:
    house.clock.now = WINDOW
    (due,) = house.sanitiser.due("shop")
    released = house.sanitiser.close(SHOP, due)
    assert [r.measure.name for r in released] == ["pages", "visits"]
    assert all(len(r.vector) == r.measure.length for r in released)


def test_a_second_close_publishes_nothing_new(house: World) -> None:
    house.clock.now = WINDOW
    house.source.put(0, *crowd(PAGES.id, 1))
    first = house.sanitiser.close(SHOP, window(0))
    kinds = house.evidence.kinds()
    assert house.sanitiser.close(SHOP, window(0)) == first
    assert house.evidence.kinds() == kinds == ["release.published", "key.destroyed"]
    assert house.source.reads == [0]


def test_a_person_is_counted_in_as_many_windows_as_declared_and_again_in_the_next_epoch(house: World) -> None:
    for message, start in enumerate((0, WINDOW, 2 * WINDOW, EPOCH)):
        house.source.put(start, *crowd(PAGES.id, message), *crowd(VISITS.id, message))
    house.clock.now = EPOCH + WINDOW
    house.close_due(SHOP)
    assert [counted(house, at, "pages") for at in (0, WINDOW, 2 * WINDOW, EPOCH)] == [1, 0, 0, 1]
    assert [counted(house, at, "visits") for at in (0, WINDOW, 2 * WINDOW, EPOCH)] == [1, 1, 0, 1]


def test_closing_forgets_the_window_and_the_epochs_end_forgets_who_was_there(house: World) -> None:
    house.source.put(0, *crowd(PAGES.id, 1))
    house.clock.now = EPOCH - 1
    house.close_due(SHOP)
    assert (house.source.keys, house.source.ended, rows_in(house, presence)) == (set(), [], 1)
    house.clock.now = EPOCH
    house.close_due(SHOP)
    assert (house.source.ended, rows_in(house, presence)) == ([0], 0)
    scopes = [e.body for e in house.evidence.entries if e.body.get("scope") == "epoch"]
    assert scopes == [{"scope": "epoch", "start": 0, "end": EPOCH}]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "step"), STEPS, ids=[".".join(s) for s in STEPS])
def test_a_crash_at_any_step_ends_in_one_release_and_one_charge(house: World, part: str, step: str, after: bool) -> None:
    last = EPOCH - WINDOW
    house.source.first_ms, house.clock.now = last, EPOCH
    house.source.put(last, *crowd(PAGES.id, 1), *crowd(VISITS.id, 1))
    dying = dying_in(house.sanitiser, part, step, after=after)
    with pytest.raises(Killed):
        dying.close(SHOP, window(last))
    offered = house.sanitiser.due("shop")
    assert offered == ([] if (step, after) == ("finish", True) else [window(last)])
    for one in offered:
        house.sanitiser.close(SHOP, one)
    assert (rows_in(house, releases), rows_in(house, charges), rows_in(house, spends)) == (2, 2, 2)
    with reading(house.released) as connection:
        assert set(connection.scalars(select(charges.c.state))) == {"published"}
    assert house.evidence.kinds().count("release.published") == 1
    assert [counted(house, last, name) for name in ("pages", "visits")] == [1, 1]
    assert (house.source.keys, rows_in(house, presence), house.sanitiser.due("shop")) == (set(), 0, [])
    assert 0 in house.source.ended


@pytest.mark.parametrize("left", [0, 1])
def test_a_repeat_that_finds_fewer_rows_makes_nobody_countable_again(house: World, left: int) -> None:
    house.clock.now = 2 * WINDOW
    house.source.put(0, *crowd(PAGES.id, 1))
    house.source.put(WINDOW, *crowd(PAGES.id, 2))
    with pytest.raises(Killed):
        dying_in(house.sanitiser, "ledger", "charge", after=False).close(SHOP, window(0))
    house.source.rows = {0: house.source.rows[0][:left]}
    house.source.put(WINDOW, *crowd(PAGES.id, 2))
    house.close_due(SHOP)
    assert [counted(house, at, "pages") for at in (0, WINDOW)] == [0, 0]


def test_an_unreadable_window_publishes_nothing_keeps_its_staging_and_can_be_repaired_within_its_epoch(house: World) -> None:
    house.clock.now = WINDOW
    house.source.put(0, *crowd(PAGES.id, 1))
    house.source.broken.add(0)
    assert house.sanitiser.close(SHOP, window(0)) == []
    assert house.evidence.entries[-1].body == {"window": [0, WINDOW], "reason": "staging-corrupt"}
    assert (house.source.keys, house.sanitiser.due("shop"), rows_in(house, charges)) == ({0}, [], 0)
    house.source.broken.clear()
    assert len(house.sanitiser.close(SHOP, window(0))) == 2
    assert (counted(house, 0, "pages"), house.source.keys) == (1, set())


def test_an_unreadable_window_is_gone_when_its_epoch_has_ended(house: World) -> None:
    house.source.put(0, *crowd(PAGES.id, 1))
    house.source.broken.add(0)
    house.clock.now = EPOCH
    house.close_due(SHOP)
    house.source.broken.clear()
    assert house.source.keys == set()
    with pytest.raises(EpochEnded):
        house.sanitiser.close(SHOP, window(0))
    assert rows_in(house, presence) == 0


def test_storage_that_does_not_answer_is_tried_again_later(house: World) -> None:
    class Away:
        def contributions(self, _window: Window) -> Any:
            raise StorageUnavailable()

        def __getattr__(self, name: str) -> Any:
            return getattr(house.source, name)

    house.clock.now = WINDOW
    with pytest.raises(StorageUnavailable):
        replace(house.sanitiser, source=Away()).close(SHOP, window(0))
    assert house.sanitiser.due("shop") == [window(0)]


def test_an_epoch_that_overlaps_an_older_promise_is_not_released_and_not_kept(house: World) -> None:
    house.clock.now = WINDOW
    house.close_due(SHOP)
    house.source.put(WINDOW, *crowd(PAGES.id, 1))
    house.clock.now = 2 * WINDOW
    longer = shop(PAGES, VISITS, epoch_ms=2 * EPOCH)
    assert house.sanitiser.close(longer, window(WINDOW)) == []
    assert house.evidence.entries[-2].body["reason"] == "epoch-mismatch"
    assert house.source.keys == set()


def test_a_changed_configuration_is_released_only_where_the_epoch_has_room(house: World) -> None:
    house.clock.now = WINDOW
    house.close_due(shop(PAGES))
    house.clock.now = 2 * WINDOW
    site = shop(count("pages", share="0.7"), count("visits", share="0.3"))
    assert [r.measure.name for r in house.sanitiser.close(site, window(WINDOW))] == ["visits"]


def test_an_open_window_and_one_that_would_overtake_are_not_closed(house: World) -> None:
    house.clock.now = 2 * WINDOW
    for early in (window(WINDOW), window(2 * WINDOW)):
        with pytest.raises(WindowNotDue):
            house.sanitiser.close(SHOP, early)
    assert rows_in(house, releases) == 0


def test_nothing_is_published_without_a_charge_of_its_rho(house: World) -> None:
    house.clock.now = WINDOW
    (one, _) = house.sanitiser.close(SHOP, window(0))
    with pytest.raises(NotCharged):
        house.releases.publish([replace(one, id="rel_other", window=window(WINDOW))], house.evidence)
    assert rows_in(house, releases) == 2


def test_presence_is_kept_for_other_sites_and_epochs(house: World) -> None:
    house.clock.now = EPOCH
    with writing(house.intake) as connection:
        key = {"epoch_ms": 0, "measure_id": 1, "window_ms": 0, "people": b"\0" * 16}
        connection.execute(insert(presence).values(site="other", **key))
    house.close_due(SHOP)
    assert rows_in(house, presence) == 1
    with writing(house.intake) as connection:
        connection.execute(delete(presence))


def test_who_withdraws_between_counting_and_publishing_is_not_in_the_release(house: World) -> None:
    house.clock.now = WINDOW
    house.source.put(0, *crowd(PAGES.id, 1), (CROWD, CROWD, 1, PAGES.id, 0, 0))
    house.source.withdrawing[0] = CROWD
    released = house.sanitiser.close(SHOP, window(0))
    assert house.source.reads == [0, 0]  # what was counted first was thrown away, and everything read again
    assert len(released) == 2
    assert rows_in(house, charges) == 2


def test_the_evidence_does_not_tell_whether_anybody_came(house: World) -> None:
    house.clock.now = 2 * WINDOW
    house.source.put(0, *crowd(PAGES.id, 1))
    house.sanitiser.close(SHOP, window(0))
    with_people = house.evidence.kinds()
    house.sanitiser.close(SHOP, window(WINDOW))
    assert house.evidence.kinds() == with_people * 2


def test_what_was_destroyed_is_entered_once_where_two_clean_up_at_once(house: World) -> None:
    house.clock.now = WINDOW
    other = met_in(house.sanitiser, "source", "forget", lambda: house.sanitiser.close(SHOP, window(0)))
    other.close(SHOP, window(0))
    assert house.evidence.kinds() == ["release.published", "key.destroyed"]


def test_a_repair_that_the_end_of_its_epoch_overtakes_publishes_nothing(house: World) -> None:
    house.source.put(0, *crowd(PAGES.id, 1))
    house.source.broken.add(0)
    house.clock.now = EPOCH - WINDOW
    house.close_due(SHOP)
    house.source.broken.clear()
    house.clock.now = EPOCH
    late = met_in(house.sanitiser, "releases", "publish", lambda: house.close_due(SHOP))
    with pytest.raises(EpochEnded):
        late.close(SHOP, window(0))
    assert house.releases.of_window("shop", 0) == []
    assert (rows_in(house, presence), house.source.keys) == (0, set())
    assert house.sanitiser.due("shop") == []


def test_who_was_recorded_too_late_by_a_process_that_died_is_forgotten_with_the_next_window(house: World) -> None:
    last = EPOCH - WINDOW
    house.source.first_ms, house.clock.now = last, EPOCH
    house.source.put(last, *crowd(PAGES.id, 1))
    with pytest.raises(Killed):
        met_in(dying_in(house.sanitiser, "presence", "record", after=True), "presence", "record", lambda: house.close_due(SHOP)).close(
            SHOP, window(last)
        )
    house.clock.now += WINDOW
    house.close_due(SHOP)
    assert rows_in(house, presence) == 0


def test_a_length_of_epochs_that_is_taken_back_after_a_crash_stops_nothing(house: World) -> None:
    house.clock.now = EPOCH
    house.close_due(SHOP)
    longer = shop(PAGES, VISITS, epoch_ms=2 * EPOCH)
    mistaken = Window("shop", EPOCH, EPOCH + WINDOW, 0)
    house.clock.now += 2 * WINDOW
    with pytest.raises(Killed):
        dying_in(house.sanitiser, "releases", "fail", after=True)._release(longer, mistaken)
    house.close_due(SHOP)
    assert house.sanitiser.due("shop") == []
    assert len(house.releases.of_window("shop", EPOCH + WINDOW)) == 2


@pytest.mark.parametrize("step", ["others", "record"])
def test_a_repair_and_a_close_at_once_count_nobody_in_more_windows_than_declared(house: World, step: str) -> None:
    """Each looks at who was counted before, and records its own people afterwards; whoever records second has to look again."""
    for message, at in enumerate((0, WINDOW)):
        house.source.put(at, *crowd(PAGES.id, message))
    house.source.broken.add(0)
    house.clock.now = WINDOW
    house.close_due(SHOP)
    house.source.broken.clear()
    house.clock.now = 2 * WINDOW
    met_in(house.sanitiser, "presence", step, lambda: house.close_due(SHOP)).close(SHOP, window(0))
    assert sorted(counted(house, at, "pages") for at in (0, WINDOW)) == [0, 1]
    assert house.sanitiser.due("shop") == []
