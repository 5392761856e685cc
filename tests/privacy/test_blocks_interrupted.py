"""Blocks of correlated noise when a sanitiser dies, and when two work at once; for the odds of a false failure see `test_blocks`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.secrets import Secrets
from privacy.errors import Overtaken
from tacit.core.rootkey import RootKey
from tests.privacy.interruptions import BLOCK_STEPS, Killed, Meeting, dying_in, met_in
from tests.privacy.test_blocks import BLOCK, DWELL, MANY, PREFIX, SHOP, blocks, close_until, come, crowds, ends, kept, newest, places, total
from tests.privacy.world import WINDOW, World, shop, window

STEPS = [("presence", "record"), ("ledger", "charge"), ("releases", "publish"), ("releases", "finish"), *BLOCK_STEPS]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "step"), STEPS, ids=[".".join(s) for s in STEPS])
def test_a_crash_in_every_window_leaves_one_row_for_each_place(house: World, part: str, step: str, after: bool) -> None:
    """Windows in the middle of a block, at its end and at the start of the next one; the state is kept before its row is published."""
    for at in range(BLOCK + 1):
        come(house, at * WINDOW, PREFIX, DWELL, times=at % BLOCK)
        house.clock.now = (at + 1) * WINDOW
        died = False
        try:
            dying_in(house.sanitiser, part, step, after=after).close(SHOP, window(at * WINDOW))
        except Killed:
            died = True
        assert died or step in ("secret", "rows", "keep", "destroy_secrets", "row_before"), "not every place of a block needs these"
        house.close_due(SHOP)
        assert len(kept(house)) == (0 if at % BLOCK == BLOCK - 1 else 2)
    for measure in (PREFIX, DWELL):
        assert places(house, measure) == [0, 1, 2, 0]
        assert crowds(house, measure) == [0, 1, 2, 0]
        assert total(house, measure) == 3
        assert ends(house, measure) == [(blocks(house, measure)[0], "full")]


def test_a_crash_after_publication_does_not_cost_the_state(house: World) -> None:
    """Were the state kept after the row, the row would stand without it, and every crash would end its block."""
    come(house, 0, PREFIX)
    house.clock.now = WINDOW
    with pytest.raises(Killed):
        dying_in(house.sanitiser, "releases", "publish", after=True).close(SHOP, window(0))
    (release,) = [r for r in house.releases.of_window("shop", 0) if r.measure == PREFIX]
    assert release.row is not None
    assert any(release.row.state in name for name in kept(house, PREFIX))


MEETINGS = [
    ("ledger", "charge"),
    ("releases", "last_row"),
    ("secrets", "secret"),
    ("secrets", "keep"),
    ("releases", "rows"),
    ("source", "steady"),
]


@pytest.mark.parametrize("block", [2, MANY])
@pytest.mark.parametrize(
    ("part", "step"), [*MEETINGS, ("releases", "publish")], ids=[".".join(s) for s in [*MEETINGS, ("releases", "publish")]]
)
def test_two_windows_at_once_never_publish_two_rows_from_one_state(house: World, part: str, step: str, block: int) -> None:
    """One sanitiser repairs an earlier window while another closes the next one: one of them computes again from the newer state."""
    running = replace(PREFIX, block=block)
    site = shop(running, epsilon="200")
    for at in range(3):
        come(house, at * WINDOW, running, times=at + 1)
    house.source.broken.add(WINDOW)
    close_until(house, 2 * WINDOW, site)
    house.source.broken.clear()
    house.clock.now = 3 * WINDOW
    other = met_in(house.sanitiser, part, step, lambda: house.close_due(site))
    other.close(site, window(WINDOW))
    house.close_due(site)
    found = house.releases.since("shop", running.id, -1)
    assert len({(r.row.block, r.row.position) for r in found if r.row}) == len(found) == 3
    assert places(house, running) == [0, 1, 2 % block]
    assert (crowds(house, running), total(house, running)) == ([1, 2, 3], 6)
    close_until(house, 4 * WINDOW, site)
    assert len(kept(house)) == (0 if block == 2 else 1)


@pytest.mark.parametrize(("part", "step"), MEETINGS, ids=[".".join(s) for s in MEETINGS])
def test_two_sanitisers_in_one_window_publish_one_row(house: World, part: str, step: str) -> None:
    come(house, 0, PREFIX, times=2)
    close_until(house, WINDOW)
    come(house, WINDOW, PREFIX)
    house.clock.now = 2 * WINDOW
    other = met_in(house.sanitiser, part, step, lambda: house.sanitiser.close(SHOP, window(WINDOW)))
    assert other.close(SHOP, window(WINDOW)) == house.sanitiser.close(SHOP, window(WINDOW))
    assert (places(house, PREFIX), crowds(house, PREFIX)) == ([0, 1], [2, 1])
    close_until(house, 3 * WINDOW)
    assert crowds(house, PREFIX) == [2, 1, 0]


def test_a_state_that_another_sanitiser_destroys_while_it_is_kept_is_computed_again(house: World) -> None:
    """Both start the first block; the faster one's row is published, and the other state leads nowhere."""
    come(house, 0, PREFIX)
    house.clock.now = WINDOW
    secrets = Secrets(house.custody, RootKey(b"r" * 32))
    secrets._files = Meeting(secrets._files, "read", lambda: house.close_due(SHOP))  # type: ignore[assignment]  # kept states are read again
    replace(house.sanitiser, secrets=secrets).close(SHOP, window(0))
    close_until(house, 2 * WINDOW)
    assert (places(house, PREFIX), crowds(house, PREFIX)) == ([0, 1], [1, 0])
    assert len(kept(house, PREFIX)) == 1


def test_the_vault_itself_refuses_a_second_row_of_one_state(house: World) -> None:
    running = replace(PREFIX, block=MANY)
    site = shop(running, epsilon="200")
    close_until(house, 2 * WINDOW, site)
    last = newest(house, running)
    assert house.ledger.charge(site, window(2 * WINDOW), [running])
    again = replace(last, id="rel_again", window=window(2 * WINDOW))
    with pytest.raises(Overtaken):
        house.releases.publish([again], house.evidence)
    assert places(house, running) == [0, 1]
    assert house.releases.closing("shop", 2 * WINDOW) is None
