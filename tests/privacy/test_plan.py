"""The plan's formulas against exact algebra, real noise and the rooms that read releases; its costs against the ledger, digit for digit."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from audit.inference import NoisyTable, infer
from privacy import accounting, noise
from privacy.budget import BudgetView
from privacy.local import keep_probability, other_probability
from privacy.models import ATTO, PICO, Window
from privacy.outlook import Outlook, Traffic, outlook, reach
from privacy.plan import plan, plan_site
from privacy.plan_needs import cell_sd
from privacy.strategy import Strategy, inverse, spread
from tacit.core.configuration import load, parse
from tacit.core.declaration import Bounds, Declaration, Kind, ValueRange
from tests.privacy.world import EPOCH, WINDOW, World, count, shop

ROOT = Path(__file__).parents[2]
DEMO = load(ROOT / "tacit" / "cases" / "headline-prominence.yaml")

EVERYTHING = parse(
    """
sites:
  shop:
    privacy: {epsilon: 1, delta: 1.0e-6, epoch: 1d, window: 1h}
    measures:
      dwell: {event: dwell, value: {field: seconds, from: 0, to: 120}, share: 0.2, over_time: prefix, block: 48}
      recent: {event: page, by: {zone: [hero, body]}, share: 0.1, over_time: {sliding: 7}, windows: 2, block: 48}
      often: {event: page, by: {zone: [hero, body]}, share: 0.05, over_time: {sliding: 7}, windows: 24, block: 48}
      terms: {event: search, keys: {field: term, delta_share: 0.123}, per_window: 4, windows: 3, share: 0.1}
      mood: {event: mood, by: {mood: [good, bad, unsure]}, local: {epsilon: 1}, per_window: 2, share: 0.1}
      lost: {event: lost, windows: 24, share: 0.0000000001}
    policies:
      headline:
        zone: top
        arms: {a: {}, b: {}}
        context: {device: [mobile]}
        reward: {event: click}
        share: 0.15
        kpis: {bounce: {kind: rate, share: 0.05}}
    audits:
      by_age: {policy: headline, groups: {age: [young, old]}, share: 0.1}
    consent_choices: {share: 0.0333}
