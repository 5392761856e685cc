"""Page's cumulative sum over scans: finds a lasting difference that no single scan is sure of, with few false alarms a year.

Each scan adds the log-likelihood ratio of a shift against none, t z - t²/2, to a sum that never falls below zero (Page 1954; optimal for a
known shift: Moustakides 1986). The shift looked for is the audit's limit, but never less than one standard error: with t = 1 this is the
textbook's k = 0.5. A fair sum passes h about as often as e^-h says, so h grows with the logarithm of how many sums are kept and how often.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

BASE = 6.5
"""Threshold of 8 sums (four groups, two directions) over 52 scans a year; `make bench` measures the false alarms."""

BASE_SUMS, BASE_SCANS = 8, 52

CAP = 2.0
"""A sum stops at this many thresholds, so that the alarm ends a bounded time after the difference has."""

LEAST = 3.0


def threshold(sums: int, scans_a_year: float) -> float:
    """h for so many sums kept in parallel.

    >>> threshold(8, 52)
    6.5
    >>> threshold(8, 365) > threshold(8, 52)
    True
    """
    return max(LEAST, BASE + math.log(max(sums, 1) / BASE_SUMS) + math.log(max(scans_a_year, 1.0) / BASE_SCANS))


@dataclass(frozen=True, slots=True)
class Side:
    """One direction of one subject. `start_ms` is the estimated change point: where the sum last left zero (Page's estimate)."""

    value: float = 0.0
    start_ms: int | None = None
    weight: float = 0.0
    """Sum of 1 / SE² since then, and of the differences so weighed."""
    weighted: float = 0.0

    def step(self, z: float, shift: float, difference: float, error: float, *, at_ms: int, h: float) -> Side:
        """After one more scan. `z` points in this side's direction; `difference` has its own sign and the standard error `error`."""
        value = self.value + shift * z - shift**2 / 2
        if value <= 0:
            return Side()
        weight = 1 / error**2
        one = replace(self, value=min(value, CAP * h), weight=self.weight + weight, weighted=self.weighted + difference * weight)
        return one if one.start_ms is not None else replace(one, start_ms=at_ms)

    @property
    def drift(self) -> float | None:
        """The difference since the change point, weighed by precision."""
        return self.weighted / self.weight if self.weight else None

    @property
    def drift_sd(self) -> float | None:
        """Its standard deviation; chance chose the change point, so that it is a little optimistic."""
        return self.weight**-0.5 if self.weight else None


@dataclass(frozen=True, slots=True)
class Chart:
    """Both directions of one subject."""

    up: Side = Side()
    down: Side = Side()

    def step(self, z: float, shift: float, difference: float, error: float, *, at_ms: int, h: float) -> Chart:
        """After one more scan with this z-score, looking for `shift` standard errors."""
        return Chart(
            self.up.step(z, shift, difference, error, at_ms=at_ms, h=h),
            self.down.step(-z, shift, difference, error, at_ms=at_ms, h=h),
        )

    def alarm(self, h: float) -> Side | None:
        """The side that has passed the threshold; the larger one of two."""
        larger = max(self.up, self.down, key=lambda side: side.value)
        return larger if larger.value >= h else None
