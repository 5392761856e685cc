"""The field's usual fairness figures, from fairlearn's selection rate on cells instead of rows. Points only: no test and no interval.

fairlearn takes negative weights without a word and its bootstrap resamples the cells as if they were people. Cells are therefore set to
zero where noise made them negative, and every inference is `audit.inference`'s. Rates are asked of fairlearn one by one: its MetricFrame
takes a hundred times as long for so few cells. fairlearn is loaded inside: sanitiser and tests only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from audit.inference import NoisyTable
from audit.pairs import Floats
from audit.questions import rows_of


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


def point_metrics(table: NoisyTable) -> list[PointMetrics]:
    """All figures for every group dimension and arm; nothing for a dimension with fewer than two groups above zero."""
    *dimensions, arms, _ = table.measure.dimensions
    found = []
    for dimension in dimensions:
        if dimension.name in table.measure.strata:
            continue
        cells = np.maximum(rows_of(table.measure, table.values, table.variance, (dimension.name,)).counts, 0.0)
        cells = cells[cells.sum(axis=(1, 2)) > 0]
        if len(cells) > 1:
            found += _of_dimension(dimension.name, arms.labels, cells)
    return found


def _of_dimension(dimension: str, arms: Sequence[str], cells: Floats) -> list[PointMetrics]:
    """From (groups, arms, rewards)."""
    overall = _rates(cells.sum(axis=2))
    by_reward = [_rates(cells[:, :, reward]) for reward in (0, 1)] if (cells.sum(axis=1) > 0).all() else None
    highest = overall.max(axis=0)
    return [
        PointMetrics(
            dimension=dimension,
            arm=arm,
            parity_difference=float(np.ptp(overall[:, at])),
            parity_ratio=float(overall[:, at].min() / highest[at]) if highest[at] > 0 else None,
            odds_difference=None if by_reward is None else max(float(np.ptp(rates[:, at])) for rates in by_reward),
        )
        for at, arm in enumerate(arms)
    ]


def _rates(people: Floats) -> Floats:
    """(groups, arms) people to the share of each group that was shown each arm."""
    from fairlearn.metrics import selection_rate

    arms = np.arange(people.shape[1])
    return np.array([[selection_rate(arms, arms, pos_label=arm, sample_weight=row) for arm in arms.tolist()] for row in people])
