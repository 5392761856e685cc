"""From noisy tables to beliefs about arms: a two-level Gaussian model (policy → arm → cell) that knows how much noise it looks at.

A trial's place holds two noisy counts, without and with a reward: y0 and y1. At a working rate r the sum of a window's estimates
((1 - r) y0 + r y1) / ((1 - r)² + r²) estimates the exposures n, with noise that is uncorrelated with the contrast's (1 - r) y1 - r y0.
Rates come from the strategy rows, whose noise is independent: a row's contrast has expectation a (rate - r) and noise variance
s² ((1 - r)² + r²), where a = sum_j c_(t-j) n_j is what the row holds of the exposures. They are weighted least squares of contrasts
on a, so rows in which an arm was hardly shown add hardly any noise. With independent noise a row is a window.
The invariant: means are shrunk with the full variance (people and noise); the spread that arms are sampled with is that of people alone.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """What is believed about effects, relative to a cell's level.

    Arrays are (…, cells, arms) unless stated; … are policies that are fitted at once.
    """

    level: Floats
    """(…, cells) reward rate at effect 0."""
    effect: Floats
    arm_effect: Floats
    """(…, arms)"""
    arm_error: Floats
    """(…, arms) standard deviation of `arm_effect` with the noise: what may be stated."""
    arm_spread: Floats
    """(…, arms) standard deviation of an arm's effect by sampling of people alone: what is sampled with."""
    own: Floats
    """Part that a cell's own evidence has in its effect by sampling of people alone; the rest is the arm's."""
    own_spread: Floats
    """Standard deviation of a cell's own part by sampling of people alone."""
    own_part: Floats
    """Part that a cell's own evidence has in `effect`, noise counted."""
    cell_spread: Floats
    """(…) learned prior standard deviation of arms within a cell."""
    exposures: Floats
    """Estimated trials."""
    seen: Floats
    """Each arm's effect in a cell as it was seen, before anything is pulled to anything."""
    seen_variance: Floats
    """Of `seen`, people and noise."""
    people_variance: Floats
    """Of `seen`, by sampling of people alone."""


@dataclass(frozen=True, slots=True)
class Block:
    """Releases whose noise belongs together: one block of correlated noise, or all windows with independent noise.

    `rows` is (rows, …, cells, places, 2), the last axis y0, y1; places are the arms and, where there is one, the holdout after them, which
    informs the first arm; … are policies of one shape that are fitted at once. `scale` is (rows,), the noise's standard deviation on one
    count of a row. `weights` is (rows, windows): how much of a window is in a row; None where each row is a window. `windows` is
    (windows, …, cells, places, 2), each window's own estimates, with standard deviation `spread`.
    """

    rows: Floats
    scale: Floats
    weights: Floats | None
    windows: Floats
    spread: Floats

    def held(self, windows: Floats, *, power: int = 1) -> Floats:
        """What rows hold of something in each window: (windows, …) to (rows, …)."""
        return windows if self.weights is None else np.tensordot(self.weights**power, windows, axes=1)

    def met(self, rows: Floats) -> Floats:
        """What each window meets of something in each row: (rows, …) to (windows, …)."""
        return rows if self.weights is None else np.tensordot(self.weights.T, rows, axes=1)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """Estimated reward rates; the variance of one is `noise` + `people` · rate (1 - rate). Arrays are (…, cells, arms)."""

    rate: Floats
    noise: Floats
    people: Floats
    exposures: Floats

    def variance(self, rate: Floats) -> Floats:
        """Of each estimate, if the true rates were these."""
        return self.noise + self.people * rate * (1 - rate)


def believe(blocks: Sequence[Block], *, arms: int) -> Beliefs:
    """Fit the model to one or more blocks of the same places."""
    windows = np.add.reduce([block.windows.sum(0) for block in blocks])
    first = np.clip(windows[..., 1].sum((-2, -1)) / np.maximum(windows.sum((-3, -2, -1)), 1.0), 1e-3, 0.9)
    level = np.repeat(first[..., None], windows.shape[-3], axis=-1)
    effect = np.zeros((*level.shape, arms))
    for _ in range(ROUNDS):
        rate = _rates(level, effect)
        found = _evidence(blocks, rate, level)
        level = _level(found, effect, rate)
        z = found.rate / level[..., None] - 1
        u = found.variance(level[..., None]) / level[..., None] ** 2
        chances = _chances(z, u)
        effect, arm_effect = _effects(z, u, chances)
    arm_prior = np.sqrt(np.tensordot(SPREADS**2, chances.sum(1), axes=1))
    cell_prior = np.sqrt(np.tensordot(SPREADS**2, chances.sum(0), axes=1))
    within = cell_prior[..., None, None] ** 2
    people = (1 - level)[..., None] / (np.maximum(found.exposures, _TINY) * level[..., None])
    own = within / (within + people)
    return Beliefs(
        level=level,
        effect=effect,
        arm_effect=arm_effect,
        arm_error=_arm_sd(u, arm_prior, within),
        arm_spread=_arm_sd(people, arm_prior, within),
        own=own,
        own_spread=np.sqrt(own * people),
        own_part=within / (within + u),
        cell_spread=cell_prior,
        exposures=found.exposures,
        seen=z,
        seen_variance=u,
        people_variance=people,
    )


def _rates(level: Floats, effect: Floats) -> Floats:
    return np.clip(level[..., None] * (1 + effect), 1e-4, 0.99)


