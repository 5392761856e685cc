"""The statistics of one signed difference between two noisy rates: size rule, test, interval, and corrections for many of them.

The invariant: the known noise variance is part of every test and interval, and a count that could be noise alone gets neither.

Notation: a rate is hits / (hits + misses), where both are sums of noisy cells with known noise variances v_h and v_m. At a true rate p
the variance of the noisy rate is  p(1-p)/n + ((1-p)^2 v_h + p^2 v_m) / n^2  (sampling of people, then noise, by the delta method).
Test and interval are one procedure: the interval holds every difference that the score test does not reject (Mee 1984, with noise added
and the rest's rate re-estimated under each hypothetical difference), so it excludes zero exactly where the test at zero rejects.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import TypeVar

ALPHA = 0.05
"""Chance of any false alarm in one scan, and one minus the simultaneous confidence."""

MINIMUM_NOISE_SDS = 5.0
"""A count below this many standard deviations of its noise is not assessable: it may be nobody."""

MINIMUM_EXPECTED = 5.0
"""Expected hits and misses a group needs before a normal approximation is trusted (Cochran 1954)."""

POWER = 0.8
GAP_DRAWS = 999
_NORMAL = NormalDist()

Key = TypeVar("Key")


class Verdict(StrEnum):
    """The closed list of verdicts of `docs/glossary.md`."""

    WITHIN = "within limits"
    ATTENTION = "attention"
    BREACH = "breach"
    CANNOT_TELL = "cannot tell"


class Reason(StrEnum):
    """Why a comparison is not assessable."""

    NO_OTHER_GROUP = "no_other_group"
    NOISE = "below_noise"
    EXPECTED = "too_few_expected"


@dataclass(frozen=True, slots=True)
class Tally:
    """Noisy hits and misses with the variance of the noise in each."""

    hits: float = 0.0
    misses: float = 0.0
    hits_variance: float = 0.0
    misses_variance: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.hits + other.hits,
            self.misses + other.misses,
            self.hits_variance + other.hits_variance,
            self.misses_variance + other.misses_variance,
        )

    @property
    def total(self) -> float:
        """Noisy number of people."""
        return self.hits + self.misses

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise in `total`."""
        return math.sqrt(self.hits_variance + self.misses_variance)

    @property
    def rate(self) -> float:
        """Noisy rate; outside [0, 1] when noise made a cell negative. Only for a positive total."""
        return self.hits / self.total

    @property
    def beyond_noise(self) -> bool:
        """Whether the total is so large that it is not noise alone."""
        return self.total > 0 and self.total >= MINIMUM_NOISE_SDS * self.noise_sd

    def variance(self, rate: float) -> float:
        """Variance of the noisy rate where the true one is `rate`."""
        noise = (1 - rate) ** 2 * self.hits_variance + rate**2 * self.misses_variance
        return rate * (1 - rate) / self.total + noise / self.total**2


@dataclass(frozen=True, slots=True)
class Difference:
    """A group's rate minus that of all others together."""

    group: Tally
    rest: Tally

    @property
    def value(self) -> float | None:
        """The noisy difference, or nothing where a count may be noise alone."""
        return self.group.rate - self.rest.rate if self.group.beyond_noise and self.rest.beyond_noise else None

    @property
    def reason(self) -> Reason | None:
        """Why there is no test, or nothing where there is one."""
        if self.value is None:
            return Reason.NOISE
        rate = self._rest_rate(0.0)
        least = min(rate, 1 - rate) * min(self.group.total, self.rest.total)
        return Reason.EXPECTED if least < MINIMUM_EXPECTED else None

    def standard_error(self, difference: float = 0.0) -> float:
        """Standard error of the noisy difference where the true one is `difference`."""
        rest = self._rest_rate(difference)
        return math.sqrt(self.group.variance(rest + difference) + self.rest.variance(rest))

    def p_value(self) -> float:
        """Two-sided p-value of no difference."""
        error = self.standard_error()
        z = abs(self._value) / error
        return math.erfc(z / math.sqrt(2))

    def interval(self, critical: float) -> tuple[float, float]:
        """All differences in [-1, 1] that the score test with this critical value keeps."""
        middle = min(1.0, max(-1.0, self._value))

        def kept(difference: float) -> bool:
            return abs(self._value - difference) <= critical * self.standard_error(difference)

        return _edge(kept, middle, -1.0), _edge(kept, middle, 1.0)

    def detectable(self, critical: float) -> float:
        """The true difference that a scan of this many people finds four times in five."""
        return (critical + _NORMAL.inv_cdf(POWER)) * self.standard_error()

    @property
    def _value(self) -> float:
        return self.group.rate - self.rest.rate

    def _rest_rate(self, difference: float) -> float:
        """The rest's rate as both groups' people estimate it when the true difference is given."""
        n, m = self.group.total, self.rest.total
        rate = (n * (self.group.rate - difference) + m * self.rest.rate) / (n + m)
        return min(1 - max(difference, 0.0), max(-min(difference, 0.0), rate))


