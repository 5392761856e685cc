"""What each window newly says about reward rates, from strategy rows whose noise is independent: increments of score and information.

At a working rate r the contrast q_j = (1 - r) y1 - r y0 of window j has mean n_j (rate - r) and people's variance n_j r (1 - r). A row
holds sum_j c_(t-j) q_j and fresh noise. The past of q is known by its noisy rows only, so a Kalman filter predicts each row (its state is
the strategy's few exponential sums), and the same filter runs over what the row holds of the exposures. Row t's innovation e_t has variance
S_t and expectation (rate - r) f_t, f_t being the filtered exposures; it adds e_t f_t / S_t to the score and f_t² / S_t to the information.

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


def increments(
    releases: Sequence[Release], shape: tuple[int, int, int], *, places: Floats, rates: Floats, exposures: Floats
) -> Iterator[Increment]:
    """One increment for each usable release, oldest first.

    `shape` is (cells, arms, 2) of a release's vector. `places` is (places, arms) of 0 and 1: which arms a place adds up. `rates` is (cells,
    places), the working rates. `exposures` is (releases, cells, places), estimated trials of each window.
    """
    part = (1 - rates) ** 2 + rates**2
    filters: dict[str, _Filter] = {}
    ahead: dict[str, int] = {}
    for release, trials in zip(releases, exposures, strict=True):
        people = np.maximum(trials * rates * (1 - rates), 0.0)
        noise = release.mechanism.scale**2 * part * places.sum(1)
        counts = np.asarray(release.vector, dtype=float).reshape(shape)
        if release.row is None:
            contrast = _contrast(counts, places, rates)
            variance = people + noise
            yield Increment(release.window.end_ms, contrast * trials / variance, trials**2 / variance, trials)
            continue
        row, block = release.row, release.row.block
        if block not in filters:
            filters[block] = _Filter(row.strategy, rates.shape)
            ahead[block] = 0
        for _ in range(ahead[block], row.position):  # windows that were not released, or not usable, are taken to be like this one
            filters[block].skip(trials, people)
        ahead[block] = row.position + 1
        contrast = _contrast(counts / row.strategy.unit, places, rates)
        score, information = filters[block].step(contrast, trials, people, noise)
        yield Increment(release.window.end_ms, score, information, trials)


def _contrast(counts: Floats, places: Floats, rates: Floats) -> Floats:
    y0, y1 = counts[..., 0] @ places.T, counts[..., 1] @ places.T
    found: Floats = (1 - rates) * y1 - rates * y0
    return found


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
