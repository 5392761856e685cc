"""Always-valid comparisons: the filter is exact least squares, and looking after every window raises no more false alarms than promised."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import toeplitz

from adjust import power
from adjust.assessment import CANNOT_TELL, RAISES, TOO_EARLY, assess
from adjust.innovations import Working, increments
from adjust.sample_ratio import check
from adjust.sequential import sequences
from benchmarks.experiments import DAY, STRATEGY, Setting, decided, measure, predicted, rejected, releases
from privacy.strategy import coefficients
from tacit.core.declaration import HOLDOUT, policy_measure
from tests.adjust.support import draw, policy


@given(st.integers(1, 24), st.floats(0.01, 40.0), st.integers(0, 2**32 - 1))
def test_scores_and_information_are_those_of_generalised_least_squares(days: int, noise: float, seed: int) -> None:
    assert STRATEGY is not None
    rng = np.random.default_rng(seed)
    setting = Setting(50, 0.2, 0.1, noise)
    found = releases(measure(), setting, rng, days=days)
    trials = rng.uniform(10, 90, (days, 1, 2))
    working = Working(np.array([0.0, 1.0]), np.eye(2), np.full((1, 2), 0.2), np.full((1, 2), 0.16))
    steps = list(increments(found, (1, 2, 2), working, trials))
    weights = np.tril(toeplitz(np.array(coefficients(STRATEGY)[:days])))
    rows = np.array([r.vector for r in found], dtype=float).reshape(days, 2, 2) / STRATEGY.unit
    for arm in range(2):
        contrast = 0.8 * rows[:, arm, 1] - 0.2 * rows[:, arm, 0]
        design = weights @ trials[:, 0, arm]
        covariance = weights @ np.diag(trials[:, 0, arm] * 0.16) @ weights.T + noise**2 * (0.8**2 + 0.2**2) * np.eye(days)
        solved = np.linalg.solve(covariance, np.stack([contrast, design], axis=1))
        assert sum(step.score[0, arm] for step in steps) == pytest.approx(design @ solved[:, 0], rel=1e-6, abs=1e-6)
        assert sum(step.information[0, arm] for step in steps) == pytest.approx(design @ solved[:, 1], rel=1e-6)


def test_a_window_that_is_not_usable_is_passed_over_without_shifting_the_others() -> None:
    rng = np.random.default_rng()
    found = releases(measure(), Setting(50_000, 0.2, 0.0, 1.0), rng, days=12)
    broken = replace(found[5], usable=False)
    whole = sequences(measure(), found)[0]
    without = sequences(measure(), [*found[:5], broken, *found[6:]])[0]
    assert whole.information > without.information > 0.5 * whole.information
    assert whole.difference is not None
    assert without.difference is not None
    sd = 1 / math.sqrt(without.information)
    assert abs(whole.difference - without.difference) < 6 * sd


def test_looking_every_day_gives_no_more_false_alarms_than_promised() -> None:
    """True shares are about 1 %, the promise is 5 %; 29 of 400 would come once in a million runs at 3 %. Without the noise: 12 %."""
    share = decided(Setting(500, 0.05, 0.0, 8.0), 400, np.random.default_rng())
    assert share <= 0.07


def test_the_score_has_unit_variance_however_much_noise_there_is() -> None:
    """300 differences in standard deviations: their standard deviation is 1 within 22 % (five of its own standard errors of 4 %)."""
    rng = np.random.default_rng()
    for noise in (0.5, 8.0, 20.0):
        setting = Setting(300, 0.05, 0.0, noise)
        found = [sequences(measure(), releases(measure(), setting, rng, days=12))[0] for _ in range(300)]
        scores = [one.difference * math.sqrt(one.information) for one in found if one.difference is not None]
        assert len(scores) == 300
        assert 0.78 < np.std(scores) < 1.22


def test_power_is_the_formula_s() -> None:
    """3,000 experiments: a standard error of at most 0.9 points, so 5 points are more than five of them."""
    setting = Setting(500, 0.05, 0.2, 8.0)
    assert abs(rejected(setting, 3_000, np.random.default_rng()) - predicted(setting)) < 0.05


def test_a_fixed_time_test_keeps_its_five_per_cent() -> None:
    """3,000 experiments: a standard error of 0.4 points; without the noise term 12 % would be rejected."""
    assert 0.028 < rejected(Setting(100, 0.05, 0.0, 2.2), 3_000, np.random.default_rng()) < 0.072


def test_what_is_needed_with_a_sequence_is_more_than_with_one_test() -> None:
    fixed, always = power.needed(0.01), power.needed_always(0.01, rate=0.1)
    assert fixed < always < 4 * fixed
    assert power.power(0.01, fixed) == pytest.approx(0.8, abs=1e-6)
    assert power.detectable(fixed) == pytest.approx(0.01)


def test_the_policy_is_compared_with_its_holdout_first_and_arms_share_the_error() -> None:
    declared = policy()
    counted = policy_measure("newsroom", declared)
    keys = sorted({"|".join(v for k, v in labels.items() if k not in ("arm", "reward")) for labels in counted.all_labels})
    rng = np.random.default_rng()
    people = {key: [3_000, 3_000, 3_000, 1_000] for key in keys}
    rates = {key: [0.1, 0.1, 0.2, 0.1] for key in keys}
    found = sequences(counted, [draw(counted, rates, people, rng, number=n) for n in range(4)])
    assert [(one.name, one.against) for one in found] == [("policy", HOLDOUT), ("bigger", "control"), ("a_biggest", "control")]
    assert all(one.difference is not None for one in found)
    best = found[2]
    assert best.difference == pytest.approx(0.1, abs=0.006), "six standard errors: also where rates are far from the mean"
    assert best.low is not None
    assert best.high is not None
    assert best.low < 0.1 < best.high
    assert best.decided_ms == 3_600_000
    assert found[1].decided_ms is None


def test_no_verdict_before_the_least_duration() -> None:
    found = releases(measure(), Setting(5_000, 0.05, 0.5, 1.0), np.random.default_rng(), days=5)
    early = assess("p", measure(), found, held_out=0.0, even=True, least_ms=7 * DAY)
    late = assess("p", measure(), found, held_out=0.0, even=True, least_ms=4 * DAY)
    assert early is not None
    assert late is not None
    assert (early.verdict, late.verdict) == (TOO_EARLY, RAISES)
    assert "at least 7 days" in early.sentence
    assert "The arm b raises" in late.sentence
    assert late.sequences[0].decided_ms is not None


def test_without_enough_people_nothing_is_claimed() -> None:
    found = releases(measure(), Setting(1, 0.05, 0.0, 50.0), np.random.default_rng(), days=3)
    assessed = assess("p", measure(), found, held_out=0.0, even=True, least_ms=0)
    assert assessed is not None
    assert assessed.verdict == CANNOT_TELL
    assert assess("p", measure(), [], held_out=0.0, even=True, least_ms=0) is None
    assert assess("p", measure(), [replace(found[0], usable=False)], held_out=0.0, even=True, least_ms=0) is None


def test_a_broken_split_is_found_and_noise_alone_is_not() -> None:
    expected = {"a": 0.475, "b": 0.475, HOLDOUT: 0.05}
    rng = np.random.default_rng()
    alarms = 0
    for _ in range(2_000):
        trials = rng.multinomial(3_000, list(expected.values())) + rng.normal(0, 40, 3)
        found = check(dict(zip(expected, trials, strict=True)), expected, noise_sd=dict.fromkeys(expected, 40.0))
        alarms += found.matches is False
    assert alarms <= 15, "2 are expected of 2,000 at one in a thousand"
    broken = check({"a": 9_500.0, "b": 8_900.0, HOLDOUT: 1_000.0}, expected, noise_sd=dict.fromkeys(expected, 40.0))
    assert broken.matches is False
    assert check({"a": 30.0, "b": 20.0, HOLDOUT: 1.0}, expected, noise_sd=dict.fromkeys(expected, 40.0)).matches is None


def test_a_mismatch_overrules_every_other_sentence() -> None:
    counted = measure()
    found = releases(counted, Setting(5_000, 0.05, 0.5, 1.0), np.random.default_rng(), days=8)
    assessed = assess("p", counted, found, held_out=0.0, even=True, least_ms=0)
    assert assessed is not None
    assert assessed.sample_ratio is not None
    assert assessed.sample_ratio.matches is True
    shifted = [replace(r, row=replace(r.row, estimate=(r.row.estimate[0] * 1.2, *r.row.estimate[1:]))) for r in found if r.row]
    broken = assess("p", counted, shifted, held_out=0.0, even=True, least_ms=0)
    assert broken is not None
    assert "no figure here can be trusted" in broken.sentence
