"""From noisy tables to beliefs about arms: a two-level Gaussian model (policy → arm → cell) that knows how much noise it looks at.

A trial's place holds two noisy counts, without and with a reward: y0 and y1, each with independent noise of standard deviation s. At a
working rate r the contrast (1 - r) y1 - r y0 has expectation n (rate - r) and noise variance s² ((1 - r)² + r²), and the sum
((1 - r) y0 + r y1) / ((1 - r)² + r²) estimates the exposures n with noise that is uncorrelated with the contrast's. Rates are weighted
least squares of contrasts on exposures over windows, so windows in which an arm was hardly shown add hardly any noise.
The invariant: means are shrunk with the full variance (people and noise); the spread that arms are sampled with is that of people alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUNDS = 4
"""Rounds of the alternating fit of cell levels and effects; a fifth changes nothing that can be measured."""

SPREADS = np.array([0.03, 0.06, 0.12, 0.25, 0.5])
"""Candidate prior standard deviations of relative effects, of arms and of arms within a cell. The smallest is the floor."""

SPREAD_MEDIAN, SPREAD_FOLD = 0.25, 3.0
"""Log-normal hyperprior of these: few arms say little about their own spread. Results do not depend on it (0.15 and 0.4 do as well)."""

LEVEL_SPREAD = 0.7
"""Prior relative standard deviation of a cell's own level around the policy's."""

TRAFFIC_SPREAD = 0.3
"""How much a cell's part of the traffic may differ between windows, relatively."""

_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed about effects, relative to a cell's level. Arrays are (cells, arms) unless stated."""

    level: Floats
    """(cells,) reward rate at effect 0."""
    effect: Floats
    arm_effect: Floats
    """(arms,)"""
    arm_error: Floats
    """(arms,) standard deviation of `arm_effect` with the noise: what may be stated."""
    arm_spread: Floats
    """(arms,) standard deviation of an arm's effect by sampling of people alone: what is sampled with."""
    own: Floats
    """Part that a cell's own evidence has in its effect by sampling of people alone; the rest is the arm's."""
    own_spread: Floats
    """Standard deviation of a cell's own part by sampling of people alone."""
    own_part: Floats
    """Part that a cell's own evidence has in `effect`, noise counted."""
    cell_spread: float
    """Learned prior standard deviation of arms within a cell."""
    exposures: Floats
    """Estimated trials."""


@dataclass(frozen=True, slots=True)
class _Evidence:
    rate: Floats
    precision: Floats
    exposures: Floats


def believe(counts: Floats, scale: Floats, *, arms: int) -> Beliefs:
    """Fit the model.

    `counts` is (windows, cells, rows, 2), the last axis y0, y1. Rows are the arms and, where there is one, the holdout after them, which
    informs the first arm. `scale` is (windows,), the noise's standard deviation on one count.
    """
    y0, y1 = counts[..., 0], counts[..., 1]
    noise = (scale**2)[:, None, None]
    level = np.full(counts.shape[1], float(np.clip(y1.sum() / max(counts.sum(), 1.0), 1e-3, 0.9)))
    effect = np.zeros((counts.shape[1], arms))
    for _ in range(ROUNDS):
        found = _evidence(y0, y1, noise, _rates(level, effect))
        level = _level(found, effect)
        z = found.rate / level[:, None] - 1
        u = 1 / (found.precision * level[:, None] ** 2)
        chances = _chances(z, u)
        effect, arm_effect = _effects(z, u, chances)
    arm_prior = float(np.sqrt(chances.sum(1) @ SPREADS**2))
    cell_prior = float(np.sqrt(chances.sum(0) @ SPREADS**2))
    people = (1 - level)[:, None] / (np.maximum(found.exposures, _TINY) * level[:, None])
    own = cell_prior**2 / (cell_prior**2 + people)
    return Beliefs(
        level=level,
        effect=effect,
        arm_effect=arm_effect,
        arm_error=_arm_sd(u, arm_prior, cell_prior),
        arm_spread=_arm_sd(people, arm_prior, cell_prior),
        own=own,
        own_spread=np.sqrt(own * people),
        own_part=cell_prior**2 / (cell_prior**2 + u),
        cell_spread=cell_prior,
        exposures=found.exposures,
    )


def _rates(level: Floats, effect: Floats) -> Floats:
    return np.clip(level[:, None] * (1 + effect), 1e-4, 0.99)