"""
)
SHOP = EVERYTHING.sites["shop"]


def row(name: str, **traffic: float) -> dict:
    return next(r for r in plan(EVERYTHING, **traffic) if r["measure"] == name)


@pytest.mark.parametrize("declaration", [DEMO, EVERYTHING])
def test_the_ledger_charges_to_the_last_digit_what_the_plan_says(house: World, declaration: Declaration) -> None:
    (site,) = declaration.sites.values()
    window = Window(site.name, 0, site.privacy.window_ms, 0)
    charged = house.ledger.charge(site, window, site.measures)
    (epoch,) = BudgetView(house.released).epochs(site.name)
    rows = {r["measure"]: r for r in plan(declaration)}
    promise = rows[site.measures[0].name]["promise"]

    released = {name for name, r in rows.items() if r["mechanism"]}
    assert {m.name for m in site.measures if m.id in charged} == released
    for measure in site.measures:
        if measure.id in charged:
            planned = rows[measure.name]
            assert (charged[measure.id].rho_pico, charged[measure.id].delta_atto) == (
                planned["window_rho_pico"],
                planned["window_delta_atto"],
            )
    assert {s.measure: (s.rho_pico, s.delta_atto) for s in epoch.spends} == {
        name: (rows[name]["rho_pico"], rows[name]["delta_atto"]) for name in released
    }
    assert {r.measure: r.wanted_pico for r in epoch.refusals} == {n: rows[n]["rho_pico"] for n in rows.keys() - released}
    assert (epoch.rho_pico, epoch.spent_pico, epoch.keys_atto) == (promise["rho_pico"], promise["reserved_pico"], promise["keys_atto"])
    assert epoch.epsilon_spent == repr(promise["epsilon_reserved"])
    assert epoch.accumulated == promise["accumulated"]
    assert promise["left_pico"] == epoch.rho_pico - epoch.spent_pico

    public = epoch.to_json()
    assert {s["measure"]: s["rho"] for s in public["spends"]} == {n: rows[n]["rho"] for n in released}
    assert public["rho"]["promised"] == promise["rho"]
    assert public["epsilon"] == {"promised": promise["epsilon"], "spent": promise["epsilon_reserved"]}


def test_what_is_left_is_an_exact_decimal() -> None:
    promise = plan_site(SHOP)["promise"]
    assert Decimal(promise["share_left"]) == 1 - sum(m.share for m in SHOP.measures)
    assert sum(map(Decimal, promise["shares"].values())) + Decimal(promise["share_left"]) == 1
    assert Decimal(promise["delta_for_keys"]) + Decimal(promise["delta_for_noise"]) == SHOP.privacy.delta
    assert promise["keys_atto"] == 123 * 10**9 == int(Decimal(promise["delta_for_keys"]) * ATTO)


def test_a_plan_is_plain_json_for_every_kind_and_any_traffic() -> None:
    for traffic in (Traffic(1), Traffic(10**9, 50.0)):
        whole = plan_site(SHOP, traffic)
        assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    assert {r["kind"] for r in plan(EVERYTHING)} == {k.value for k in Kind} - {"people", "transitions"}


def strategy_of(over_time: str, block: int, windows: int = 1) -> Strategy:
    found = accounting.choice(count(over_time=over_time, block=block, bounds=Bounds(windows=windows))).strategy
    assert found is not None
    return found


@pytest.mark.parametrize(("over_time", "block"), [("prefix", 24), ("sliding:7", 24), ("prefix", 9)])
@pytest.mark.parametrize("windows", [1, 2, 7, 24, 31])
def test_a_sum_over_time_is_never_noisier_than_the_plan_says_and_hardly_better(over_time: str, block: int, windows: int) -> None:
    """Against dense algebra at every place that the sum can have in a row of blocks."""
    strategy = strategy_of(over_time, block)
    blocks = 1 + math.ceil((windows + block) / block)
    one = np.array([[inverse(strategy)[i - j] if i >= j else 0.0 for j in range(block)] for i in range(block)])
    decode = np.kron(np.eye(blocks), one)
    sds = [float(np.linalg.norm(decode[start : start + windows].sum(0))) for start in range(block)]
    assert max(sds) <= reach(strategy, windows) * 1.01
    assert reach(strategy, windows) <= max(sds) * (1 + 1e-9)
    assert [reach(strategy, windows, start) for start in range(block)] == pytest.approx(sds)


def test_published_noise_has_the_spread_that_was_planned(house: World) -> None:
    """A block without people, 3,000 cells: a sample sd is off by 1.3 % (one sd), so 7 %, five times, falsely fails in 3e-7 of runs."""
    measure = count(cells=3_000, over_time="prefix", block=8, value=ValueRange("seconds", 0, 120))
    site = shop(measure)
    house.clock.now = 2 * EPOCH
    house.close_due(site)
    releases = house.releases.since("shop", measure.id, after_ms=-1)
    assert len(releases) == 8 == 2 * EPOCH // WINDOW
    (planned,) = plan_site(site)["measures"]
    last = releases[-1]
    assert (planned["sigma"], planned["sum_sigma"]) == (last.mechanism.scale, last.mechanism.sum_scale)
    assert (planned["window_sd"], planned["sum_window_sd"]) == pytest.approx((last.sd, last.sum_sd))
    values = np.array([r.values for r in releases])
    counts, sums = values[:, :3_000], values[:, 3_000:]
    epoch, block = planned["sums"]
    assert float(counts[-1].std()) == pytest.approx(planned["window_sd"], rel=0.07)
    assert float(counts[4:].sum(0).std()) == pytest.approx(epoch["sd_inside"], rel=0.07)
    assert float(sums[4:].sum(0).std()) == pytest.approx(planned["sum_sigma"] * spread(strategy_of("prefix", 8), range(4, 8)), rel=0.07)
    assert float(counts.sum(0).std()) == pytest.approx(block["sd"], rel=0.07)
    assert float(sums.sum(0).std()) == pytest.approx(block["sum_sd"], rel=0.07)


def test_the_mechanism_is_the_one_that_releases_use_and_its_reason_is_stated() -> None:
    dwell, recent, often, terms = row("dwell"), row("recent"), row("often"), row("terms")
    assert dwell["strategy"]["over_time"] == "prefix"
    assert dwell["strategy"]["block_windows"] == 48
    assert dwell["strategy"]["block_ms"] == 48 * 3_600_000
    assert dwell["strategy"]["remembers"]["numbers"] == 2 * dwell["strategy"]["remembers"]["vectors"]
    assert dwell["error"]["of_sums"] < dwell["error"]["independent"]
    assert f"{dwell['error']['independent'] / dwell['error']['of_sums']:.2f} times less error" in dwell["why"]
    assert recent["strategy"]["over_time"] == "sliding:7"
    assert [s["of"] for s in recent["sums"]] == ["epoch", "last"]
    assert recent["sums"][1]["times_less"] > 1
    assert often["strategy"] is None
    assert "independent" in often["why"]
    assert often["sums"][1] == pytest.approx(
        {**often["sums"][1], "sd": often["sigma"] * math.sqrt(7), "sd_inside": often["sigma"] * math.sqrt(7), "times_less": 1.0}
    )
    assert (terms["mechanism"], terms["sums"]) == ("discrete_gaussian_threshold", [])
    lost = row("lost")
    assert lost["mechanism"] is None
    assert "never released" in lost["warning"]


def test_the_error_at_a_traffic_is_noise_over_the_expected_count() -> None:
    found = row("recent", people=30_000, contributions=10)
    assert found["expected"] == pytest.approx(
        {"window": 30_000 * 2 / 3 / 24, "epoch": 30_000 * 2 / 3}
    )  # two windows, one contribution each
    assert found["relative_error"]["window"] == pytest.approx(found["window_sd"] / found["expected"]["window"])
    assert found["relative_error"]["epoch"] == pytest.approx(found["sums"][0]["sd"] / found["expected"]["epoch"])
    few = count(cells=3, bounds=Bounds(windows=2, per_window=9, per_cell=2))
    assert outlook(shop(few), few, Traffic(360, 50.0)).expected == 2 * 3 * 2  # one person: three cells twice, in two windows
    assert row("consent.choices")["expected"]["epoch"] == pytest.approx(10_000 * 3 / 9)
    longer = replace(SHOP, privacy=replace(SHOP.privacy, epoch_ms=7 * SHOP.privacy.epoch_ms))
    assert plan_site(longer)["traffic"]["people_in_epoch"] == 70_000


def policy_row(over_time: str, people: int = 10_000) -> dict:
    site = replace(SHOP, measures=(replace(SHOP.policy_measure("headline"), over_time=over_time, block=240),))
    (found,) = plan_site(site, Traffic(people))["measures"]
    return found


@pytest.mark.parametrize("over_time", ["none", "prefix"])
def test_noise_costs_a_policy_under_ten_per_cent_from_the_stated_people_on(over_time: str) -> None:
    found = policy_row(over_time)
    needs = found["needs"]
    variance = needs["variance_per_cell_and_epoch"]
    assert variance == pytest.approx(found["sums"][0]["sd"] ** 2)
    assert needs["rewards_per_cell_and_epoch"] == math.ceil(10 * variance)
    assert needs["rewards_per_cell_and_window"] == math.ceil(10 * found["window_sd"] ** 2)
    for rate, people in needs["people_per_epoch"].items():
        rewards = people * 0.95 * float(rate) / (2 * 2)  # 5 % holdout, two cells of context, two arms
        assert 1 + variance / rewards == pytest.approx(1.1)
        assert policy_row(over_time, people)["needs"]["noise_factor"][rate] == pytest.approx(1.1, abs=1e-4)


def test_over_a_block_of_correlated_noise_a_policy_learns_from_what_the_block_leaves() -> None:
    plain, better = policy_row("none"), policy_row("prefix")
    assert plain["needs"]["horizon"]["windows"] == 24
    assert plain["needs"]["horizon"]["noise_factor"] == plain["needs"]["noise_factor"]
    horizon = better["needs"]["horizon"]
    assert horizon["windows"] == 240
    assert horizon["variance_per_cell"] == pytest.approx((better["sigma"] * spread(strategy_of("prefix", 240), range(240))) ** 2)
    for rate, people in horizon["people_per_epoch"].items():
        assert policy_row("prefix", people)["needs"]["horizon"]["noise_factor"][rate] == pytest.approx(1.1, abs=1e-4)
        assert horizon["noise_factor"][rate] < better["needs"]["noise_factor"][rate] < plain["needs"]["noise_factor"][rate]


@pytest.mark.parametrize(
    ("groups", "arms", "holdout"),
    [
        ("{age: [young, old]}", "{a: {}, b: {}}", 0.05),
        ("{age: [young, old]}", "{a: {}, b: {}}", 0),
        ("{age: [young, middle, old], region: [north, south]}", "{a: {}, b: {}, c: {}}", 0),
        ("{age: [young, middle, old], region: [all]}", "{a: {}, b: {}}", 0.1),
    ],
)
def test_the_detectable_difference_is_the_scans_own_for_a_table_of_even_people(groups: str, arms: str, holdout: float) -> None:
    """Every rate is 10 % and nobody is unknown to the scan's arithmetic: the plan and the scan then know the same."""
    declaration = parse(
        "sites: {shop: {privacy: {epsilon: 1, delta: 1.0e-6, window: 1h}, "
        f"policies: {{headline: {{zone: top, arms: {arms}, holdout: {holdout}, reward: {{event: click}}, share: 0.5}}}}, "
        f"audits: {{by: {{policy: headline, groups: {groups}, limit: 0.002, share: 0.5}}}}}}}}"
    )
    site = declaration.sites["shop"]
    measure = site.measures[1]
    places = measure.cells // 2
    people = 10 * places * 100_000
    detects = next(r for r in plan(declaration, people=people) if r["kind"] == "audit")["detects"]
    found = outlook(site, measure, Traffic(people))

    def scanned(epochs: int, per_place: int = 1_000_000) -> dict[str, float]:
        values = tuple(per_place * epochs * (0.1 if labels["reward"] == "1" else 0.9) for labels in measure.all_labels)
        table = NoisyTable(measure, values, found.sd(found.windows * epochs) ** 2, 24 * epochs)
        return {c.dimension: c.detectable for c in infer(table, 0.02).comparisons if c.statistic == "reward" and c.detectable}

    assert detects["difference"] == pytest.approx(scanned(1))
    few = 2_000
    detects = next(r for r in plan(declaration, people=few * places) if r["kind"] == "audit")["detects"]
    assert (detects["limit"], detects["epochs_to_limit"].keys()) == (0.002, detects["difference"].keys())
    for name, epochs in detects["epochs_to_limit"].items():
        assert epochs > 1
        assert scanned(epochs, few)[name] <= 0.002 < scanned(epochs - 1, few)[name]


