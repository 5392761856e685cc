"""The statistics of signed differences and ratios between noisy rates, many at once: size rule, test, intervals, detectable difference.

The invariant: the known noise is part of every test and interval. Notation: a rate is hits / total, both sums of noisy cells. A person's
answer b is reported under the own group with probability p and under any other one with q (p = 1 and q = 0 where groups are counted as
they are), and weighs w = (1[own] - q) / (p - q) for the group and 1 - w for the rest. With a = w / n and c = t (1 - w) / m a person adds
a (b - r) - c (b - s) to the deviation of  rate - t · rest's rate  from its value at the true rates r and s, which has the variance

    n E[(a - c)² r(1-r) + c² (r - s)²] + m E[(a - c)² s(1-s) + a² (r - s)²]  over the reports,

the noise of the cells comes through the same weights. Without randomised response and with t = 1 this is r(1-r)/n + s(1-s)/m and the
noise ((1-r)² v_h + r² v_m) / n² of each side. Test and interval are one procedure: an interval holds every value that the score test does
not reject (Mee 1984; Miettinen and Nurminen 1985), the rest's rate being estimated anew under each, so that it excludes no difference
exactly where the test rejects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.special import erfc

from audit.differences import MINIMUM_EXPECTED, MINIMUM_NOISE_SDS, NORMAL, POWER

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

HALVINGS = 36
"""Bisections of a range of length 2: far below the last printed digit."""

RATIO_END = 1e6
"""A ratio's interval that reaches this far is open."""