def _edge(kept: Callable[[float], bool], inside: float, outside: float) -> float:
    """The last kept difference between one that is kept and the end of the range."""
    if kept(outside):
        return outside
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    return inside


def bonferroni_critical(tests: int) -> float:
    """Critical value at which `tests` two-sided intervals hold together with probability of at least 1 - `ALPHA`.

    >>> round(bonferroni_critical(1), 3)
    1.96
    """
    return _NORMAL.inv_cdf(1 - ALPHA / (2 * max(tests, 1)))


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Holm's step-down adjustment (Holm 1979).

    >>> {k: round(p, 3) for k, p in holm({"a": 0.01, "b": 0.04, "c": 0.03}).items()}
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    adjusted: dict[Key, float] = {}
    highest = 0.0
    for rank, (key, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p))
        adjusted[key] = highest
    return adjusted


def verdict_of(interval: tuple[float, float] | None, limit: float) -> Verdict:
    """The verdict of one comparison.

    >>> [verdict_of(i, 0.05).value for i in [(-0.01, 0.04), (0.06, 0.1), (0.01, 0.1), (-0.1, 0.1), None]]
    ['within limits', 'breach', 'attention', 'cannot tell', 'cannot tell']
    """
    if interval is None:
        return Verdict.CANNOT_TELL
    low, high = interval
    if -limit <= low and high <= limit:
        return Verdict.WITHIN
    if low > limit or high < -limit:
        return Verdict.BREACH
    return Verdict.ATTENTION if low > 0 or high < 0 else Verdict.CANNOT_TELL


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a whole scan: within limits only where every single comparison is, never by default."""
    for candidate in (Verdict.BREACH, Verdict.ATTENTION, Verdict.CANNOT_TELL):
        if candidate in verdicts:
            return candidate
    return Verdict.WITHIN if verdicts else Verdict.CANNOT_TELL


def largest_gap(groups: Sequence[Tally]) -> tuple[float, float] | None:
    """Largest difference between any two groups' rates and its p-value, calibrated on equal groups with the same sizes and noise.

    The gap is biased upwards by noise, so it has no interval here. The draws are seeded by the table itself: a repeated scan prints
    the same p-value.
    """
    groups = [g for g in groups if g.beyond_noise]
    if len(groups) < 2:
        return None
    rates = [g.rate for g in groups]
    gap = max(rates) - min(rates)
    pooled = min(1.0, max(0.0, sum(g.hits for g in groups) / sum(g.total for g in groups)))
    errors = [math.sqrt(g.variance(pooled)) for g in groups]
    draw = random.Random(repr([(g.hits, g.misses, g.hits_variance) for g in groups]))  # noqa: S311 - a simulation, not a secret
    exceeded = 0
    for _ in range(GAP_DRAWS):
        simulated = [draw.gauss(0.0, error) for error in errors]
        exceeded += max(simulated) - min(simulated) >= gap
    return gap, (1 + exceeded) / (1 + GAP_DRAWS)
