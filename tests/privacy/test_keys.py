"""Undeclared keys: only those that enough people sent are named, and what that may cost is in the ledger.

False failure: OpenDP certifies that a key of one person is shown with a probability of at most 1e-7 here, and the statistics over
thousands of keys lie outside their two-sided 1e-10 quantiles with a probability of 2e-10.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import NormalDist
from typing import Any

import pytest

from privacy import accounting
from privacy.blocks import Blocks
from privacy.bounding import Bounded
from privacy.budget import BudgetView
from privacy.errors import NotCertified
from privacy.ledger import DELTA_EXHAUSTED, SHARE_TOO_SMALL, Charge
from privacy.making import Making
from privacy.models import ATTO, Release, Window
from privacy.ports import Contributions
from tacit.core.declaration import Bounds, Keys, Kind, Measure
from tests.privacy.test_series import fits
from tests.privacy.world import EPOCH, WINDOW, MemorySource, World, count, shop, window

ALMOST_SURE = NormalDist().inv_cdf(1 - 1e-10)


def searches(*, delta_share: str = "0.1", windows: int = 1, per_window: int = 1, share: str = "0.5") -> Measure:
    return replace(
        count("searches", share=share, bounds=Bounds(windows=windows, per_window=per_window)),
        kind=Kind.KEYS,
        dimensions=(),
        keys=Keys("word", Decimal(delta_share)),
    )


def made(house: World, counts: Mapping[str, int], measure: Measure | None = None) -> Release:
    """What is released of these exact counts."""
    asked = measure or searches()
    (charge,) = house.ledger.charge(shop(asked), window(0), [asked]).values()
    return from_counts(house, asked, charge, dict(enumerate(counts.values())), dict(enumerate(counts)))


def from_counts(house: World, measure: Measure, charge: Charge, counts: dict[int, int], names: dict[int, str]) -> Release:
    making = Making(window(0), 0, Blocks(house.secrets, house.releases))
    return making.release(measure, Bounded({}, {measure.id: counts}, {}), charge, names)


def test_only_keys_above_the_threshold_are_named_in_alphabetical_order(house: World) -> None:
    counts = {"zebra": 10_000, "apple": 20_000, "my own name": 1, "éclair": 30_000, "": 5_000}
    release = made(house, counts)
    assert release.keys == ("", "apple", "zebra", "éclair")
    assert release.threshold is not None
    assert all(value >= release.threshold for value in release.vector)
    for key, value in zip(release.keys, release.vector, strict=True):
        assert abs(value - counts[key]) <= 6.5 * release.sd


def test_what_is_suppressed_is_said_and_nothing_of_it_is_published(house: World) -> None:
    release = made(house, {"apple": 10_000, "my own name": 1})
    house.releases.publish([release], house.evidence)
    (again,) = house.releases.of_window("shop", 0)
    assert replace(again, evidence_index=None) == release
    (entry,) = house.evidence.entries
    assert entry.body["releases"][0]["sha256"] == again.digest(), "what is read back is what the log vouches for"
    public = again.to_json()
    assert public["suppressed"] == {"below": release.threshold}
    assert [cell["by"] for cell in public["cells"]] == [{"word": "apple"}]
    assert "my own name" not in str(public)


def test_where_nobody_sent_anything_the_release_is_empty_and_says_the_same_threshold(house: World) -> None:
    release = made(house, {})
    assert (release.keys, release.vector) == ((), ())
    assert release.threshold == made(house, {"apple": 10_000}).threshold


def test_the_noise_of_shown_keys_has_the_standard_deviation_that_is_stated(house: World) -> None:
    release = made(house, {f"key {n}": 10_000 for n in range(4_000)})
    noise = [value - 10_000 for value in release.vector]
    assert len(noise) == 4_000
    assert fits(noise, release.sd)
    assert not fits([value / 2 for value in noise], release.sd)
    rho = accounting.rho_of(Decimal(1), Decimal("0.9e-6")) * 1e-12 / 2
    assert release.sd == pytest.approx(1 / math.sqrt(2 * rho), rel=1e-6)


def test_the_noise_decides_at_the_threshold(house: World) -> None:
    """Of keys whose exact count is the threshold, those are shown whose noise is not negative: half, and half of what is drawn as 0."""
    asked = searches()
    threshold = made(house, {}, asked).threshold
    assert threshold is not None
    release = made(house, {f"key {n}": threshold for n in range(4_000)}, asked)
    odds = 0.5 + 0.5 / (release.sd * math.sqrt(2 * math.pi))
    assert abs(len(release.vector) - 4_000 * odds) <= ALMOST_SURE * math.sqrt(4_000 * odds * (1 - odds))


@pytest.mark.parametrize(("windows", "per_window"), [(1, 1), (3, 1), (1, 3)])
def test_the_threshold_hides_a_key_of_one_person_as_surely_as_its_delta_says(house: World, windows: int, per_window: int) -> None:
    """A person's key has the count 1 and is shown where noise reaches threshold - 1; any of `per_window` keys in each window may be."""
    asked = searches(windows=windows, per_window=per_window)
    release = made(house, {}, asked)
    assert release.threshold is not None
    shown = per_window * NormalDist(0, release.sd).cdf(-(release.threshold - 1 - 0.5))
    assert shown * windows <= 1.05e-7  # half a count is the continuity correction; OpenDP's own map decides, below
    assert NormalDist(0, release.sd).cdf(-(release.threshold - 3)) * per_window * windows > 1e-7, "and no more is hidden than that asks for"


