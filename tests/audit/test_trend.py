"""The trend over scans: false alarms, drift, change point, correlated noise, and its state in the released vault.

Statistics with fresh randomness; measured beforehand over 1,000 years: `make bench` prints them. Bounds are six standard errors away.
"""

from __future__ import annotations

import doctest
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audit.cusum
from audit.cusum import CAP, Chart, Side, threshold
from audit.increments import Score, Span, innovation, noise_products
from audit.inference import summed
from audit.trend import advance, fresh
from audit.trend_store import Kept, TrendMoved, TrendStore
from privacy.models import Mechanism, Release, Row
from privacy.strategy import Strategy, coefficients, inverse, spread
from tacit.core.clock import iso
from tacit.core.db import writing
from tests.audit.examples import GENERATOR, MINUTE, audit_measure_of, example_site, release_of, released_vault, trials, with_noise
from tests.audit.test_scan import FAIR, REWARD, SHARES, SKEWED, House

SITE = example_site()
MEASURE = audit_measure_of(SITE)
LENGTH = 24
FOLLOWED = "age_band=35_to_54 exposure control"
HALF = Strategy("prefix", 0.5, LENGTH, 20, band=tuple(round(math.comb(2 * k, k) / 4**k * 2**20) for k in range(LENGTH)))
"""The square root of prefix sums."""


def week(number: int, values: Any, sd: float, strategy: Strategy | None = None) -> Release:
    exact = tuple(float(v) for v in values)
    row = None if strategy is None else Row(strategy, f"block{number // LENGTH}", number % LENGTH, exact)
    return release_of(MEASURE, [round(v) for v in exact], start_ms=(number + 1) * MINUTE, mechanism=Mechanism(scale=sd), row=row)


def noises(count: int, sd: float, strategy: Strategy | None) -> np.ndarray[Any, Any]:
    """(weeks, cells) of the noise in the windows' own estimates."""
    drawn = GENERATOR.normal(0, sd, (count, MEASURE.cells))
    if strategy is None:
        return drawn
    e = np.array(inverse(strategy))
    return np.array([e[: t % LENGTH + 1][::-1] @ drawn[t - t % LENGTH : t + 1] for t in range(count)])


def year(weeks: int, shown: dict[str, Any], sd: float, strategy: Strategy | None, *, people: int = 600, start: int = 0) -> list[Any]:
    """The steps of one year; `shown` holds from week `start` on."""
    noise = noises(weeks, sd, strategy)
    state, steps = None, []
    for number in range(weeks):
        counts = trials(MEASURE, people, SHARES, shown if number >= start else FAIR, REWARD)
        releases = [week(number, counts + noise[number], sd, strategy)]
        step = advance(MEASURE, state, releases, summed(MEASURE, releases), 0.05, weeks)
        state = step.state
        steps.append(step)
    return steps


def scores(steps: list[Any], subject: str) -> list[float]:
    return [s["z"] for step in steps for s in step.report["subjects"] if s["subject"] == subject and s["z"] is not None]


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(audit.cusum).failed == 0


@pytest.mark.parametrize(("sd", "strategy"), [(4.0, None), (25.0, HALF)])
def test_scores_of_a_fair_service_are_standard_normal_and_independent(sd: float, strategy: Strategy | None) -> None:
    # 20 years of 24 weeks: 480 scores, and 460 pairs of neighbours. Standard errors .046, .065 and .047.
    z = np.array([scores(year(LENGTH, FAIR, sd, strategy, people=1500), FOLLOWED) for _ in range(20)])
    assert z.shape == (20, LENGTH)
    assert abs(z.mean()) < 0.28
    assert 0.6 < z.var() < 1.4
    assert abs(np.mean(z[:, 1:] * z[:, :-1])) < 0.28


