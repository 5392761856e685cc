"""From noisy tables to comparisons between groups: who is shown what, for whom it works, and how strongly anybody is adjusted to.

The invariant: every number that is judged carries the variance of its noise. The cell `other` of a declared dimension is nobody's group:
its share is stated, and it is compared with nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audit.comparisons import Gap, Inference, Unknown
from audit.differences import MINIMUM_NOISE_SDS, Level, worst
from audit.errors import ReleaseMismatch
from audit.gaps import gaps_of, spread_of
from audit.judging import answer
from audit.questions import EXPOSURE, REWARD, REWARD_OF_ARM, Asked, Asking, Comparing, Rows, rows_of
from privacy.models import Release
from privacy.series import total
from tacit.core.declaration import Measure

__all__ = ["EXPOSURE", "REWARD", "REWARD_OF_ARM", "NoisyTable", "infer", "summed"]


@dataclass(frozen=True, slots=True)
class NoisyTable:
    """The sum of releases of one audit measure: counts in the order of `measure.all_labels`, and the noise variance of each."""

    measure: Measure
    values: tuple[float, ...]
    variance: float
    releases: int

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise in one cell."""
        return math.sqrt(self.variance)


def summed(measure: Measure, releases: Sequence[Release]) -> NoisyTable:
    """Releases of one measure definition added up, with the noise that the sum has under their mechanism."""
    if any(r.measure.id != measure.id or len(r.values) != measure.cells for r in releases):
        raise ReleaseMismatch("a release has another measure definition")
    found = total(releases)
    if found is None:
        return NoisyTable(measure, (0.0,) * measure.cells, 0.0, 0)
    return NoisyTable(measure, found.values, found.sd**2, found.windows)


def infer(table: NoisyTable, limit: float, comparing: Comparing | None = None) -> Inference:
    """Compare every group with the rest: single ones, intersections, within strata; in exposure, reward and what people experience."""
    comparing = comparing or Comparing()
    *dimensions, arms, _ = table.measure.dimensions
    singles: list[tuple[str, ...]] = [(d.name,) for d in dimensions if d.name not in table.measure.strata]
    strata = [(d.name, label) for d in dimensions if d.name in table.measure.strata for label in d.labels]
    asked: list[Asked] = []
    odds: list[Asked] = []
    gaps: list[Gap] = []
    unknown: list[Unknown] = []
    for names in singles:
        rows = rows_of(table.measure, table.values, table.variance, names)
        asked += Asking(rows, arms.labels, Level.GROUPS).treatment()
        asked += Asking(rows, arms.labels, Level.EXPERIENCE).experience(comparing.arms)
        for pair in Asking(rows, arms.labels, Level.ODDS).odds():
            odds += pair
            gaps += _gap(pair, "equalised_odds")
        unknown.append(_unknown(rows))
    for names in comparing.intersections:
        rows = rows_of(table.measure, table.values, table.variance, names)
        asked += Asking(rows, arms.labels, Level.INTERSECTIONS).treatment()
        unknown.append(_unknown(rows))
    for names in singles:
        for stratum in strata:
            asked += Asking(rows_of(table.measure, table.values, table.variance, names, stratum), arms.labels, Level.STRATA).treatment()
    gaps = [gap for one in (*asked, *odds) for gap in _gap([one], one.statistic)] + gaps
    comparisons, beside = answer([(asked, limit), (odds, limit)])
    return Inference(worst([c.verdict for c in comparisons]), limit, comparisons, tuple(gaps), tuple(unknown), beside)


def _gap(several: Sequence[Asked], statistic: str) -> Iterator[Gap]:
    first = several[0]
    found = gaps_of([spread_of(one.groups, one.dispersion) for one in several])
    if found is not None:
        stratum = dict([first.stratum]) if first.stratum else None
        yield Gap(first.dimension, statistic, first.arm, *found, parameter=first.parameter, stratum=stratum)


def _unknown(rows: Rows) -> Unknown:
    """The share u = a / (a + b) of people without a group; its noise has the variance ((1 - u)² v_a + u² v_b) / (a + b)²."""
    name, inside = " x ".join(rows.names), float(rows.counts.sum())
    inside_variance = rows.variance * rows.counts.size
    people = rows.outside + inside
    if people <= 0 or people < MINIMUM_NOISE_SDS * math.sqrt(rows.outside_variance + inside_variance):
        return Unknown(name, None, None)
    share = min(1.0, max(0.0, rows.outside / people))
    return Unknown(name, share, math.sqrt((1 - share) ** 2 * rows.outside_variance + share**2 * inside_variance) / people)