def test_a_key_without_its_spelling_is_suppressed_and_two_of_one_spelling_are_one_key(house: World) -> None:
    asked = searches()
    (charge,) = house.ledger.charge(shop(asked), window(0), [asked]).values()
    release = from_counts(house, asked, charge, {0: 10_000, 1: 20_000, 2: 5_000}, {0: "apple", 2: "apple"})
    assert release.keys == ("apple",)
    assert abs(release.vector[0] - 15_000) <= 6.5 * release.sd


def test_a_release_states_its_delta_nowhere_but_in_the_ledger_where_it_stays_within_the_promise(house: World) -> None:
    asked, other = searches(delta_share="0.1", windows=2), replace(searches(delta_share="0.3", share="0.2"), name="places")
    site = shop(asked, other)
    house.clock.now = 2 * WINDOW
    house.close_due(site)
    (epoch,) = BudgetView(house.released).epochs("shop")
    assert {s.measure: s.delta_atto for s in epoch.spends} == {"searches": ATTO // 10**7, "places": 3 * ATTO // 10**7}
    assert epoch.keys_atto == sum(s.delta_atto for s in epoch.spends)
    charged = house.ledger.charge(site, window(0), site.measures)
    assert charged[asked.id].delta_atto == ATTO // 10**7 // 2, "half of it in each of two windows"
    assert epoch.rho_pico == accounting.rho_of(Decimal(1), Decimal("0.6e-6")), "what keys may use is not used twice"


def test_an_epoch_that_was_opened_without_delta_for_keys_refuses_them(house: World) -> None:
    asked = searches()
    house.clock.now = WINDOW
    house.close_due(shop())
    house.clock.now = 2 * WINDOW
    house.close_due(shop(asked))
    assert house.releases.of_window("shop", WINDOW) == []
    (epoch,) = BudgetView(house.released).epochs("shop")
    assert [(r.measure, r.reason) for r in epoch.refusals] == [("searches", DELTA_EXHAUSTED)]
    assert epoch.spends == ()
    house.clock.now = EPOCH + WINDOW
    house.close_due(shop(asked))
    assert len(house.releases.of_window("shop", EPOCH)) == 1


def test_more_delta_than_the_epoch_promised_for_keys_is_refused(house: World) -> None:
    first = searches(delta_share="0.1", share="0.2")
    house.ledger.charge(shop(first), window(0), [first])
    second = replace(searches(delta_share="0.1", share="0.2"), name="places")
    assert house.ledger.charge(shop(first, second), window(0), [first, second]).keys() == {first.id}
    larger = searches(delta_share="0.2", share="0.2")
    assert house.ledger.charge(shop(larger), window(0), [larger]) == {}


def test_a_delta_too_small_to_divide_is_refused_and_never_rounded_up(house: World) -> None:
    asked = searches(delta_share="0.000000000001", windows=2)
    assert house.ledger.charge(shop(asked), window(0), [asked]) == {}
    (epoch,) = BudgetView(house.released).epochs("shop")
    assert [r.reason for r in epoch.refusals] == [SHARE_TOO_SMALL]


def test_nothing_is_named_without_a_charge_of_delta(house: World) -> None:
    with pytest.raises(NotCertified):
        from_counts(house, searches(), Charge(10**10, 0), {0: 10_000}, {0: "apple"})


@dataclass
class Spelling:
    """The event source, which spells undeclared keys."""

    source: MemorySource
    names: Mapping[int, Mapping[int, str]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def contributions(self, window: Window) -> Contributions:
        return replace(self.source.contributions(window), names=self.names)


def test_a_person_adds_to_as_many_keys_as_declared_and_in_as_many_windows(house: World) -> None:
    people, words = 5_000, 5
    asked = searches(per_window=2)
    spelled = {word: f"word {word}" for word in range(words)}
    sanitiser = replace(house.sanitiser, source=Spelling(house.source, {asked.id: spelled}))
    for at in (0, WINDOW):
        everything = [(p, p * 31 % 97 + word * 7 % 5, at * 10 + word, asked.id, word, 0) for p in range(people) for word in range(words)]
        house.source.put(at, *everything)
    house.clock.now = 2 * WINDOW
    (first,), (second,) = (sanitiser.close(shop(asked), window(at)) for at in (0, WINDOW))
    assert set(first.keys or ()) <= set(spelled.values())
    assert abs(sum(first.vector) - 2 * people) <= 6.5 * first.sd * math.sqrt(words), "two of the five words that each of them sent"
    assert second.keys == (), "everybody was counted in the window before"
