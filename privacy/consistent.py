"""Two measures that count the same rows in different crossings agree on what they share: their shared sums are estimated together.

Generalised least squares for independent cells of equal noise (Barak et al. 2007; Hay et al. 2010): the shared sums are averaged by their
precision, and each table's cells are moved evenly so that they add up to the average.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from privacy.errors import MeasuresDiffer
from privacy.estimates import Number, non_negative, places, summed
from tacit.core.declaration import Kind, Measure


def shares_rows(one: Measure, other: Measure) -> bool:
    """Whether both count exactly the same rows: then their sums over what they do not share are equal without noise.

    A cap on single cells keeps other rows in other crossings, so there must be none of effect.
    """
    return (
        one.id != other.id
        and (one.kind, other.kind) == (Kind.COUNT, Kind.COUNT)
        and (one.site, one.event, one.purpose, one.bounds) == (other.site, other.event, other.purpose, other.bounds)
        and one.bounds.per_cell == one.bounds.per_window
        and one.local_epsilon is None
        and other.local_epsilon is None
    )


def reconciled(one: Measure, numbers: Sequence[Number], other: Measure, others: Sequence[Number]) -> list[Number]:
    """The cells of `one`, improved by those of `other` over the same windows. Raises `MeasuresDiffer` where they do not count the same."""
    if not shares_rows(one, other):
        raise MeasuresDiffer("the two measures do not count the same rows")
    names = [d.name for d in one.dimensions if d in other.dimensions]
    moved, theirs = list(numbers), places(other, names)
    for labels, own in places(one, names).items():
        here, there = summed([numbers[at] for at in own]), summed([others[at] for at in theirs[labels]])
        weight = there.sd**2 / (here.sd**2 + there.sd**2)
        best, best_variance = weight * here.value + (1 - weight) * there.value, weight * here.sd**2
        for at in own:
            # What a cell has beyond its part of the shared sum is independent of that sum.
            variance = numbers[at].sd ** 2 * (1 - 1 / len(own)) + best_variance / len(own) ** 2
            moved[at] = Number(numbers[at].value + (best - here.value) / len(own), math.sqrt(variance), 0.0)
    estimates = non_negative([n.value for n in moved])
    return [replace(n, estimate=e) for n, e in zip(moved, estimates, strict=True)]