def _evidence(y0: Floats, y1: Floats, noise: Floats, rate: Floats) -> _Evidence:
    """Weighted least squares over windows at the working rates; the holdout's row is added to the first arm's."""
    arms, rows = rate.shape[1], y0.shape[2]
    r = rate[:, [row if row < arms else 0 for row in range(rows)]]
    part = (1 - r) ** 2 + r**2
    n = _exposures(((1 - r) * y0 + r * y1) / part, noise / part)
    variance = n * r * (1 - r) + noise * part + _TINY
    weight = n / variance
    numerator = _by_arm((weight * ((1 - r) * y1 - r * y0)).sum(0), arms)
    precision = _by_arm((weight * n).sum(0), arms) + 1e-12
    return _Evidence(rate + numerator / precision, precision, _by_arm(n.sum(0), arms))


def _exposures(seen: Floats, variance: Floats) -> Floats:
    """Trials in each (window, cell, row): what was seen, pulled to the cell's traffic divided evenly in so far as it is noise.

    Allocation probabilities as a further source were tried and changed no result; without them a client may lag or be faulty.
    """
    traffic, traffic_variance = seen.sum(2), variance.sum(2)
    totals = np.maximum(traffic.sum(1), 1.0)
    parts = np.maximum(traffic.sum(0), 0.0) + _TINY
    mean = totals[:, None] * parts / parts.sum()
    traffic = _combine(mean, mean + (TRAFFIC_SPREAD * mean) ** 2 + _TINY, traffic, traffic_variance)
    even = np.repeat(traffic[:, :, None] / seen.shape[2], seen.shape[2], axis=2)
    return _combine(even, even + even**2 + _TINY, seen, variance)


def _combine(mean: Floats, mean_variance: Floats, seen: Floats, seen_variance: Floats) -> Floats:
    combined: Floats = np.maximum((mean * seen_variance + seen * mean_variance) / (mean_variance + seen_variance), 0.0)
    return combined


def _by_arm(rows: Floats, arms: int) -> Floats:
    """(cells, rows) to (cells, arms): people of the holdout saw the first arm."""
    found = rows[:, :arms].copy()
    found[:, 0] += rows[:, arms:].sum(1)
    return found


def _level(found: _Evidence, effect: Floats) -> Floats:
    """Each cell's level from all its arms, pulled to the policy's."""
    factor = 1 + effect
    precision = (found.precision * factor**2).sum(1)
    total = (found.precision * factor * found.rate).sum(1)
    middle = float(np.clip(total.sum() / precision.sum(), 1e-4, 0.99))
    prior = (LEVEL_SPREAD * middle) ** -2
    level: Floats = np.clip((total + prior * middle) / (precision + prior), middle * 0.1, 0.99)
    return level


def _chances(z: Floats, u: Floats) -> Floats:
    """Posterior chance of each pair of prior spreads (arm, cell within arm): their marginal likelihood times the hyperprior."""
    hyper = -0.5 * (np.log(SPREADS / SPREAD_MEDIAN) / np.log(SPREAD_FOLD)) ** 2
    log = np.empty((len(SPREADS), len(SPREADS)))
    for j, within in enumerate(SPREADS):
        p = 1 / (u + within**2)
        inside = 0.5 * np.log(p).sum() - 0.5 * (p * z * z).sum()
        information, total = p.sum(0), (p * z).sum(0)
        for i, between in enumerate(SPREADS):
            a = between**-2 + information
            log[i, j] = inside - 0.5 * np.log(between**2 * a).sum() + 0.5 * (total**2 / a).sum() + hyper[i] + hyper[j]
    weights = np.exp(log - log.max())
    chances: Floats = weights / weights.sum()
    return chances


def _effects(z: Floats, u: Floats, chances: Floats) -> tuple[Floats, Floats]:
    """Posterior means of effects of (cell, arm) and of arms, averaged over the prior spreads."""
    effect, arm_effect = np.zeros_like(z), np.zeros(z.shape[1])
    for (i, j), chance in np.ndenumerate(chances):
        if chance < 1e-4:
            continue
        p = 1 / (u + SPREADS[j] ** 2)
        arm = (p * z).sum(0) / (SPREADS[i] ** -2 + p.sum(0))
        effect += chance * (arm + SPREADS[j] ** 2 * p * (z - arm))
        arm_effect += chance * arm
    return np.clip(effect, -0.9, 5.0), arm_effect


def _arm_sd(u: Floats, arm_prior: float, cell_prior: float) -> Floats:
    sd: Floats = (arm_prior**-2 + (1 / (u + cell_prior**2)).sum(0)) ** -0.5
    return sd
