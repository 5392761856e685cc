"""Adding up a measure's windows by day: values add, and so do the variances of their independent noise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from .ports import CellRow, DayRow
from .words import DAY_MS


def sum_by_day(windows: Iterable[tuple[int, Sequence[int], float]], labels: Sequence[Mapping[str, str]]) -> list[DayRow]:
    """Daily sums of `(window start in ms, vector, sd of its noise)`, oldest first. `labels` are the measure's `all_labels`.

    >>> [d["cells"][0]["value"] for d in sum_by_day([(0, [2], 3.0), (60_000, [5], 4.0)], [{}])]
    [7]
    >>> sum_by_day([(0, [2], 3.0), (60_000, [5], 4.0)], [{}])[0]["cells"][0]["sd"]
    5.0
    """
    found: dict[int, tuple[list[int], float, int]] = {}
    for start, vector, sd in windows:
        at = start - start % DAY_MS
        sums, variance, count = found.get(at, ([0] * len(labels), 0.0, 0))
        found[at] = ([a + b for a, b in zip(sums, vector, strict=False)], variance + sd * sd, count + 1)
    return [
        DayRow(
            start=at,
            windows=count,
            cells=[CellRow(by=dict(label), bin="count", value=s, sd=math.sqrt(variance)) for label, s in zip(labels, sums, strict=True)],
        )
        for at, (sums, variance, count) in sorted(found.items())
    ]