def test_innovations_of_correlated_noise_are_independent_and_the_scores_themselves_are_not() -> None:
    # 1,500 blocks of 4 windows: 4,500 pairs of neighbours. Standard error .015.
    scored: list[list[float]] = []
    plain: list[list[float]] = []
    products = [noise_products([week(t, [0] * MEASURE.cells, 3.0, HALF)], [Span("block0", (s,)) for s in range(t)]) for t in range(4)]
    for _ in range(1500):
        drawn = GENERATOR.normal(0, 3.0, 4)
        noise = [float(np.array(inverse(HALF)[: t + 1])[::-1] @ drawn[: t + 1]) for t in range(4)]
        past: list[tuple[int, Score, float]] = []
        z = []
        for t, value in enumerate(noise):
            one, variance = Score(value, 0.0, 1e-6, 0.0, 1, 1, 1, 1), (3.0 * spread(HALF, (t,))) ** 2
            found = innovation(one, variance, past, products[t])
            assert found is not None
            z.append(found.z)
            past.append((t, one, variance))
        scored.append(z)
        plain.append([value / (3.0 * spread(HALF, (t,))) for t, value in enumerate(noise)])
    neighbours = [np.mean(np.array(z)[:, 1:] * np.array(z)[:, :-1]) for z in (scored, plain)]
    assert abs(neighbours[0]) < 0.09
    assert neighbours[1] < -0.2
    assert np.var(scored) == pytest.approx(1, abs=0.11)


def test_covariances_of_increments_are_those_of_the_strategy() -> None:
    spans = [Span("block0", (0, 1, 2)), Span("block0", (3,))]
    now = [week(number, [0] * MEASURE.cells, 3.0, HALF) for number in (4, 5)]
    found = noise_products(now, spans)
    c = np.tril([[coefficients(HALF)[max(t - j, 0)] for j in range(6)] for t in range(6)])
    noise = 9.0 * np.linalg.inv(c) @ np.linalg.inv(c).T
    chosen = [[0, 1, 2], [3], [4, 5]]
    assert found == pytest.approx(np.array([[noise[np.ix_(a, b)].sum() for b in chosen] for a in chosen]))
    assert found[2, 2] == pytest.approx((3.0 * spread(HALF, (4, 5))) ** 2)


def test_rows_of_another_block_share_no_noise() -> None:
    found = noise_products([week(LENGTH, [0] * MEASURE.cells, 3.0, HALF)], [Span("block0", (0, 1))])
    assert not found.any()


def test_a_score_is_predicted_from_what_it_shares_noise_with() -> None:
    first = Score(30.0, 0.5, 0.5, 0.0, 2, 2, 2, 2)
    now = Score(-15.0, 0.5, 0.5, 0.0, 2, 2, 2, 2)
    products = np.array([[100.0, -50.0], [-50.0, 100.0]])
    found = innovation(now, 100.0, [(0, first, 100.0)], products)
    assert found is not None
    assert found.z == pytest.approx(0.0)
    alone = innovation(now, 100.0, [], np.zeros((1, 1)))
    assert alone is not None
    assert alone.z == pytest.approx(-15.0 / math.sqrt(100.0 * (0.25 * 0.5 * 4 + 0.25 * 0.5 * 4) * 0.5))
    assert innovation(Score(0.0, 0.5, 0.5, 0.0, 0, 0, 0, 0), 0.0, [], np.zeros((1, 1))) is None


def test_a_fair_service_rarely_alarms_and_a_drift_is_found_with_its_change_point() -> None:
    # 20 fair years: at most 8 % of them alarm; 11 or more of 20 would be less likely than 1e-6.
    assert sum(any(step.alarms for step in year(26, FAIR, 4.0, None)) for _ in range(20)) < 11
    steps = year(26, SKEWED, 4.0, None, start=10, people=2_000)
    first = next(number for number, step in enumerate(steps) if "age_band=55_plus exposure control" in step.alarms)
    assert 10 <= first <= 14
    (found,) = [s for s in steps[-1].report["subjects"] if s["subject"] == "age_band=55_plus exposure control"]
    assert found["alarm"] == "up"
    assert found["drift"] == pytest.approx(0.2, abs=0.1)
    assert found["since"] in {iso((number + 1) * MINUTE) for number in range(6, 12)}


