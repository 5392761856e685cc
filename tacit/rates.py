"""Consent over time from the private figures. Exact numbers of choices stay where they are; these have noise and say how much."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from privacy.models import Release
from privacy.releases import ReleaseStore
from privacy.series import total
from tacit.core.clock import iso

MEASURE = "consent.choices"
DAY_MS, PAGE = 86_400_000, 1_000


def rates(releases: ReleaseStore, site: str, *, from_ms: int | None, to_ms: int | None) -> list[dict[str, Any]]:
    """Choices by purpose for each UTC day in which a window was released, oldest first; `sd` is the noise of each count.

    A day whose windows were counted under different definitions gives one line for each of them.
    """
    days: dict[tuple[int, int], list[Release]] = defaultdict(list)
    cursor: str | None = None
    while True:
        found, cursor = releases.list(site, measure=MEASURE, from_ms=from_ms, to_ms=to_ms, limit=PAGE, cursor=cursor)
        for release in found:
            days[release.window.start_ms // DAY_MS * DAY_MS, release.measure.id].append(release)
        if cursor is None:
            return [_day(day_ms, some) for (day_ms, _), some in sorted(days.items())]


def _day(day_ms: int, releases: list[Release]) -> dict[str, Any]:
    added = total(sorted(releases, key=lambda release: release.window.start_ms))
    if added is None:
        raise AssertionError("a day is there because of a release")
    by_purpose: dict[str, dict[str, float]] = defaultdict(dict)
    for labels, value in zip(added.measure.all_labels, added.values, strict=False):
        by_purpose[labels["purpose"]][labels["choice"]] = value
    return {"day": iso(day_ms)[:10], "purposes": dict(by_purpose), "sd": added.sd, "windows": added.windows}
