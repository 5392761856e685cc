"""Blocks of correlated noise across windows, crashes and lost secrets.

Epsilon is so large here that noise never hides a crowd: the standard deviation of any number is below 1 and half a crowd is 10 people, so a
false failure has a probability below 1e-22 for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ingest.secrets import FOLDER
from privacy import series
from privacy.models import Release
from tacit.core.declaration import Bounds, Measure, Site, ValueRange
from tacit.core.errors import StorageUnavailable
from tests.privacy.test_series import fits
from tests.privacy.world import EPOCH, WINDOW, Row, World, count, shop, window

CROWD, BLOCK = 20, 3
PREFIX = count("prefix", share="0.4", over_time="prefix", block=BLOCK)
DWELL = count("dwell", share="0.4", over_time="sliding:2", block=BLOCK, value=ValueRange("seconds", 0, 9))
SHOP = shop(PREFIX, DWELL, epsilon="200")
MANY = 12
"""A block that never ends here."""


def crowd(at: int, *measures: Measure, first: int | None = None, cell: int = 0) -> list[Row]:
    """Twenty people, new ones in every window unless `first` says who."""
    people = range(at if first is None else first, (at if first is None else first) + CROWD)
    return [(person, person, at, m.id, cell, 5) for m in measures for person in people]


def come(house: World, at: int, *measures: Measure, times: int = 1) -> None:
    """So many new crowds come in a window."""
    for nth in range(times):
        house.source.put(at, *crowd(at, *measures, first=at + nth * CROWD))


def crowds(house: World, measure: Measure) -> list[int]:
    """The first cell's estimates, in crowds, window by window."""
    return [round(r.values[0] / CROWD) for r in house.releases.since("shop", measure.id, -1)]


def total(house: World, measure: Measure) -> int:
    found = series.total(house.releases.since("shop", measure.id, -1))
    assert found is not None
    assert found.sd < 1
    return round(found.values[0] / CROWD)


def places(house: World, measure: Measure) -> list[int]:
    """Positions in the order of publication."""
    found = house.releases.since("shop", measure.id, -1)
    return [r.row.position for r in sorted(found, key=lambda r: r.evidence_index or 0) if r.row]


def blocks(house: World, measure: Measure) -> list[str]:
    """The blocks in the order of publication."""
    found = sorted(house.releases.since("shop", measure.id, -1), key=lambda r: r.evidence_index or 0)
    return list(dict.fromkeys(r.row.block for r in found if r.row))


def ends(house: World, measure: Measure) -> list[tuple[str, str]]:
    """What the evidence log says of this measure's blocks."""
    return [
        (e.body["block"], e.body["reason"])
        for e in house.evidence.entries
        if e.kind == "key.destroyed" and e.body["scope"] == "block" and e.body["measure"] == measure.name
    ]


def kept(house: World, measure: Measure | None = None) -> list[str]:
    """Files in custody."""
    folder = house.custody / "shop" / FOLDER
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [name for name in names if measure is None or str(measure.id) in name]


def reboot(house: World) -> None:
    """Custody in memory loses everything."""
    for name in kept(house):
        (house.custody / "shop" / FOLDER / name).unlink()


def close_until(house: World, end_ms: int, site: Site = SHOP) -> None:
    house.clock.now = end_ms
    house.close_due(site)


def test_a_person_is_counted_once_though_later_rows_carry_the_past(house: World) -> None:
    twice = count("twice", share="0.2", over_time="prefix", block=8, bounds=Bounds(windows=2))
    once = count("once", share="0.2", over_time="prefix", block=8)
    for at in (0, WINDOW, 2 * WINDOW, EPOCH):
        house.source.put(at, *crowd(at, once, twice, first=0))
    close_until(house, EPOCH + WINDOW, shop(once, twice, epsilon="200"))
    assert crowds(house, once) == [1, 0, 0, 0, 1], "once in each epoch, and blocks go on across epochs"
    assert crowds(house, twice) == [1, 1, 0, 0, 1]
    assert (places(house, once), total(house, once), total(house, twice)) == ([0, 1, 2, 3, 4], 2, 3)