def _evidence(blocks: Sequence[Block], rate: Floats, level: Floats) -> _Evidence:
    """Weighted least squares over rows at the working rates; the holdout's place is added to the first arm's."""
    arms, places = rate.shape[-1], blocks[0].rows.shape[-2]
    r = rate[..., [place if place < arms else 0 for place in range(places)]]
    part = (1 - r) ** 2 + r**2
    scatter = (level * (1 - level))[..., None]
    sums = np.zeros((5, *r.shape))
    for block in blocks:
        seen = ((1 - r) * block.windows[..., 0] + r * block.windows[..., 1]) / part
        n = _exposures(seen, _along(block.spread**2, r) / part)
        held = block.held(n)
        noise = _along(block.scale**2, r) * part
        weight = held / (noise + block.held(n, power=2) * scatter + _TINY)
        contrast = (1 - r) * block.rows[..., 1] - r * block.rows[..., 0]
        people = (n * block.met(weight) ** 2).sum(0)
        sums += ((weight * contrast).sum(0), (weight * held).sum(0), (weight**2 * noise).sum(0), people, n.sum(0))
    numerator, slope, noise, people, exposures = (_by_arm(one, arms) for one in sums)
    slope = np.maximum(slope, 1e-6)
    return _Evidence(rate + numerator / slope, (noise + _TINY) / slope**2, people / slope**2, exposures)


def _along(values: Floats, places: Floats) -> Floats:
    """(rows,) to be multiplied with (rows, …, cells, places)."""
    return values.reshape(-1, *(1,) * places.ndim)


def _exposures(seen: Floats, variance: Floats) -> Floats:
    """Trials in each (window, …, cell, place): what was seen, pulled to the cell's traffic divided evenly in so far as it is noise.

    Allocation probabilities as a further source were tried and changed no result; without them a client may lag or be faulty.
    """
    traffic, traffic_variance = seen.sum(-1), variance.sum(-1)
    totals = np.maximum(traffic.sum(-1, keepdims=True), 1.0)
    parts = np.maximum(traffic.sum(0), 0.0) + _TINY
    mean = totals * parts / parts.sum(-1, keepdims=True)
    traffic = _combine(mean, mean + (TRAFFIC_SPREAD * mean) ** 2 + _TINY, traffic, traffic_variance)
    even = np.repeat(traffic[..., None] / seen.shape[-1], seen.shape[-1], axis=-1)
    return _combine(even, even + even**2 + _TINY, seen, variance)


def _combine(mean: Floats, mean_variance: Floats, seen: Floats, seen_variance: Floats) -> Floats:
    combined: Floats = np.maximum((mean * seen_variance + seen * mean_variance) / (mean_variance + seen_variance), 0.0)
    return combined


def _by_arm(places: Floats, arms: int) -> Floats:
    """(…, places) to (…, arms): people of the holdout saw the first arm."""
    found = places[..., :arms].copy()
    found[..., 0] += places[..., arms:].sum(-1)
    return found


def _level(found: _Evidence, effect: Floats, rate: Floats) -> Floats:
    """Each cell's level from all its arms, pulled to the policy's."""
    factor = 1 + effect
    precision = 1 / (found.variance(rate) + _TINY)
    weight = (precision * factor**2).sum(-1)
    total = (precision * factor * found.rate).sum(-1)
    middle = np.clip(total.sum(-1, keepdims=True) / weight.sum(-1, keepdims=True), 1e-4, 0.99)
    prior = (LEVEL_SPREAD * middle) ** -2
    level: Floats = np.clip((total + prior * middle) / (weight + prior), middle * 0.1, 0.99)
    return level


def _chances(z: Floats, u: Floats) -> Floats:
    """Posterior chance of each pair of prior spreads (arm, cell within arm): their marginal likelihood times the hyperprior."""
    hyper = -0.5 * (np.log(SPREADS / SPREAD_MEDIAN) / np.log(SPREAD_FOLD)) ** 2
    log = np.empty((len(SPREADS), len(SPREADS), *z.shape[:-2]))
    for j, within in enumerate(SPREADS):
        p = 1 / (u + within**2)
        inside = 0.5 * np.log(p).sum((-2, -1)) - 0.5 * (p * z * z).sum((-2, -1))
        information, total = p.sum(-2), (p * z).sum(-2)
        for i, between in enumerate(SPREADS):
            a = between**-2 + information
            log[i, j] = inside - 0.5 * np.log(between**2 * a).sum(-1) + 0.5 * (total**2 / a).sum(-1) + hyper[i] + hyper[j]
    weights = np.exp(log - log.max((0, 1)))
    chances: Floats = weights / weights.sum((0, 1))
    return chances


def _effects(z: Floats, u: Floats, chances: Floats) -> tuple[Floats, Floats]:
    """Posterior means of effects of (cell, arm) and of arms, averaged over the prior spreads."""
    effect, arm_effect = np.zeros_like(z), np.zeros((*z.shape[:-2], z.shape[-1]))
    for i, j in np.ndindex(chances.shape[:2]):
        chance = chances[i, j][..., None]
        if chance.max() < 1e-4:
            continue
        p = 1 / (u + SPREADS[j] ** 2)
        arm = (p * z).sum(-2) / (SPREADS[i] ** -2 + p.sum(-2))
        effect += chance[..., None] * (arm[..., None, :] + SPREADS[j] ** 2 * p * (z - arm[..., None, :]))
        arm_effect += chance * arm
    return np.clip(effect, -0.9, 5.0), np.clip(arm_effect, -0.9, 5.0)


def _arm_sd(u: Floats, arm_prior: Floats, within: Floats) -> Floats:
    sd: Floats = (arm_prior[..., None] ** -2 + (1 / (u + within)).sum(-2)) ** -0.5
    return sd
