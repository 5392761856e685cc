"""What each window newly says about mean outcomes, from strategy rows whose noise is independent: increments of score and information.

An outcome b counts as s_b (a reward as 0 and 1). At a working mean m the contrast q_j = sum_b (s_b - m) y_b of window j has mean
n_j (mean - m) and people's variance n_j v; for rewards it is (1 - r) y1 - r y0 and v = r (1 - r). A row holds sum_j c_(t-j) q_j and fresh
noise. The past of q is known by its noisy rows only, so a Kalman filter predicts each row (its state is the strategy's few exponential
sums), and the same filter runs over what the row holds of the exposures. Row t's innovation e_t has variance S_t and expectation
(mean - m) f_t, f_t being the filtered exposures; it adds e_t f_t / S_t to the score and f_t² / S_t to the information.

The invariant this is for: innovations are independent of everything before, however the noise is correlated over time, so the score minus
information times the true deviation is a martingale (efficient estimators have independent increments: Scharfstein, Tsiatis and Robins
1997; Jennison and Turnbull 1997). Sums of windows do not have this property under correlated noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.models import Release
from privacy.strategy import UNIT, Strategy

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Increment:
    """What one window adds. Arrays are (cells, places)."""

    end_ms: int
    score: Floats
    information: Floats
    exposures: Floats
    """The window's estimated trials."""


@dataclass(frozen=True, slots=True)
class Working:
    """What contrasts are taken against. Arrays are (cells, places) unless stated."""

    scores: Floats
    """(outcomes,) what each counts as; an outcome that is not judged has the score nan."""
    places: Floats
    """(places, arms) of 0 and 1: which arms a place adds up."""
    mean: Floats
    variance: Floats
    """Of one person's score."""

    def contrast(self, counts: Floats) -> Floats:
        """sum_b (s_b - m) y_b, from (cells, arms, outcomes) to (cells, places)."""
        by_place = np.einsum("pa,cab->cpb", self.places, counts)
        judged = np.where(np.isnan(self.scores), 0.0, self.scores - self.mean[..., None])
        found: Floats = (by_place * judged).sum(-1)
        return found

    @property
    def noise(self) -> Floats:
        """The contrast's noise variance where each count's is 1."""
        judged = np.where(np.isnan(self.scores), 0.0, self.scores - self.mean[..., None])
        found: Floats = (judged**2).sum(-1) * self.places.sum(1)
        return found


def increments(releases: Sequence[Release], shape: tuple[int, int, int], working: Working, exposures: Floats) -> Iterator[Increment]:
    """One increment for each usable release, oldest first.

    `shape` is (cells, arms, outcomes) of a release's vector. `exposures` is (releases, cells, places), estimated trials of each window.
    """
    filters: dict[str, _Filter] = {}
    ahead: dict[str, int] = {}
    for release, trials in zip(releases, exposures, strict=True):
        people = np.maximum(trials * working.variance, 0.0)
        noise = release.mechanism.scale**2 * working.noise
        counts = np.asarray(release.vector, dtype=float).reshape(shape)
        if release.row is None:
            variance = people + noise
            yield Increment(release.window.end_ms, working.contrast(counts) * trials / variance, trials**2 / variance, trials)
            continue
        row, block = release.row, release.row.block
        if block not in filters:
            filters[block] = _Filter(row.strategy, working.mean.shape)
            ahead[block] = 0
        for _ in range(ahead[block], row.position):  # windows that were not released, or not usable, are taken to be like this one
            filters[block].skip(trials, people)
        ahead[block] = row.position + 1
        score, information = filters[block].step(working.contrast(counts / row.strategy.unit), trials, people, noise)
        yield Increment(release.window.end_ms, score, information, trials)


class _Filter:
    """The Kalman filter of one block, for all cells and places at once; the last axes are the strategy's exponential sums.

    `_predicted` is what is believed of the sums of people's deviations, `_unseen` what of the sums of exposures was not yet attributed to
    the unknown rate, `_spread` the covariance of the first.
    """

    def __init__(self, strategy: Strategy, shape: tuple[int, ...]) -> None:
        self._weight = np.array([weight / UNIT for weight, _ in strategy.buffers])
        self._decay = np.array([decay / UNIT for _, decay in strategy.buffers])
        self._predicted, self._unseen = (np.zeros((*shape, len(self._weight))) for _ in range(2))
        self._spread = np.zeros((*shape, len(self._weight), len(self._weight)))

    def step(self, row: Floats, trials: Floats, people: Floats, noise: Floats) -> tuple[Floats, Floats]:
        """Take one row; its increments of score and information. `people` and `noise` are variances."""
        pulled = self._spread @ self._weight
        variance = people + pulled @ self._weight + noise
        innovation = row - self._predicted @ self._weight
        filtered = trials + self._unseen @ self._weight
        own, past = people / variance, pulled / variance[..., None]
        self._predicted = self._decay * (self._predicted + past * innovation[..., None]) + (own * innovation)[..., None]
        self._unseen = self._decay * (self._unseen - past * filtered[..., None]) + (trials - own * filtered)[..., None]
        cross = self._decay * -(own[..., None] * pulled)
        inside = self._spread - past[..., :, None] * pulled[..., None, :]
        self._spread = self._decay[:, None] * self._decay * inside + cross[..., :, None] + cross[..., None, :]
        self._spread += (people - own * people)[..., None, None]
        return innovation * filtered / variance, filtered**2 / variance

    def skip(self, trials: Floats, people: Floats) -> None:
        """Pass over a window whose row is not known."""
        self._predicted = self._decay * self._predicted
        self._unseen = self._decay * self._unseen + trials[..., None]
        self._spread = self._decay[:, None] * self._decay * self._spread + people[..., None, None]
