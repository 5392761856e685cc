"""What the windows since the last scan say by themselves: one standardised score for each subject, independent of all earlier ones.

Sums over everything since the start overlap, so their z-scores hang together and a cumulative sum of them would alarm by itself. Scores are
therefore of new windows only. Under correlated noise the increments' noise still hangs together: with the prefix strategy it is negatively
correlated. Its covariance is known from the strategy (`privacy.strategy`: window sums weigh the rows' independent noise), so each score is
replaced by its innovation: what it is beyond its best linear prediction from the earlier scores of the same block.

The score is H_g - p N_g - f (H - p N): a group's hits beyond its share f of all people at the common rate p. It is linear in the cells, so
small or negative counts do no harm; divided by N f (1-f) it estimates the difference of the group's rate to the rest's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

from audit.pairs import Floats
from privacy.models import Release
from privacy.strategy import Strategy, inverse

HISTORY = 32
"""Earlier scans of a block that a score is predicted from."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows of one block of correlated noise a scan has read."""

    block: str
    positions: tuple[int, ...]

    def weights(self, strategy: Strategy, length: int) -> Floats:
        """How much of each row's noise is in the sum of these windows: u_t = sum_j e_(j-t) over the chosen j >= t."""
        chosen = np.zeros(length)
        chosen[list(self.positions)] = 1.0
        return np.asarray(fftconvolve(chosen[::-1], np.array(inverse(strategy)[:length]))[:length][::-1])


def newest_span(releases: Sequence[Release]) -> Span | None:
    """The rows of the block that the newest of these releases belongs to; None for independent noise."""
    last = releases[-1].row
    if last is None:
        return None
    return Span(last.block, tuple(sorted(r.row.position for r in releases if r.row is not None and r.row.block == last.block)))


def noise_products(releases: Sequence[Release], earlier: Sequence[Span]) -> Floats:
    """Covariances of the noise in a cell's sum over each earlier span of one block, and, last, over these releases' part of that block.

    (earlier + 1, earlier + 1). The diagonal is of that block alone.
    """
    here = [r for r in releases if r.row is not None and earlier and r.row.block == earlier[0].block]
    if not here or here[0].row is None:
        return np.zeros((len(earlier) + 1, len(earlier) + 1))
    spans = [*earlier, Span(earlier[0].block, tuple(r.row.position for r in here if r.row is not None))]
    length = 1 + max(at for span in spans for at in span.positions)
    weights = np.array([span.weights(here[0].row.strategy, length) for span in spans])
    return np.asarray(here[0].mechanism.scale ** 2 * weights @ weights.T)


@dataclass(frozen=True, slots=True)
class Score:
    """One subject in one scan: the score, the rate and share it was taken at, people in all, and its sampling variance."""

    value: float
    rate: float
    share: float
    people: float
    hit_cells: float
    miss_cells: float
    rest_hit_cells: float
    rest_miss_cells: float

    @property
    def scale(self) -> float:
        """What the score is divided by to give a difference of rates."""
        return max(self.people, 1.0) * self.share * (1 - self.share)

    @property
    def sampling(self) -> float:
        """Variance of the score from people alone where no group differs."""
        return self.rate * (1 - self.rate) * max(self.people, 0.0) * self.share * (1 - self.share)

    def noise_with(self, other: Score) -> float:
        """What a cell's noise (co)variance is multiplied by for the scores' one."""
        own = (1 - self.share) * (1 - other.share)
        rest = self.share * other.share
        hits, misses = (1 - self.rate) * (1 - other.rate), self.rate * other.rate
        return own * (hits * self.hit_cells + misses * self.miss_cells) + rest * (
            hits * self.rest_hit_cells + misses * self.rest_miss_cells
        )


@dataclass(frozen=True, slots=True)
class Innovation:
    """A score beyond its prediction: standard normal `z`, and the standard error in units of a difference of rates."""

    z: float
    difference: float
    error: float


def innovation(now: Score, variance: float, past: Sequence[tuple[int, Score, float]], products: Floats) -> Innovation | None:
    """From a score and the noise variance of a cell in it; `past` has for earlier scores their place in `products` and theirs.

    None where a score cannot vary: nobody came and nothing is noisy.
    """
    places = [place for place, _, _ in past] + [len(products) - 1]
    scores = [score for _, score, _ in past] + [now]
    own = [one for _, _, one in past] + [variance]
    covariance = np.array([[a.noise_with(b) for b in scores] for a in scores]) * products[np.ix_(places, places)]
    np.fill_diagonal(covariance, [s.sampling + s.noise_with(s) * v for s, v in zip(scores, own, strict=True)])
    expected, left = 0.0, float(covariance[-1, -1])
    if past:
        factors = np.linalg.lstsq(covariance[:-1, :-1], covariance[:-1, -1], rcond=None)[0]
        expected = float(factors @ [score.value for score in scores[:-1]])
        left -= float(factors @ covariance[:-1, -1])
    if left <= 0:
        return None
    error = left**0.5
    return Innovation((now.value - expected) / error, now.value / now.scale, error / now.scale)
