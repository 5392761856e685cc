"""Adding up a measure's windows by day. What a day's noise amounts to depends on the mechanism, which `privacy.series` knows."""

from __future__ import annotations

from collections.abc import Iterable

from privacy.models import Release
from privacy.series import total

from .ports import CellRow, DayRow
from .words import DAY_MS


def sum_by_day(releases: Iterable[Release]) -> list[DayRow]:
    """Daily sums of the counts of one measure's releases, oldest first.

    Days that share a block of correlated noise share noise, of opposite signs on the whole: whoever adds days up, and their variances as
    if they were independent, states more noise than there is.
    """
    days: dict[int, list[Release]] = {}
    for release in releases:
        days.setdefault(release.window.start_ms - release.window.start_ms % DAY_MS, []).append(release)
    found = []
    for at, windows in sorted(days.items()):
        day = total(windows)
        if day is None:
            continue
        cells = [
            CellRow(by=dict(label), bin="count", value=value, sd=day.sd)
            for label, value in zip(day.measure.all_labels, day.values, strict=False)
        ]
        found.append(DayRow(start=at, windows=len(windows), cells=cells))
    return found
