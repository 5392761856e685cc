"""A regression test of how much lift is kept beside privacy, small enough to run each time; `make bench` measures at full size."""

from __future__ import annotations

import numpy as np

from adjust.simulate import World
from tacit.simulation import Terms, simulate


def test_most_of_the_lift_is_kept_by_a_hundred_thousand_people() -> None:
    """60 environments of 4 arms and 2 cells, 6 %, 100,000 people in 30 windows at epsilon 1.

    Measured: 0.985 with a standard deviation of 0.014 over runs; the bound is 9 of these below, so that a chance failure is far below 1e-6.
    """
    rng = np.random.default_rng()
    worlds = [
        World(f"w{i}", 0.06 * rng.gamma(9.16, 1 / 9.16, 4) * rng.gamma(18.3, 1 / 18.3, (2, 4)), np.array([0.6, 0.4]), 100_000)
        for i in range(60)
    ]
    lift = simulate(worlds, Terms(windows=30, seeds=1, explore=0.0))["lift"]
    assert lift["non_private"] > 0.2
    assert lift["kept"] > 0.85


def test_no_policy_of_a_stationary_site_ends_below_its_holdout_by_more_than_its_interval() -> None:
    """Arms that are nearly alike, many policies: where learning could only harm.

    The rewards of what was shown lie above an even split's, or below it by at most 6 standard deviations of the rewards' own sampling,
    which is what an interval against a holdout has at least: a chance failure over 80 policies is below 1e-6.
    """
    rng = np.random.default_rng()
    people, arms = 20_000, 3
    worlds = [World(f"w{i}", 0.05 * rng.gamma(400, 1 / 400, (1, arms)), np.ones(1), people) for i in range(80)]
    found = simulate(worlds, Terms(windows=30, seeds=1))
    interval = 6 * (0.95 / (0.05 * people)) ** 0.5
    assert all(one["lift"]["tacit"] > -interval for one in found["policies"])
    assert found["lift"]["tacit"] > -0.002


def test_rates_that_drift_are_followed_with_noise_nearly_as_well_as_without() -> None:
    """16 environments of 4 arms and 2 cells whose rates walk by 8 % a window, 200,000 people in 40 windows.

    Both learners forget. Measured: lifts of 0.44 and 0.49, 0.055 apart with a standard deviation of 0.012 over runs; the bound is 7 of
    these away.
    """
    rng = np.random.default_rng()
    worlds = [World(f"w{i}", 0.06 * rng.gamma(9.16, 1 / 9.16, (2, 4)), np.array([0.5, 0.5]), 200_000) for i in range(16)]
    found = simulate(worlds, Terms(windows=40, seeds=1, drift=0.08))
    assert found["lift"]["non_private"] > 0.1
    assert found["lift"]["tacit"] > found["lift"]["non_private"] - 0.15
    assert found["kept_error"] is not None
