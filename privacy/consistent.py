"""Two measures that count the same rows in different crossings agree on what they share: their shared sums are estimated together.

Generalised least squares for independent cells of equal noise (Barak et al. 2007; Hay et al. 2010): the shared sums are averaged by their
precision, and each table's cells are moved evenly so that they add up to the average.
"""

from __future__ import annotations

from privacy.covariance import Consistent
from privacy.errors import MeasuresDiffer
from privacy.estimates import Table, non_negative, places
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


def reconciled(one: Table, other: Table) -> Table:
    """The first table, improved by the second over the same windows. Raises `MeasuresDiffer` where they do not count the same."""
    if not shares_rows(one.measure, other.measure):
        raise MeasuresDiffer("the two measures do not count the same rows")
    names = [d.name for d in one.measure.dimensions if d in other.measure.dimensions]
    values, theirs = list(one.values), places(other.measure, names)
    group, sizes, known = [0] * len(values), [], []
    for number, (labels, own) in enumerate(places(one.measure, names).items()):
        here, there = one.sum_of(own), other.sum_of(theirs[labels])
        weight = there.sd**2 / (here.sd**2 + there.sd**2)
        best = weight * here.value + (1 - weight) * there.value
        sizes.append(len(own))
        known.append(weight * here.sd**2)
        for at in own:
            values[at] += (best - here.value) / len(own)
            group[at] = number
    return Table(one.measure, values, non_negative(values), Consistent(one.cell(0).sd, group, sizes, known))
