"""Reads releases over time: sums over any windows with their true standard deviation, whatever the mechanism. Plain Python.

With independent noise variances add up. Rows of one block of correlated noise share their noise, so the sum's variance comes from the
strategy, and is far below the sum of the windows' variances. Different blocks are independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import add

from privacy.errors import MeasuresDiffer
from privacy.models import Release
from privacy.strategy import spread
from tacit.core.declaration import Measure


@dataclass(frozen=True, slots=True)
class Sum:
    """Releases of one measure added up: counts cell by cell and, for a sum measure, the sums after them.

    The noise of different cells is independent, and so is that of a cell's count and of its centred sum; a published sum has the count's
    noise in it `centre` times, as in a single release.
    """

    measure: Measure
    values: tuple[float, ...]
    sd: float
    """Standard deviation of the noise in a count."""
    sum_sd: float | None
    """Standard deviation of the noise in a sum."""
    windows: int
    start_ms: int
    end_ms: int


def total(releases: Iterable[Release]) -> Sum | None:
    """The sum over these releases' windows; None for none at all. Raises `MeasuresDiffer`; undeclared keys do not add up either."""
    found = list(releases)
    if not found:
        return None
    measure = found[0].measure
    if measure.keys is not None or any(r.measure.id != measure.id for r in found):
        raise MeasuresDiffer()
    values: Sequence[float] = [0.0] * measure.length
    for release in found:
        values = list(map(add, values, release.values))
    return Sum(
        measure,
        tuple(values),
        sd=math.sqrt(_variance(found, [r.mechanism.scale for r in found])),
        sum_sd=None if measure.value is None else math.sqrt(_variance(found, [r.mechanism.sum_scale or 0.0 for r in found])),
        windows=len(found),
        start_ms=min(r.window.start_ms for r in found),
        end_ms=max(r.window.end_ms for r in found),
    )


def _variance(releases: Sequence[Release], scales: Sequence[float]) -> float:
    alone = 0.0
    blocks: dict[str, tuple[Release, float, list[int]]] = {}
    for release, scale in zip(releases, scales, strict=True):
        if release.row is None:
            alone += scale**2
        else:
            blocks.setdefault(release.row.block, (release, scale, []))[2].append(release.row.position)
    for release, scale, positions in blocks.values():
        if release.row is not None:
            alone += (scale * spread(release.row.strategy, positions)) ** 2
    return alone
