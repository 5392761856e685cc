"""What a reader may conclude from noisy sums: estimates that are possible counts, marginals, means. Post-processing: it costs no privacy,
and never changes a release. Plain Python.

The invariant: an interval is always that of the unbiased noisy number, cut to what is possible. Cutting takes away values that the truth
cannot have, so an interval covers the truth as often as before. It is about noise alone: nothing is said of people who did not come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from privacy.centring import centre
from privacy.covariance import Independent, Noise, Randomised
from privacy.local import debiased
from privacy.series import Sum
from tacit.core.declaration import Measure

NORMAL_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""

READABLE = 5.0
"""A count below so many standard deviations of its noise is not divided by: the ratio would be a guess."""


@dataclass(frozen=True, slots=True)
class Number:
    """A noisy number, its standard deviation, and an estimate that is a possible value."""

    value: float
    sd: float
    estimate: float

    def to_json(self) -> dict[str, Any]:
        """With the 95 % interval, cut at zero."""
        half = NORMAL_95 * self.sd
        return {
            "value": self.value,
            "sd": self.sd,
            "interval": [max(self.value - half, 0.0), max(self.value + half, 0.0)],
            "estimate": self.estimate,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """A measure's counts over some windows, cell by cell, and how their noise hangs together."""

    measure: Measure
    values: Sequence[float]
    estimates: Sequence[float]
    noise: Noise

    @classmethod
    def of(cls, found: Sum) -> Table:
        """From sums of releases; what devices randomised is debiased."""
        measure = found.measure
        counts = found.values[: measure.cells]
        if measure.local_epsilon is None:
            return cls(measure, counts, non_negative(counts), Independent(found.sd, measure.cells))
        epsilon = float(measure.local_epsilon)
        values = [value for value, _ in debiased(counts, epsilon, found.sd)]
        estimates = non_negative(values)
        return cls(measure, values, estimates, Randomised(found.sd, epsilon, estimates))

    def cell(self, place: int) -> Number:
        """One cell."""
        return Number(self.values[place], math.sqrt(self.noise.variance({place: 1.0})), self.estimates[place])

    def total(self) -> Number:
        """All cells."""
        return Number(math.fsum(self.values), math.sqrt(self.noise.of_total()), math.fsum(self.estimates))

    def sum_of(self, here: Sequence[int]) -> Number:
        """Several cells added up."""
        sd = math.sqrt(self.noise.variance(dict.fromkeys(here, 1.0)))
        return Number(math.fsum(self.values[at] for at in here), sd, math.fsum(self.estimates[at] for at in here))

    def share(self, place: int) -> dict[str, Any] | None:
        """A cell's part of the total with its 95 % interval (Fieller's); None where the total is not clear of its noise."""
        return self.part([place])

    def part(self, here: Sequence[int]) -> dict[str, Any] | None:
        """The same for several cells together."""
        part, whole = self.sum_of(here), self.total()
        if whole.value < READABLE * whole.sd:
            return None
        covariance = math.fsum(self.noise.with_total(at) for at in here)
        low, high = _ratio(part.value, part.sd**2, whole.value, whole.sd**2, covariance=covariance)
        return {"value": min(max(part.value / whole.value, 0.0), 1.0), "interval": [max(low, 0.0), min(high, 1.0)]}

    def marginals(self) -> dict[str, list[dict[str, Any]]]:
        """For each dimension its labels' sums over all others. Estimates add up to those of the cells."""
        return {
            dimension.name: [{"by": dict(by)} | self.sum_of(here).to_json() for by, here in places(self.measure, [dimension.name]).items()]
            for dimension in self.measure.dimensions
        }


def non_negative(values: Sequence[float]) -> list[float]:
    """The nearest values, in squares, that are not negative and have the same sum (0 where that is negative).

    All alike are lowered by one number, and what would fall below 0 stays there (Duchi, Shalev-Shwartz, Singer and Chandra 2008).

    >>> non_negative([5.0, -1.0, 2.0])
    [4.5, 0.0, 1.5]
    """
    goal = math.fsum(values)
    if goal <= 0:
        return [0.0] * len(values)
    lowered, running = 0.0, 0.0
    for number, value in enumerate(sorted(values, reverse=True), start=1):
        running += value
        if value - (running - goal) / number > 0:
            lowered = (running - goal) / number
    return [max(value - lowered, 0.0) for value in values]


Labels = tuple[tuple[str, str], ...]


def places(measure: Measure, names: Sequence[str]) -> dict[Labels, list[int]]:
    """Where in the vector the cells stand that agree in these dimensions."""
    found: dict[Labels, list[int]] = {}
    for at, by in enumerate(measure.all_labels):
        found.setdefault(tuple((name, by[name]) for name in names), []).append(at)
    return found


def means(found: Sum) -> list[dict[str, Any] | None]:
    """The mean value of each cell's events, for a sum measure; None where the count is not clear of its noise.

    With the centre c taken off, sum and count have independent noise: mean = c + (sum - c · count) / count, by Fieller's interval
    for a ratio, cut to the declared range.
    """
    values, measure = found.measure.value, found.measure
    if values is None or found.sum_sd is None:
        return []
    middle = centre(values)
    centred_variance = max(found.sum_sd**2 - (middle * found.sd) ** 2, 0.0)
    answers: list[dict[str, Any] | None] = []
    for count, total in zip(found.values[: measure.cells], found.values[measure.cells :], strict=True):
        if count < READABLE * found.sd:
            answers.append(None)
            continue
        centred = total - middle * count
        low, high = _ratio(centred, centred_variance, count, found.sd**2)
        mean = min(max(middle + centred / count, values.low), values.high)
        answers.append({"value": mean, "interval": [max(middle + low, values.low), min(middle + high, values.high)]})
    return answers


def _ratio(top: float, top_variance: float, bottom: float, bottom_variance: float, *, covariance: float = 0.0) -> tuple[float, float]:
    """Fieller's 95 % interval of top / bottom (Fieller 1954). `bottom` must be clear of its noise, so that the interval is bounded."""
    z = NORMAL_95**2
    a = bottom**2 - z * bottom_variance
    b = top * bottom - z * covariance
    c = top**2 - z * top_variance
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (b - root) / a, (b + root) / a


def rows(table: Table, more: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Cells for the public form; `more` holds further values by name, one for each cell."""
    found = []
    for at, by in enumerate(table.measure.all_labels):
        one = {"by": dict(by)} | table.cell(at).to_json() | {"share": table.share(at)}
        found.append(one | {name: values[at] for name, values in more.items()})
    return found
