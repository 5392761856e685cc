from __future__ import annotations

from decimal import Decimal

import pytest

from privacy.models import Mechanism, Release, noisy
from privacy.plan import plan
from privacy.releases import ReleaseStore
from tacit.core.configuration import parse
from tacit.core.declaration import ValueRange
from tacit.core.errors import InvalidRequest
from tests.privacy.world import WINDOW, World, count, shop, window

DECLARED = parse(
    """
sites:
  shop:
    privacy: {epsilon: 1, delta: 1.0e-6}
    measures:
      dwell: {event: dwell, value: {field: seconds, from: 0, to: 120}, share: 0.2}
    policies:
      headline: {zone: top, arms: {a: {}, b: {}}, context: {device: [mobile]}, reward: {event: click}, share: 0.4}
    audits:
      by_age: {policy: headline, groups: {age: [young, old]}, share: 0.4}
"""
)


def three_windows(house: World) -> ReleaseStore:
    house.clock.now = 3 * WINDOW
    house.close_due(shop(count("a", share="0.4"), count("b", share="0.6", value=ValueRange("seconds", 0, 9))))
    return ReleaseStore(house.released)


def test_what_is_read_back_is_what_was_published(house: World) -> None:
    site = shop(count("b", share="0.6", value=ValueRange("seconds", 0, 9)))
    house.clock.now = WINDOW
    (release,) = house.sanitiser.close(site, window(0))
    (entry, *_) = house.evidence.entries
    assert entry.body["releases"] == [{"id": release.id, "measure": "b", "sha256": release.digest()}]
    assert release.evidence_index == 0
    (again,) = ReleaseStore(house.released).since("shop", release.measure.id, after_ms=-1)
    assert again == release
    assert again.measure.share == Decimal("0.6")


def test_pages_of_a_list_hold_every_release_once_newest_first(house: World) -> None:
    store = three_windows(house)
    found: list[Release] = []
    cursor = None
    while True:
        page, cursor = store.list("shop", limit=2, cursor=cursor)
        found += page
        if cursor is None:
            break
    assert [r.window.start_ms for r in found] == [2 * WINDOW, 2 * WINDOW, WINDOW, WINDOW, 0, 0]
    assert len({r.id for r in found}) == 6


def test_lists_filter_by_measure_time_and_use(house: World) -> None:
    store = three_windows(house)
    (only,), _ = store.list("shop", measure="a", from_ms=WINDOW, to_ms=2 * WINDOW)
    assert (only.measure.name, only.window.start_ms, only.usable) == ("a", WINDOW, None)
    assert store.list("shop", usable_only=True) == ([], None)
    store.set_usable(only.id, True, {"complete": True})
    assert [r.id for r in store.list("shop", usable_only=True)[0]] == [only.id]
    assert store.quality(only.id) == {"complete": True}
    assert store.last_closed("shop") == 3 * WINDOW


def test_a_cursor_of_ones_own_making_is_refused(house: World) -> None:
    with pytest.raises(InvalidRequest):
        ReleaseStore(house.released).list("shop", cursor="x'; drop table releases")


def test_a_trials_cell_is_named_by_context_and_arm_with_the_reward_as_its_bin() -> None:
    measure = DECLARED.sites["shop"].policy_measure("headline")
    release = Release("rel_1", "shop", measure, window(0), Mechanism(scale=4.5), 10**9, noisy(range(measure.length)), 0)
    assert release.cells()[:2] == [
        {"by": {"device": "mobile", "arm": "a"}, "bin": "0", "value": 0, "sd": 4.5},
        {"by": {"device": "mobile", "arm": "a"}, "bin": "1", "value": 1, "sd": 4.5},
    ]
    public = release.to_json()
    assert public["rho"] == 0.001
    assert public["window"] == {"start": "1970-01-01T00:00:00.000Z", "end": "1970-01-01T00:01:00.000Z"}


def test_the_plan_states_noise_needs_and_detectable_differences_before_anything_is_collected() -> None:
    dwell, policy, audit = plan(DECLARED, people=1_000_000)
    assert dwell["sum_sigma"] > dwell["sigma"]
    assert policy["needs"]["rewards_per_cell_and_window"] == pytest.approx(10 * policy["window_sd"] ** 2, abs=1)
    assert 0 < audit["detects"]["difference"]["age"] < 0.05
    assert policy["rho"] == pytest.approx(0.4 * policy["promise"]["rho"])