def test_a_block_ends_at_its_length_with_one_entry_of_evidence(house: World) -> None:
    come(house, 0, PREFIX)
    come(house, BLOCK * WINDOW, PREFIX, times=2)
    close_until(house, 2 * BLOCK * WINDOW + WINDOW)
    assert places(house, PREFIX) == [0, 1, 2, 0, 1, 2, 0]
    first, second, _ = blocks(house, PREFIX)
    assert ends(house, PREFIX) == [(first, "full"), (second, "full")]
    assert crowds(house, PREFIX) == [1, 0, 0, 2, 0, 0, 0]
    assert total(house, PREFIX) == 3


def test_a_full_block_leaves_no_secret(house: World) -> None:
    close_until(house, (BLOCK - 1) * WINDOW)
    assert len(kept(house)) == 2
    close_until(house, BLOCK * WINDOW)
    assert kept(house) == []


def test_a_running_block_keeps_one_secret_and_no_pseudonym_in_it(house: World) -> None:
    for at in range(BLOCK - 1):
        come(house, at * WINDOW, PREFIX)
        close_until(house, (at + 1) * WINDOW)
        assert len(kept(house, PREFIX)) == len(kept(house, DWELL)) == 1
    (name,) = kept(house, PREFIX)
    content = house.secrets.secret("shop", name)
    assert content is not None
    assert len(content) < 200, "three cells and a few sums, however many people came"


@pytest.mark.parametrize("lost_after", [1, 2, 3])
def test_a_lost_state_starts_a_new_block_and_nothing_is_lost_of_what_was_published(house: World, lost_after: int) -> None:
    for at in range(2 * BLOCK):
        come(house, at * WINDOW, PREFIX, DWELL, times=at % 2 + 1)
    close_until(house, lost_after * WINDOW)
    reboot(house)
    close_until(house, 2 * BLOCK * WINDOW)
    for measure in (PREFIX, DWELL):
        expected = [*range(lost_after), *range(BLOCK), *range(BLOCK)]
        assert places(house, measure) == expected[: 2 * BLOCK]
        assert crowds(house, measure) == [1, 2, 1, 2, 1, 2]
        assert total(house, measure) == 9
        first, *_ = blocks(house, measure)
        assert ends(house, measure)[0] == (first, "full" if lost_after == BLOCK else "replaced")
        assert len(ends(house, measure)) == len(set(ends(house, measure)))


def test_a_state_that_is_something_else_counts_as_lost(house: World) -> None:
    close_until(house, WINDOW)
    (name,) = kept(house, PREFIX)
    reboot(house)
    house.secrets.keep("shop", name, b"not a state")
    come(house, WINDOW, PREFIX)
    close_until(house, 2 * WINDOW)
    assert (places(house, PREFIX), crowds(house, PREFIX)) == ([0, 0], [0, 1])
    assert len(kept(house, PREFIX)) == 1


@pytest.mark.parametrize("epsilon", ["100", "200"])
def test_a_changed_epsilon_starts_a_new_block_and_leaves_nothing_of_the_old_one(house: World, epsilon: str) -> None:
    running = replace(PREFIX, block=MANY)
    come(house, 0, running)
    come(house, EPOCH, running, times=2)
    close_until(house, EPOCH, shop(running, epsilon="150"))
    (before,) = kept(house, running)
    assert places(house, running) == [0, 1, 2, 3]
    close_until(house, EPOCH + WINDOW, shop(running, epsilon=epsilon))
    assert places(house, running) == [0, 1, 2, 3, 0]
    first, _ = blocks(house, running)
    assert ends(house, running) == [(first, "replaced")]
    (after,) = kept(house, running)
    assert after != before, "what the log calls destroyed is destroyed"
    close_until(house, EPOCH + 2 * WINDOW, shop(running, epsilon=epsilon))
    assert (crowds(house, running), len(kept(house))) == ([1, 0, 0, 0, 2, 0], 1)
    scales = [r.mechanism.scale for r in house.releases.since("shop", running.id, -1)]
    assert len(set(scales[:4])) == len(set(scales[4:])) == 1
    assert (scales[4] < scales[0]) == (epsilon == "200")


def test_a_reservation_that_stands_keeps_its_block_whatever_epsilon_is_declared_meanwhile(house: World) -> None:
    close_until(house, WINDOW)
    close_until(house, 2 * WINDOW, replace(SHOP, privacy=replace(SHOP.privacy, epsilon=SHOP.privacy.epsilon / 4)))
    assert places(house, PREFIX) == [0, 1]


