"""From noisy tables to reward rates: each arm's rate in each cell, by least squares over strategy rows.

A trial's place holds two noisy counts, without and with a reward: y0 and y1. At a working rate r the sum of a window's estimates
((1 - r) y0 + r y1) / ((1 - r)² + r²) estimates the exposures n, with noise that is uncorrelated with the contrast's (1 - r) y1 - r y0.
Rates come from the strategy rows, whose noise is independent: a row's contrast has expectation a (rate - r) and noise variance
s² ((1 - r)² + r²), where a = sum_j c_(t-j) n_j is what the row holds of the exposures. They are weighted least squares of contrasts
on a, so rows in which an arm was hardly shown add hardly any noise. With independent noise a row is a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adjust import drift

Floats = NDArray[np.float64]

TRAFFIC_SPREAD = 0.3
"""How much a cell's part of the traffic may differ between windows, relatively."""

_TINY = 1e-9


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
class Evidence:
    """Estimated reward rates; the variance of one is `noise` + `people` · rate (1 - rate). Arrays are (…, cells, arms)."""

    rate: Floats
    noise: Floats
    people: Floats
    exposures: Floats
    effective: Floats
    """Trials that would say as much about the rate now, if there were no noise."""

    def variance(self, rate: Floats) -> Floats:
        """Of each estimate, if the true rates were these."""
        return self.noise + self.people * rate * (1 - rate)


def gathered(blocks: Sequence[Block], rate: Floats, level: Floats) -> Evidence:
    """Weighted least squares over rows at the working rates; the holdout's place is added to the first arm's."""
    arms, r = rate.shape[-1], placed(rate, blocks[0])
    part = (1 - r) ** 2 + r**2
    scatter = (level * (1 - level))[..., None]
    sums = np.zeros((5, *r.shape))
    for block in blocks:
        n = _seen(block, r)
        held = block.held(n)
        noise = _along(block.scale**2, r) * part
        weight = held / (noise + block.held(n, power=2) * scatter + _TINY)
        contrast = (1 - r) * block.rows[..., 1] - r * block.rows[..., 0]
        people = (n * block.met(weight) ** 2).sum(0)
        sums += ((weight * contrast).sum(0), (weight * held).sum(0), (weight**2 * noise).sum(0), people, n.sum(0))
    numerator, slope, noise, people, exposures = (_by_arm(one, arms) for one in sums)
    slope = np.maximum(slope, 1e-6)
    return Evidence(rate + numerator / slope, (noise + _TINY) / slope**2, people / slope**2, exposures, exposures)


def forgetting(found: Evidence, line: drift.Timeline, rate: Floats, steps: Floats) -> Evidence:
    """The evidence about rates now: where there is drift, `found` is replaced by what generalised least squares gives."""
    shape, arms = rate.shape, rate.shape[-1]
    several = steps.ravel() > 0
    some = drift.Timeline(line.weights, line.scale, *(_flat(one)[:, several] for one in (line.exposures, line.contrasts)))
    rates = rate.reshape(-1, *shape[-2:])[several]
    r = rates[..., [place if place < arms else 0 for place in range(some.exposures.shape[-1])]]
    read = drift.now(some, r, steps.ravel()[several])[..., None, :]
    met = some.exposures * np.tensordot(line.weights.T, read, axes=1)
    noise = (read**2 * _along(line.scale**2, r)).sum(0) * ((1 - r) ** 2 + r**2)
    walked = drift.wandered(met) * (steps.ravel()[several] ** 2)[:, None, None] * r / (1 - r)
    people = (met**2 / np.maximum(some.exposures, _TINY)).sum(0) + walked
    numerator, slope, noise, people = (_by_arm(one, arms) for one in ((read * some.contrasts).sum(0), met.sum(0), noise, people))
    slope = np.maximum(slope, 1e-6)
    parts = [one.reshape(-1, *shape[-2:]).copy() for one in (found.rate, found.noise, found.people, found.effective)]
    fresh = (rates + numerator / slope, (noise + _TINY) / slope**2, people / slope**2, slope**2 / np.maximum(people, _TINY))
    for part, one in zip(parts, fresh, strict=True):
        part[several] = one
    of_rate, of_noise, of_people, effective = (part.reshape(shape) for part in parts)
    return Evidence(of_rate, of_noise, of_people, found.exposures, effective)


def timeline(blocks: Sequence[Block], rate: Floats) -> drift.Timeline:
    """All rows, block after block, at the working rates."""
    r = placed(rate, blocks[0])
    weights = drift.joined([np.eye(len(block.rows)) if block.weights is None else block.weights for block in blocks])
    exposures = np.concatenate([_seen(block, r) for block in blocks])
    contrasts = np.concatenate([(1 - r) * block.rows[..., 1] - r * block.rows[..., 0] for block in blocks])
    return drift.Timeline(weights, np.concatenate([block.scale for block in blocks]), exposures, contrasts)


def _flat(values: Floats) -> Floats:
    """(windows, …, cells, places) to (windows, policies, cells, places)."""
    return values.reshape(len(values), -1, *values.shape[-2:])


def placed(rate: Floats, block: Block) -> Floats:
    """(…, arms) to (…, places): people of the holdout see the first arm."""
    arms = rate.shape[-1]
    return rate[..., [place if place < arms else 0 for place in range(block.rows.shape[-2])]]


def _seen(block: Block, r: Floats) -> Floats:
    """Estimated trials in each (window, …, cell, place) at the working rates."""
    part = (1 - r) ** 2 + r**2
    seen = ((1 - r) * block.windows[..., 0] + r * block.windows[..., 1]) / part
    return _exposures(seen, _along(block.spread**2, r) / part)


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
