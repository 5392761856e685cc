"""From released audits to limits on weights: true mixes, trusted edges only, and no strength from noise."""

from __future__ import annotations

from pathlib import Path

import pytest

from adjust.controls import Controls
from adjust.errors import NothingToCorrect
from adjust.group_mixes import orders_for
from adjust.published import Weighed
from tests.adjust.audited import MOBILE, Audited

APART = {"mobile": [0.05, 0.95], "desktop": [0.95, 0.05], "other": [0.5, 0.5]}


def learned(weights: dict[str, list[float]]) -> Weighed:
    return Weighed(weights, [0.5, 0.5], [0.5, 0.5], 2, {"mobile": 55_000.0, "desktop": 45_000.0, "other": 3.0})


def orders(house: Audited, weights: dict[str, list[float]], limit: float) -> dict[str, object]:
    return orders_for(house.site, house.policy, house.releases, learned(weights), limit=limit)


def test_with_strata_each_group_is_the_mix_of_cells_that_it_is(tmp_path: Path) -> None:
    house = Audited(tmp_path, strata=True)
    house.window()
    found = Controls.of(orders(house, APART, 0.05))
    assert found.within is None
    assert [mix.limit for mix in found.mixes] == [0.05, 0.05]
    young, old = found.mixes
    assert young.one == old.other
    for mix, age in ((young, "under_35"), (old, "55_plus")):
        assert set(mix.one) == {"mobile", "desktop"}, "a stratum that holds noise alone holds nobody"
        assert mix.one["mobile"] == pytest.approx(MOBILE[age], abs=0.02)
        assert sum(mix.one.values()) == pytest.approx(1)


def test_without_strata_cells_may_differ_by_as_much_more_as_groups_show_less_of_it(tmp_path: Path) -> None:
    house = Audited(tmp_path)
    house.skewed()
    shows = MOBILE["under_35"] - MOBILE["55_plus"]
    found = Controls.of(orders(house, APART, 0.06))
    assert found.mixes == ()
    assert found.within is not None
    assert found.within <= 0.06 / shows * 1.005, "only outer edges are trusted"
    assert found.within == pytest.approx(0.06 / shows, rel=0.1)


def test_what_shows_too_little_needs_no_order(tmp_path: Path) -> None:
    house = Audited(tmp_path)
    house.skewed()
    mild = {"mobile": [0.52, 0.48], "desktop": [0.5, 0.5], "other": [0.5, 0.5]}
    with pytest.raises(NothingToCorrect, match="beyond that limit"):
        orders(house, mild, 0.05)
    with pytest.raises(NothingToCorrect, match="another cause"):
        orders(house, {cell: [0.5, 0.5] for cell in APART}, 0.05)


def test_before_anything_is_released_there_is_nothing_to_go_by(tmp_path: Path) -> None:
    for strata in (False, True):
        place = tmp_path / str(strata)
        place.mkdir()
        with pytest.raises(NothingToCorrect):
            orders(Audited(place, strata=strata), APART, 0.05)


def test_where_cells_cannot_be_told_apart_the_limit_itself_is_ordered(tmp_path: Path) -> None:
    """Groups differ although no difference between cells was seen: all of what cells differ by may show between groups."""
    house = Audited(tmp_path, learner="fixed")
    house.window()
    found = Controls.of(orders(house, APART, 0.005))
    assert found.within is not None
    assert 0.005 <= found.within < 0.1


def test_people_held_out_do_not_hide_a_difference(tmp_path: Path) -> None:
    house = Audited(tmp_path, holdout=0.4, strata=False)
    house.skewed()
    found = Controls.of(orders(house, APART, 0.06))
    assert found.within == pytest.approx(0.1, rel=0.1)