def test_a_difference_far_below_the_limit_never_alarms_however_many_people_come() -> None:
    slightly = FAIR | {"55_plus": (0.51, 0.49)}
    assert not any(step.alarms for step in year(26, slightly, 4.0, None, people=100_000))


def test_an_alarm_ends_after_the_difference_has() -> None:
    side, h = Side(), threshold(8, 52)
    for _ in range(1000):
        side = side.step(5.0, 1.0, 0.1, 0.02, at_ms=7, h=h)
    assert side.value == CAP * h
    assert side.start_ms == 7
    for _ in range(math.ceil(2 * CAP * h)):
        side = side.step(0.0, 1.0, 0.0, 0.02, at_ms=8, h=h)
    assert side == Side()
    assert Chart(up=Side(value=h)).alarm(h) is not None
    assert Chart(up=Side(value=h - 0.01)).alarm(h) is None


def test_new_windows_are_those_after_the_last_scan_up_to_the_first_unchecked_one() -> None:
    zeros = [0] * MEASURE.cells
    releases = [
        release_of(MEASURE, zeros, start_ms=(n + 1) * MINUTE, usable=usable)
        for n, usable in enumerate((True, True, False, True, None, True))
    ]
    assert [r.window.start_ms // MINUTE for r in fresh(releases, MINUTE)] == [2, 4]


def test_nothing_new_moves_nothing_and_an_empty_service_has_no_score() -> None:
    nothing = summed(MEASURE, [])
    step = advance(MEASURE, None, [], nothing, 0.05, 52)
    assert step.report["scans"] == 0
    empty = [week(0, noises(1, 4.0, None)[0], 4.0)]
    step = advance(MEASURE, step.state, empty, summed(MEASURE, empty), 0.05, 52)
    assert step.report["scans"] == 1
    assert {s["z"] for s in step.report["subjects"]} == {None}
    assert advance(MEASURE, step.state, [], nothing, 0.05, 52).state == step.state


def test_a_new_definition_starts_afresh() -> None:
    state = year(3, FAIR, 4.0, None)[-1].state
    other = audit_measure_of(example_site(arms=("a", "b", "c")))
    assert advance(other, state, [], summed(other, []), 0.05, 52).state["scans"] == 0


def test_a_scan_moves_the_trend_in_its_own_transaction_and_reads_each_window_once(tmp_path: Path) -> None:
    house = House(tmp_path)
    result = {}
    for shown in (FAIR, SKEWED, SKEWED):
        house.publish(shown, people=2_000)
        result = house.scan().to_json()
    assert result["trend"]["scans"] == 3
    found = {s["subject"]: s for s in result["trend"]["subjects"]}["age_band=55_plus exposure control"]
    assert found["difference"] == pytest.approx(0.2, abs=0.15)
    assert house.scan().to_json()["trend"]["scans"] == 3
    alerts = [a for a in house.store.alerts("newsroom")[0] if a.kind == "audit.trend"]
    assert all(set(a.detail) == {"audit", "scan", "subjects"} for a in alerts)


def test_a_state_that_another_scan_has_moved_is_not_overwritten(tmp_path: Path) -> None:
    engine = released_vault(tmp_path)
    store = TrendStore(engine)
    before = store.read("newsroom", "by_age")
    assert before == Kept(0, None)
    with writing(engine) as connection:
        store.write("newsroom", "by_age", before, {"scans": 1}, "scan_1", connection)
    for stale in (before, Kept(7, {})):
        with pytest.raises(TrendMoved), writing(engine) as connection:
            store.write("newsroom", "by_age", stale, {"scans": 9}, "scan_2", connection)
    assert store.read("newsroom", "by_age") == Kept(1, {"scans": 1})


def test_counts_that_noise_made_negative_do_no_harm() -> None:
    steps = year(6, FAIR, 4.0, None, people=30)
    assert all(math.isfinite(s["z"]) for step in steps for s in step.report["subjects"] if s["z"] is not None)
    assert with_noise(np.zeros(1, dtype=np.int64), 0.0) == (0,)
