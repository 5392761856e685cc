"""Drift: found where what arms do to rates changes, not found where it stays or where all arms change alike, and forgotten only then."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator
from scipy.linalg import toeplitz

from adjust.evidence import Block, Floats
from adjust.model import believe

WINDOWS, CELLS, PEOPLE = 40, 4, 1500


def block(rates: Floats, rng: Generator, *, noise: float) -> Block:
    """Windows of `rates` (windows, cells, arms), everybody once: rows of correlated noise where there is noise."""
    shown = np.full(rates.shape, PEOPLE)
    rewarded = rng.binomial(shown, rates)
    exact = np.stack([shown - rewarded, rewarded], axis=-1).astype(float)
    if not noise:
        return Block(exact, np.full(WINDOWS, 1e-3), None, exact, np.full(WINDOWS, 1e-3))
    c = np.cumprod(np.concatenate([[1.0], (np.arange(1, WINDOWS) - 0.5) / np.arange(1, WINDOWS)]))
    weights = np.tril(toeplitz(c))
    rows = np.tensordot(weights, exact, axes=1) + rng.normal(0, noise, exact.shape)
    windows = np.tensordot(np.linalg.inv(weights), rows, axes=1)
    spread = noise * np.sqrt((np.linalg.inv(weights) ** 2).sum(1))
    return Block(rows, np.full(WINDOWS, noise), weights, windows, spread)


def staying() -> Floats:
    return np.tile(np.array([0.05, 0.06, 0.07]), (WINDOWS, CELLS, 1))


def crossing() -> Floats:
    """The best arm and the worst change places between the windows."""
    along = np.linspace(0, 1, WINDOWS)[:, None, None]
    return (1 - along) * np.array([0.05, 0.06, 0.07]) + along * np.array([0.07, 0.06, 0.05]) + np.zeros((1, CELLS, 1))


@pytest.mark.parametrize("noise", [0.0, 7.0])
def test_arms_that_change_places_are_found_and_the_best_one_now_is_believed_best(noise: float) -> None:
    """The first arm leads at the end by 10 standard errors of its rate over the last ten windows."""
    beliefs = believe([block(crossing(), np.random.default_rng(), noise=noise)], arms=3)
    assert beliefs.steps > 0.005
    assert (beliefs.effect[:, 0] > beliefs.effect[:, 2]).all()
    assert beliefs.arm_effect[0] > beliefs.arm_effect[2] + 0.1


def test_drift_is_found_across_several_blocks_and_without_the_rows_of_a_window_that_was_held_back() -> None:
    whole = block(crossing(), np.random.default_rng(), noise=7.0)
    assert whole.weights is not None
    here = [at for at in range(WINDOWS) if at != 11]
    holed = Block(whole.rows[here], whole.scale[here], whole.weights[here], whole.windows, whole.spread)
    assert believe([holed], arms=3).steps > 0.005
    first, second = (block(rates, np.random.default_rng(), noise=7.0) for rates in (staying(), staying()[..., ::-1]))
    beliefs = believe([first, second], arms=3)
    assert beliefs.steps > 0.005
    assert beliefs.arm_effect[0] > beliefs.arm_effect[2]


def test_rates_that_rise_and_fall_alike_for_all_arms_are_no_drift() -> None:
    """At most one alarm in 20: the chance of two is below 2e-3 a run at the stated level, of four below 1e-6."""
    together = staying() * np.linspace(0.7, 1.4, WINDOWS)[:, None, None]
    alarms = sum(bool(believe([block(together, np.random.default_rng(), noise=7.0)], arms=3).steps > 0) for _ in range(20))
    assert alarms < 4


@pytest.mark.parametrize("noise", [0.0, 7.0])
def test_where_rates_stay_alarms_are_as_rare_as_stated(noise: float) -> None:
    """Three cuts, by cells and by arms: at most 6e-3 a look. Four or more alarms in 30 looks have a chance below 4e-5; six, below 3e-8."""
    alarms = sum(bool(believe([block(staying(), np.random.default_rng(), noise=noise)], arms=3).steps > 0) for _ in range(30))
    assert alarms < 6


def test_policies_fitted_at_once_forget_each_by_itself() -> None:
    rng = np.random.default_rng()
    moving, still = block(crossing(), rng, noise=0.0), block(staying(), rng, noise=0.0)
    both = np.stack([moving.rows, still.rows], axis=1)
    together = believe([Block(both, moving.scale, None, both, moving.spread)], arms=3)
    alone = believe([moving], arms=3)
    assert together.steps[0] == pytest.approx(float(alone.steps))
    assert together.effect[0] == pytest.approx(alone.effect, abs=1e-3)