@dataclass(frozen=True, slots=True)
class Tallies:
    """Noisy hits and misses of many groups, one entry each, with the variances and the covariance of the noise in the two.

    `total_variance` is that of hits and misses together, devices' dice included where groups were randomised.
    """

    hits: Floats
    misses: Floats
    hits_variance: Floats
    misses_variance: Floats
    covariance: Floats
    total_variance: Floats

    @classmethod
    def of(cls, hits: Floats, misses: Floats, hits_variance: float, misses_variance: float, covariance: float = 0.0) -> Tallies:
        """With the same noise in every group."""
        whole = hits_variance + misses_variance + 2 * covariance
        return cls(hits, misses, *(np.full(hits.shape, number) for number in (hits_variance, misses_variance, covariance, whole)))

    @property
    def total(self) -> Floats:
        """Noisy numbers of people."""
        return self.hits + self.misses

    @property
    def rate(self) -> Floats:
        """Noisy rates; outside [0, 1] where noise made a cell negative, not a number where there is nobody."""
        rates: Floats = np.divide(self.hits, self.total, out=np.full(self.hits.shape, np.nan), where=self.total > 0)
        return rates

    @property
    def total_sd(self) -> Floats:
        """Standard deviation of the noise in `total`."""
        return np.sqrt(self.total_variance)

    @property
    def beyond_noise(self) -> Bools:
        """Whether a total is so large that it is not noise alone."""
        return (self.total > 0) & (self.total >= MINIMUM_NOISE_SDS * self.total_sd)

    def rest(self) -> Tallies:
        """For each group all others together."""
        return Tallies(*(np.sum(getattr(self, one.name)) - getattr(self, one.name) for one in fields(self)))

    def at(self, chosen: Bools) -> Tallies:
        """Some of the groups."""
        return Tallies(*(getattr(self, one.name)[chosen] for one in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Tallies]) -> Tallies:
        """Several after each other."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Groups against their rests, one entry a comparison. Every total has to be beyond its noise."""

    group: Tallies
    rest: Tallies
    keep: Floats
    """Probability that a person is reported under the own group: 1 where groups are counted as they are."""
    other: Floats
    """Probability of each single other group."""
    dispersion: Floats
    """Variance of a person's answer over rate (1 - rate): 1 for yes and no, less for a mean of several values."""

    @property
    def value(self) -> Floats:
        """The noisy differences."""
        return self.group.rate - self.rest.rate

    @property
    def enough(self) -> Bools:
        """Whether both sides expect enough hits and misses under no difference."""
        pooled = self._rest_rate(np.zeros(self.value.shape))
        least: Floats = np.minimum(pooled, 1 - pooled) * np.minimum(self.group.total, self.rest.total)
        return least >= MINIMUM_EXPECTED

    def standard_error(self, difference: Floats | None = None) -> Floats:
        """Standard errors of the noisy differences where the true ones are given; none when left out."""
        true = np.zeros(self.value.shape) if difference is None else difference
        rest = self._rest_rate(true)
        return np.sqrt(self._variance(rest + true, rest, np.ones(rest.shape)))

    def noise_error(self) -> Floats:
        """The part of the standard errors at the found differences that is noise: what would be missing if cells were exact."""
        true = np.clip(self.value, -1.0, 1.0)
        rest = self._rest_rate(true)
        rate = np.clip(rest + true, 0.0, 1.0)
        sampling = self.dispersion * (rate * (1 - rate) / self.group.total + rest * (1 - rest) / self.rest.total)
        return np.sqrt(np.maximum(self.standard_error(true) ** 2 - sampling, 0.0))

    def p_values(self) -> Floats:
        """Two-sided p-values of no difference."""
        found: Floats = erfc(np.abs(self.value) / self.standard_error() / np.sqrt(2))
        return found

    def intervals(self, critical: Floats) -> tuple[Floats, Floats]:
        """All differences in [-1, 1] that the score test with these critical values keeps."""
        value, middle = self.value, np.clip(self.value, -1.0, 1.0)

        def kept(difference: Floats) -> Bools:
            return np.abs(value - difference) <= critical * self.standard_error(difference)

        return _edge(kept, middle, np.full(middle.shape, -1.0)), _edge(kept, middle, np.full(middle.shape, 1.0))

    def ratio(self) -> Floats:
        """The group's rate over the rest's, not below 0; not a number where the rest's is not above 0."""
        bottom = self.rest.rate
        ratio: Floats = np.divide(self.group.rate, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)
        return np.maximum(ratio, 0.0)

    def ratio_intervals(self, critical: Floats) -> tuple[Floats, Floats]:
        """All ratios that the score test keeps: 0 below where none is too small, infinite above where none is too large."""
        known = np.isfinite(self.ratio())
        middle = np.log(np.clip(np.where(known, self.ratio(), 1.0), 1 / RATIO_END, RATIO_END))

        def kept(logarithm: Floats) -> Bools:
            ratio = np.exp(logarithm)
            rest = (self.group.hits + self.rest.hits) / (ratio * self.group.total + self.rest.total)
            rest = np.clip(rest, 0.0, np.minimum(1.0, 1 / ratio))
            error = np.sqrt(self._variance(ratio * rest, rest, ratio))
            return np.abs(self.group.rate - ratio * self.rest.rate) <= critical * error

        end = np.full(middle.shape, np.log(RATIO_END))
        low, high = _edge(kept, middle, -end), _edge(kept, middle, end)
        return np.where(low <= -end, 0.0, np.exp(low)), np.where(high >= end, np.inf, np.exp(high))

    def detectable(self, critical: Floats) -> Floats:
        """The true differences that a scan of so many people finds four times in five."""
        return (critical + NORMAL.inv_cdf(POWER)) * self.standard_error()

    def _rest_rate(self, difference: Floats) -> Floats:
        """The rest's rate as both sides' people estimate it when the true difference is given."""
        n, m = self.group.total, self.rest.total
        rate = (n * (self.group.rate - difference) + m * self.rest.rate) / (n + m)
        return np.clip(rate, np.maximum(-difference, 0.0), np.minimum(1 - difference, 1.0))

    def _variance(self, rate: Floats, rest: Floats, ratio: Floats) -> Floats:
        """Of `group's rate - ratio · rest's rate` where these are the true rates."""
        n, m, span = self.group.total, self.rest.total, self.keep - self.other
        apart = (rate - rest) ** 2
        found = np.zeros(rate.shape)
        for side, weight, own, foreign in (
            (self.group, (1 - self.other) / span, self.keep, self.other),
            (self.rest, -self.other / span, 1 - self.keep, 1 - self.other),
        ):
            a, c = weight / n, ratio * (1 - weight) / m
            spread = (a - c) ** 2 * self.dispersion
            found += n * own * (spread * rate * (1 - rate) + c**2 * apart) + m * foreign * (spread * rest * (1 - rest) + a**2 * apart)
            hit, miss = a * (1 - rate) - c * (1 - rest), c * rest - a * rate
            found += hit**2 * side.hits_variance + miss**2 * side.misses_variance + 2 * hit * miss * side.covariance
        return np.maximum(found, 0.0)


def _edge(kept: Callable[[Floats], Bools], inside: Floats, outside: Floats) -> Floats:
    """The last kept value between one that is kept and the end of the range."""
    end, whole = outside, kept(outside)
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        good = kept(middle)
        inside, outside = np.where(good, middle, inside), np.where(good, outside, middle)
    return np.where(whole, end, inside)