def test_an_audit_with_one_group_compares_nothing() -> None:
    site = replace(SHOP, audits={"by_age": replace(SHOP.audits["by_age"], groups=())})
    measure = site.measures[-2]
    alone = replace(measure, dimensions=(replace(measure.dimensions[0], values=("young",)), *measure.dimensions[1:]))
    found = next(r for r in plan_site(replace(site, measures=(alone,)))["measures"])
    assert (found["detects"]["difference"], found["detects"]["comparisons"]) == ({}, 0)


def test_undeclared_keys_are_shown_as_often_as_planned() -> None:
    """8,000 keys: a part near a half is off by 0.56 points (one sd), so 3.5 points, 0.4 of them for ties, falsely fail in 1e-7 of runs."""
    planned = row("terms")
    measure = next(m for m in SHOP.measures if m.name == "terms")
    certified = accounting.plan_window(measure, planned["window_rho_pico"])
    assert certified is not None
    shown = planned["shown"]
    assert shown["threshold"] == accounting.threshold_for(measure, planned["window_rho_pico"], planned["window_delta_atto"])

    def part(people: int) -> float:
        keys = {f"k{i}": people for i in range(8_000)}
        bounds = (measure.bounds.per_window, certified.count_sensitivity, 1.0)
        costs = {"rho_pico": certified.count_rho_pico, "delta": Fraction(planned["window_delta_atto"], ATTO)}
        return len(noise.thresholded(keys, certified.count_scale, shown["threshold"], bounds=bounds, **costs)) / 8_000

    assert part(shown["people_for_even_odds"]) == pytest.approx(0.5, abs=0.035)
    assert part(shown["people_for_near_certainty"]) == pytest.approx(0.975, abs=0.015)
    assert shown["delta_share"] == "0.123"


