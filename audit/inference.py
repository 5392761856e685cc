"""From noisy tables to comparisons between groups: who is shown what, and for whom it works.

Pure Python, so that any process may call it. The invariant: every number that is judged carries the variance of its noise. The cell
`other` of a declared dimension is nobody's group: its share is stated, and it is compared with nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from audit.comparisons import Gap, Inference, Question, Unknown, answer, questions_of
from audit.differences import Tally, largest_gap, worst
from audit.errors import ReleaseMismatch
from audit.foreign import read_table
from privacy.models import Release
from privacy.series import total
from tacit.core.declaration import HOLDOUT, OTHER, Measure

EXPOSURE, REWARD, REWARD_OF_ARM = "exposure", "reward", "reward_of_arm"
"""Share of a group that was shown an arm; share that gave the reward; the same among those who were shown one arm."""


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


def infer(table: NoisyTable, limit: float) -> Inference:
    """Compare every group of every declared dimension with the rest, in exposure and in reward."""
    *dimensions, arms, _ = table.measure.dimensions
    questions: list[Question] = []
    gaps: list[Gap] = []
    unknown: list[Unknown] = []
    for index, dimension in enumerate(dimensions):
        margin = _margin(table, index)
        unknown.append(_unknown_share(dimension.name, margin))
        named = {group: rows for group, rows in margin.items() if group != OTHER}
        for statistic, arm, tallies in _statistics(named, arms.labels):
            mirrored = statistic == EXPOSURE and len(arms.labels) == 2
            questions += questions_of(dimension.name, statistic, arm, tallies, mirrored_arm=mirrored)
            if (found := largest_gap(list(tallies.values()))) is not None:
                gaps.append(Gap(dimension.name, statistic, arm, *found))
    comparisons = answer(questions, limit)
    return Inference(worst([c.verdict for c in comparisons]), limit, comparisons, tuple(gaps), tuple(unknown))


def infer_table(line: Mapping[str, Any]) -> dict[str, Any]:
    """Judge one table that anybody brings, as described under `tacit scan --tables` in `docs/interfaces.md`.

    Every group that the table names is compared, also one called `other`. Raises `TableRefused`.
    """
    table = read_table(line)
    comparisons = answer(questions_of("group", REWARD, None, table.tallies), table.limit)
    groups = [
        {
            "group": c.group,
            "difference": c.difference,
            "interval": list(c.interval) if c.interval else None,
            "p": c.p,
            "verdict": c.verdict.value,
            "reason": c.reason.value if c.reason else None,
        }
        for c in comparisons
    ]
    return {"id": table.id, "verdict": worst([c.verdict for c in comparisons]).value, "groups": groups}


_Rows = dict[str, tuple[Tally, ...]]
"""Group -> for each arm the tally of reward (hits) and no reward (misses)."""


def _margin(table: NoisyTable, index: int) -> _Rows:
    """The table summed over all other group dimensions."""
    *dimensions, arms, rewards = table.measure.dimensions
    hit = rewards.labels.index("1")
    sums: dict[tuple[int, int, bool], float] = {}
    positions = itertools.product(*(range(d.size) for d in table.measure.dimensions))
    for position, value in zip(positions, table.values, strict=True):
        key = (position[index], position[-2], position[-1] == hit)
        sums[key] = sums.get(key, 0) + value
    noise = table.variance * math.prod(d.size for i, d in enumerate(dimensions) if i != index)
    return {
        group: tuple(Tally(sums[g, a, True], sums[g, a, False], noise, noise) for a in range(arms.size))
        for g, group in enumerate(dimensions[index].labels)
    }


def _statistics(rows: _Rows, arms: Sequence[str]) -> list[tuple[str, str | None, dict[str, Tally]]]:
    """Exposure of each arm, reward overall, reward of each arm. What the holdout does with its content is not the policy's doing."""
    found: list[tuple[str, str | None, dict[str, Tally]]] = []
    if len(arms) > 1:
        found += [(EXPOSURE, arm, {g: _exposure(tallies, a) for g, tallies in rows.items()}) for a, arm in enumerate(arms)]
    found.append((REWARD, None, {g: reduce(add, tallies) for g, tallies in rows.items()}))
    found += [(REWARD_OF_ARM, arm, {g: tallies[a] for g, tallies in rows.items()}) for a, arm in enumerate(arms) if arm != HOLDOUT]
    return found


def _exposure(tallies: Sequence[Tally], arm: int) -> Tally:
    shown = tallies[arm]
    others = reduce(add, (t for i, t in enumerate(tallies) if i != arm), Tally())
    return Tally(shown.total, others.total, shown.noise_sd**2, others.noise_sd**2)


def _unknown_share(dimension: str, margin: _Rows) -> Unknown:
    everybody = {group: reduce(add, tallies) for group, tallies in margin.items()}
    outside = everybody.pop(OTHER, Tally())
    inside = reduce(add, everybody.values(), Tally())
    split = Tally(outside.total, inside.total, outside.noise_sd**2, inside.noise_sd**2)
    if not split.beyond_noise:
        return Unknown(dimension, None, None)
    share = min(1.0, max(0.0, split.rate))
    noise = (1 - share) ** 2 * split.hits_variance + share**2 * split.misses_variance
    return Unknown(dimension, share, math.sqrt(noise) / split.total)
