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


def cells(found: Sum) -> list[Number]:
    """The counts of all cells: the estimates are not negative and add up to the total, or to 0 where that is negative."""
    measure = found.measure
    counts = found.values[: measure.cells]
    numbers = [(value, found.sd) for value in counts]
    if measure.local_epsilon is not None:
        numbers = debiased(counts, float(measure.local_epsilon), found.sd)
    estimates = non_negative([value for value, _ in numbers])
    return [Number(value, sd, estimate) for (value, sd), estimate in zip(numbers, estimates, strict=True)]


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


def marginals(measure: Measure, numbers: Sequence[Number]) -> dict[str, list[dict[str, Any]]]:
    """For each dimension its labels' sums over all others. Cells' noise is independent; estimates add up to those of the cells."""
    return {
        dimension.name: [
            {"by": dict(by)} | summed([numbers[at] for at in here]).to_json() for by, here in places(measure, [dimension.name]).items()
        ]
        for dimension in measure.dimensions
    }


Labels = tuple[tuple[str, str], ...]


def places(measure: Measure, names: Sequence[str]) -> dict[Labels, list[int]]:
    """Where in the vector the cells stand that agree in these dimensions."""
    found: dict[Labels, list[int]] = {}
    for at, by in enumerate(measure.all_labels):
        found.setdefault(tuple((name, by[name]) for name in names), []).append(at)
    return found


def summed(numbers: Sequence[Number]) -> Number:
    """Independent numbers added up."""
    return Number(
        math.fsum(n.value for n in numbers), math.sqrt(math.fsum(n.sd**2 for n in numbers)), math.fsum(n.estimate for n in numbers)
    )


def share(part: Number, whole: Number) -> dict[str, Any] | None:
    """A part of a total with its 95 % interval; None where the total is not clear of its noise.

    The two share the part's noise; Fieller's interval holds every r that part - r · whole does not reject.
    """
    if whole.value < READABLE * whole.sd:
        return None
    low, high = _ratio(part.value, part.sd**2, whole.value, whole.sd**2, covariance=part.sd**2)
    return {"value": min(max(part.value / whole.value, 0.0), 1.0), "interval": [max(low, 0.0), min(high, 1.0)]}


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


def as_rows(measure: Measure, numbers: Sequence[Number], more: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Cells for the public form; `more` holds further values by name, one for each cell."""
    rows = []
    for at, (by, number) in enumerate(zip(measure.all_labels, numbers, strict=True)):
        rows.append({"by": dict(by)} | number.to_json() | {name: values[at] for name, values in more.items()})
    return rows