@pytest.mark.parametrize(("epsilon", "cells"), [(0.5, 3), (1.0, 4), (3.0, 10)])
def test_the_spread_of_randomised_cells_is_what_a_simulation_gives(epsilon: float, cells: int) -> None:
    """40,000 draws: a sample sd is off by 0.35 % (one sd), so 2.2 % falsely fails in 1e-9 of runs."""
    p, q = keep_probability(epsilon, cells), other_probability(epsilon, cells)
    assert p + (cells - 1) * q == pytest.approx(1)
    assert p / q == pytest.approx(math.exp(epsilon))
    measure = replace(count(cells=cells), local_epsilon=Decimal(str(epsilon)))
    found = outlook(shop(measure), measure, Traffic(300 * cells * 360))  # four minutes are a 360th of a day
    assert found.sd(found.windows) ** 2 < 0.6 * (cell_sd(found, found.windows) * (p - q)) ** 2
    own, others = np.random.default_rng().binomial([[300], [300 * (cells - 1)]], [[p], [q]], (2, 40_000))
    reports = own + others + np.random.default_rng().normal(0, found.sd(found.windows), 40_000)
    debiased = (reports - 300 * cells * q) / (p - q)
    assert float(debiased.mean()) == pytest.approx(300, abs=6 * cell_sd(found, found.windows) / 200)
    assert float(debiased.std()) == pytest.approx(cell_sd(found, found.windows), rel=0.022)


def test_the_people_that_local_mode_needs_reach_the_error_of_central_noise() -> None:
    local = row("mood", people=4_321, contributions=2)["local"]
    measure = next(m for m in SHOP.measures if m.name == "mood")
    assert (local["epsilon"], local["epsilon_in_an_epoch"], local["cells"]) == ("1", "2", 4)
    for windows, price in ((1, local["window"]), (24, local["epoch"])):
        found: Outlook = outlook(SHOP, measure, Traffic(4_321, 2.0))
        more = replace(found, expected=found.expected * price["people_times"])
        assert cell_sd(more, windows) / more.expected == pytest.approx(found.sd(windows) / found.expected)
        assert (price["sd"], price["central_sd"]) == (cell_sd(found, windows), found.sd(windows))
    error = row("mood", people=4_321, contributions=2)["relative_error"]["epoch"]
    assert error == pytest.approx(local["epoch"]["sd"] / (4_321 * 2 / 4))


def test_rho_is_also_given_in_its_natural_unit() -> None:
    for found in plan(EVERYTHING):
        assert found["rho"] == found["rho_pico"] / PICO
        assert found["promise"]["rho"] == found["promise"]["rho_pico"] / PICO
