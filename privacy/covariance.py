"""How the noise of a table's cells hangs together: the variance of any weighted sum of them.

Cells of a release are independent. What devices randomised and what was made consistent with another table is not: there cells share noise,
mostly of opposite signs, so that sums are more certain than their parts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from privacy.local import keep_probability, other_probability

Weights = Mapping[int, float]
"""By place in the table; all others have the weight 0."""


class Noise(Protocol):
    """The noise of one table."""

    def variance(self, weights: Weights) -> float:
        """Of the sum of cells times weights."""
        ...

    def with_total(self, place: int) -> float:
        """Covariance of a cell and the sum of all."""
        ...

    def of_total(self) -> float:
        """Variance of the sum of all."""
        ...


@dataclass(frozen=True, slots=True)
class Independent:
    """Every cell has noise of its own."""

    sd: float
    cells: int

    def variance(self, weights: Weights) -> float:
        """As `Noise`."""
        return self.sd**2 * math.fsum(w * w for w in weights.values())

    def with_total(self, place: int) -> float:  # noqa: ARG002 - the same for all
        """As `Noise`."""
        return self.sd**2

    def of_total(self) -> float:
        """As `Noise`."""
        return self.sd**2 * self.cells


@dataclass(frozen=True, slots=True)
class Randomised:
    """Cells debiased from reports: noise of the counts, and the devices' dice. The dice move nobody in or out of the total.

    With W the sum of all weights, the counts have the weights (w - qW) / (p - q). Somebody who truly is in cell t reports r with
    probability q, or p where r = t: the variance of the reported weight is q W2 + (p - q) w² - (qW + (p - q) w)², W2 the sum of squares.
    """

    sd: float
    epsilon: float
    people: Sequence[float]
    """Estimated truth of each cell, not negative."""

    def variance(self, weights: Weights) -> float:
        """As `Noise`."""
        cells = len(self.people)
        p, q = keep_probability(self.epsilon, cells), other_probability(self.epsilon, cells)
        total, squares = math.fsum(weights.values()), math.fsum(w * w for w in weights.values())
        noise = self.sd**2 * (squares - 2 * q * total**2 + cells * (q * total) ** 2)
        named = math.fsum(self.people[at] for at in weights)
        dice = (math.fsum(self.people) - named) * (q * squares - (q * total) ** 2)
        dice += math.fsum(self.people[at] * (q * squares + (p - q) * w * w - (q * total + (p - q) * w) ** 2) for at, w in weights.items())
        return max(noise + dice, 0.0) / (p - q) ** 2

    def with_total(self, place: int) -> float:  # noqa: ARG002 - the same for all
        """As `Noise`: p - q = 1 - k q, so the cells add up to the number of reports."""
        return self.sd**2

    def of_total(self) -> float:
        """As `Noise`."""
        return self.sd**2 * len(self.people)


@dataclass(frozen=True, slots=True)
class Consistent:
    """Cells that were moved evenly, group by group, so that each group adds up to a better known sum."""

    sd: float
    """Of a cell before."""
    group: Sequence[int]
    """Of each cell."""
    sizes: Sequence[int]
    known: Sequence[float]
    """Variance of each group's sum now."""

    def variance(self, weights: Weights) -> float:
        """As `Noise`: what cells have beyond their group's mean is as before, and independent of the sums."""
        sums: dict[int, float] = {}
        for at, weight in weights.items():
            sums[self.group[at]] = sums.get(self.group[at], 0.0) + weight
        within = math.fsum(w * w for w in weights.values()) - math.fsum(s * s / self.sizes[g] for g, s in sums.items())
        return self.sd**2 * max(within, 0.0) + math.fsum(self.known[g] * (s / self.sizes[g]) ** 2 for g, s in sums.items())

    def with_total(self, place: int) -> float:
        """As `Noise`."""
        group = self.group[place]
        return self.known[group] / self.sizes[group]

    def of_total(self) -> float:
        """As `Noise`."""
        return math.fsum(self.known)
