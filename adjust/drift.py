"""Whether what arms do to rates is changing, how fast, and how old evidence is then forgotten.

A policy's windows are cut in two, at three places. Where rates stay, the difference of an arm's rate after and before, less what all arms
of its cell have in common, is as large as people and noise make it; both are known exactly, the noise's covariance over time included. The
sum of squares over cells and arms is judged by chi-square. A rate that goes up and down for all arms alike is no drift.

The invariant: nothing is forgotten before drift is found. Then effects are taken for random walks whose step is the one that explains
the differences, and each arm's rate *now* is read from the rows by generalised least squares (what a Kalman filter gives at its end).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

Floats = NDArray[np.float64]

CUTS = (0.5, 0.75, 0.875)
"""Parts of the windows before the cut."""

ALARM = 1e-3
"""Chance of a cut's differences without drift below which there is drift.

A false alarm forgets little: the step that explains it is small.
"""

LEAST_WINDOWS = 8

LEAST_REWARDS = 5.0
"""Rewards that an arm in a cell must be expected to have on each side of a cut to be looked at."""

LARGEST = 1024
"""Windows that are looked at: the equations have that many unknowns."""

FASTEST = 0.3
"""Largest relative step of a window."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """All rows of a policy, oldest first. `exposures` is (windows, …, cells, places), `contrasts` (rows, …, cells, places)."""

    weights: Floats
    """(rows, windows) how much of a window is in a row."""
    scale: Floats
    """(rows,)"""
    exposures: Floats
    contrasts: Floats


def step(line: Timeline, rate: Floats, level: Floats) -> Floats:
    """(…) relative standard deviation of an effect's step from window to window; 0 where no drift is found.

    `rate` is (…, cells, places), `level` (…, cells).
    """
    count = len(line.exposures)
    found, least = np.zeros(level.shape[:-1]), np.full(level.shape[:-1], ALARM)
    if not LEAST_WINDOWS <= count <= LARGEST:
        return found
    for cut in CUTS:
        chance, steps = _judge(line, rate, level, round(cut * count))
        found = np.where(chance < least, steps, found)
        least = np.minimum(least, chance)
    return np.clip(found, 0.0, FASTEST)


def now(line: Timeline, rate: Floats, steps: Floats) -> Floats:
    """(rows, …, places): weights of rows that give each place's rate at the end of the last window, alike in all cells of a policy.

    With a step of 0 they are those of a constant rate.
    """
    exposures, rate = line.exposures.mean(-2), rate.mean(-2)  # (windows, …, places), (…, places)
    flat, rates = exposures.reshape(len(exposures), -1).T, rate.ravel()
    each = np.repeat(steps.ravel(), rate.shape[-1]) * rates
    ages = np.arange(len(flat[0]))[::-1]
    walk = np.minimum.outer(ages, ages).astype(float)
    found = np.empty((len(line.weights), len(flat)))
    for at, (n, r, sd) in enumerate(zip(flat, rates, each, strict=True)):
        held = line.weights * n
        spread = (line.weights * (n * r * (1 - r))) @ line.weights.T + held @ (walk * sd**2) @ held.T
        spread[np.diag_indices_from(spread)] += line.scale**2 * ((1 - r) ** 2 + r**2) + 1e-9
        found[:, at] = np.linalg.solve(spread, held.sum(1))
    return found.reshape(-1, *rate.shape)


def wandered(exposures: Floats) -> Floats:
    """Variance that random steps of variance 1 leave in a sum weighing windows with `exposures`, (windows, …), beside the last rate."""
    older: Floats = np.cumsum(exposures, axis=0)[:-1]
    found: Floats = (older**2).sum(0)
    return found


@dataclass(frozen=True, slots=True)
class _Sides:
    """What is known before and after a cut; arrays are (…, cells, places)."""

    told: tuple[Floats, Floats]
    """Sums of contrasts."""
    trials: tuple[Floats, Floats]
    noise: Floats
    """Of one count, in units of the noise of a row."""
    rate: Floats
    level: Floats

    def pooled(self) -> _Sides:
        """All cells as one."""
        before, after = self.trials
        rate = ((before + after) * self.rate).sum(-2, keepdims=True) / (before + after).sum(-2, keepdims=True)
        told, trials = (tuple(one.sum(-2, keepdims=True) for one in pair) for pair in (self.told, self.trials))
        return _Sides((told[0], told[1]), (trials[0], trials[1]), self.noise.sum(-2, keepdims=True), rate, rate.mean(-1, keepdims=True))


def _judge(line: Timeline, rate: Floats, level: Floats, cut: int) -> tuple[Floats, Floats]:
    """The chance of differences at least as large without drift, and the step that explains them: cells by themselves, and all as one."""
    sides = np.zeros((len(line.exposures), 2))
    sides[:cut, 0] = sides[cut:, 1] = 1.0
    square = line.weights.shape[0] == line.weights.shape[1]
    read = np.linalg.solve(line.weights.T, sides) if square else np.linalg.lstsq(line.weights.T, sides, rcond=None)[0]
    noise = np.asarray(read.T @ (line.scale[:, None] ** 2 * read), dtype=np.float64)
    trials = np.maximum(np.tensordot(sides.T, line.exposures, axes=1), 1e-9)
    told = np.tensordot(read.T, line.contrasts, axes=1)
    found = _Sides((told[0], told[1]), (trials[0], trials[1]), (1 - rate) ** 2 + rate**2, rate, level[..., None])
    own, general = _difference(found, noise, len(line.exposures)), _difference(found.pooled(), noise, len(line.exposures))
    return np.minimum(own[0], general[0]), np.where(own[0] < general[0], own[1], general[1])


def _difference(found: _Sides, noise: Floats, windows: int) -> tuple[Floats, Floats]:
    before, after = found.trials
    difference = (found.told[1] / after - found.told[0] / before) / found.level
    of_noise = (noise[0, 0] / before**2 + noise[1, 1] / after**2 - 2 * noise[0, 1] / (before * after)) * found.noise
    variance = (of_noise + found.rate * (1 - found.rate) * (1 / before + 1 / after)) / found.level**2
    weight = np.where(np.minimum(before, after) * found.rate >= LEAST_REWARDS, 1 / variance, 0.0)
    part = weight / np.maximum(weight.sum(-1, keepdims=True), 1e-12)
    difference = difference - (part * difference).sum(-1, keepdims=True)
    freedom = np.maximum((weight > 0).sum(-1) - 1, 0).sum(-1)
    squares = (weight * difference**2).sum((-2, -1))
    chance = np.where(freedom > 0, chdtrc(np.maximum(freedom, 1), squares), 1.0)
    excess = (weight**2 * (difference**2 - variance * (1 - part))).sum((-2, -1))
    steps = np.sqrt(np.maximum(excess, 0) / np.maximum(windows / 3 * (weight**2 * (1 - part)).sum((-2, -1)), 1e-12))
    return chance, steps


def joined(weights: Sequence[Floats]) -> Floats:
    """Blocks below each other: rows of one hold nothing of another."""
    rows, windows = (sum(one.shape[axis] for one in weights) for axis in (0, 1))
    found = np.zeros((rows, windows))
    row = window = 0
    for one in weights:
        found[row : row + one.shape[0], window : window + one.shape[1]] = one
        row, window = row + one.shape[0], window + one.shape[1]
    return found