def test_a_measure_that_is_no_longer_declared_leaves_no_secret(house: World) -> None:
    close_until(house, WINDOW)
    assert len(kept(house)) == 2
    close_until(house, 2 * WINDOW, shop(PREFIX, epsilon="200"))
    assert kept(house) == kept(house, PREFIX)
    changed = replace(PREFIX, block=BLOCK + 1)
    close_until(house, EPOCH + WINDOW, shop(changed, epsilon="200"))
    assert kept(house) == kept(house, changed)
    assert len(kept(house)) == 1


def test_custody_that_takes_nothing_publishes_nothing(house: World) -> None:
    class Full:
        def keep(self, site: str, name: str, content: bytes) -> None:
            raise StorageUnavailable("no room")

        def __getattr__(self, name: str) -> Any:
            return getattr(house.secrets, name)

    house.clock.now = WINDOW
    with pytest.raises(StorageUnavailable):
        replace(house.sanitiser, secrets=Full()).close(SHOP, window(0))
    assert house.releases.of_window("shop", 0) == []
    house.close_due(SHOP)
    assert places(house, PREFIX) == [0]


def test_a_window_that_failed_takes_the_next_place_when_it_is_repaired(house: World) -> None:
    running = replace(PREFIX, block=MANY)
    site = shop(running, epsilon="200")
    for at in range(3):
        come(house, at * WINDOW, running, times=at + 1)
    house.source.broken.add(WINDOW)
    close_until(house, 3 * WINDOW, site)
    assert (places(house, running), crowds(house, running)) == ([0, 1], [1, 3])
    house.source.broken.clear()
    house.sanitiser.close(site, window(WINDOW))
    assert places(house, running) == [0, 1, 2]
    assert [r.row.position for r in house.releases.since("shop", running.id, -1) if r.row] == [0, 2, 1]
    assert (crowds(house, running), total(house, running), len(kept(house))) == ([1, 2, 3], 6, 1)


def test_numbers_that_are_thrown_away_leave_no_secret(house: World) -> None:
    """Somebody withdraws between counting and publishing: the state that had them in it goes as well."""
    house.clock.now = WINDOW
    come(house, 0, PREFIX)
    house.source.put(0, *crowd(0, PREFIX, first=CROWD)[:1])
    house.source.withdrawing[0] = CROWD
    house.close_due(SHOP)
    (release,) = [r for r in house.releases.of_window("shop", 0) if r.measure == PREFIX]
    assert release.row is not None
    assert [name.endswith(release.row.state) for name in kept(house, PREFIX)] == [True]
    come(house, WINDOW, PREFIX)
    close_until(house, 2 * WINDOW)
    assert total(house, PREFIX) == 2


def newest(house: World, measure: Measure) -> Release:
    found: Sequence[Release] = house.releases.since("shop", measure.id, -1)
    return found[-1]


def test_the_first_blocks_of_prefix_sums_are_short_and_double(house: World) -> None:
    """A lost state begins a block of the same length again; sums over all of them still have the noise that they state."""
    site = shop(count("long", over_time="prefix", block=64, cells=400))
    house.clock.now = 30 * WINDOW
    house.close_due(site)
    house.secrets.destroy_secrets("shop", "")
    house.clock.now = 70 * WINDOW
    house.close_due(site)
    found = house.releases.since("shop", site.measures[0].id, -1)
    rows = [r.row for r in found if r.row is not None]
    blocks = list(dict.fromkeys((row.block, row.strategy.length) for row in rows))
    assert [length for _, length in blocks] == [16, 32, 32, 64]
    assert [sum(row.block == block for row in rows) for block, _ in blocks] == [16, 14, 32, 8]
    sums = series.total(found)
    assert sums is not None
    assert fits(sums.values, sums.sd)


def test_blocks_of_sliding_sums_are_as_long_as_declared_from_the_start(house: World) -> None:
    site = shop(count("slide", over_time="sliding:3", block=40))
    house.clock.now = WINDOW
    house.close_due(site)
    (release,) = house.releases.of_window("shop", 0)
    assert release.row is not None
    assert release.row.strategy.length == 40
