"""The field's usual fairness figures, computed by fairlearn on cells instead of rows. Points only: no test and no interval.

fairlearn takes negative weights without a word and its bootstrap resamples the cells as if they were people. Cells are therefore set to
zero where noise made them negative, and every inference is `audit.inference`'s. fairlearn is loaded inside: sanitiser and tests only.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from audit.inference import NoisyTable
from tacit.core.declaration import OTHER


@dataclass(frozen=True, slots=True)
class PointMetrics:
    """fairlearn's figures for one arm against all others, between the named groups of one dimension.

    The ratio is missing where nobody was shown the arm. `odds` takes the reward as the outcome and having been shown the arm as the
    decision; it is missing where some group has only rewards or none. Noise pushes each of them towards more disparity.
    """

    dimension: str
    arm: str
    parity_difference: float
    parity_ratio: float | None
    odds_difference: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Cell:
    group: str
    arm: str
    reward: int
    weight: float


def point_metrics(table: NoisyTable) -> list[PointMetrics]:
    """All figures for every group dimension and arm; nothing for a dimension with fewer than two groups above zero."""
    *dimensions, arms, _ = table.measure.dimensions
    found = []
    for index, dimension in enumerate(dimensions):
        cells = _projected(table, index)
        people = {g: sum(c.weight for c in cells if c.group == g) for g in dimension.values}
        cells = [c for c in cells if people[c.group] > 0]
        if len({c.group for c in cells}) < 2:
            continue
        found += [_of_arm(dimension.name, arm, cells) for arm in arms.labels]
    return found


def _projected(table: NoisyTable, index: int) -> list[_Cell]:
    """The table summed over the other group dimensions and set to zero where it is negative, without the cell `other`."""
    sums: dict[tuple[str, str, str], float] = {}
    labels = itertools.product(*(d.labels for d in table.measure.dimensions))
    for one, value in zip(labels, table.values, strict=True):
        key = (one[index], one[-2], one[-1])
        sums[key] = sums.get(key, 0.0) + value
    return [_Cell(g, a, int(r), max(0.0, weight)) for (g, a, r), weight in sums.items() if g != OTHER]


def _of_arm(dimension: str, arm: str, cells: Sequence[_Cell]) -> PointMetrics:
    from fairlearn.metrics import demographic_parity_difference, demographic_parity_ratio, equalized_odds_difference

    rewards = [c.reward for c in cells]
    shown = [int(c.arm == arm) for c in cells]
    arguments = {"sensitive_features": [c.group for c in cells], "sample_weight": [c.weight for c in cells]}
    odds = None
    if _has_both_outcomes(cells):
        odds = float(equalized_odds_difference(rewards, shown, **arguments))
    return PointMetrics(
        dimension=dimension,
        arm=arm,
        parity_difference=float(demographic_parity_difference(rewards, shown, **arguments)),
        parity_ratio=float(demographic_parity_ratio(rewards, shown, **arguments)) if any(c.weight for c in cells if c.arm == arm) else None,
        odds_difference=odds,
    )


def _has_both_outcomes(cells: Sequence[_Cell]) -> bool:
    present = {(c.group, c.reward) for c in cells if c.weight > 0}
    return all((group, reward) in present for group in {c.group for c in cells} for reward in (0, 1))
