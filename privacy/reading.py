"""Joins releases to what `GET /v1/estimates` and `tacit estimates` answer: one measure over a stretch of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from privacy.consistent import reconciled
from privacy.errors import MeasuresDiffer
from privacy.estimates import Table, means, rows
from privacy.models import Release
from privacy.quantiles import quantiles
from privacy.releases import ReleaseStore
from privacy.series import total
from tacit.core.clock import iso
from tacit.core.declaration import Measure

SUPPRESSED = (
    "Keys below the threshold are suppressed. A key that is suppressed in one window has no sum over windows, so only the newest is shown."
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is asked: windows that start in `[from_ms, to_ms)`, and which quantiles."""

    from_ms: int | None = None
    to_ms: int | None = None
    quantiles: tuple[float, ...] = ()


def read(store: ReleaseStore, measure: Measure, wanted: Reading, *, beside: Measure | None = None) -> dict[str, Any]:
    """The answer, JSON-able. `windows` says how many windows there were, `missing` how many without it: they could not be read, the budget
    was refused, or the measure was another one then. Without any window the lists are empty.

    Raises `MeasuresDiffer` where `beside` does not count the same rows in the same windows.
    """
    releases = _releases(store, measure, wanted)
    missing = store.decided(measure.site, wanted.from_ms, wanted.to_ms) - len(releases)
    head: dict[str, Any] = {"measure": measure.name, "from": None, "to": None, "windows": len(releases), "missing": missing}
    head |= {"cells": [], "marginals": {}}
    if not releases:
        return head | {"total": None}
    head |= {"from": iso(min(r.window.start_ms for r in releases)), "to": iso(max(r.window.end_ms for r in releases))}
    if measure.keys is not None:
        newest = releases[-1]
        at = {"from": iso(newest.window.start_ms), "to": iso(newest.window.end_ms), "windows": 1}
        return head | at | {"cells": newest.cells(), "total": None, "suppressed": {"below": newest.threshold, "note": SUPPRESSED}}
    found = total(releases)
    if found is None:
        return head | {"total": None}
    table = Table.of(found)
    if beside is not None:
        others = _releases(store, beside, wanted)
        if [r.window for r in others] != [r.window for r in releases] or (sums := total(others)) is None:
            raise MeasuresDiffer("the two measures were not released for the same windows")
        table = reconciled(table, Table.of(sums))
    more: dict[str, Sequence[Any]] = {}
    if measure.value is not None:
        more["mean"] = means(found)
        more["sum"] = [{"value": v, "sd": found.sum_sd} for v in found.values[measure.cells :]]
    answer = head | {"cells": rows(table, more), "marginals": table.marginals(), "total": table.total().to_json()}
    return answer | ({"quantiles": quantiles(table, wanted.quantiles)} if wanted.quantiles else {})


def _releases(store: ReleaseStore, measure: Measure, wanted: Reading) -> list[Release]:
    after = -1 if wanted.from_ms is None else wanted.from_ms - 1
    found = store.since(measure.site, measure.id, after)
    return [r for r in found if wanted.to_ms is None or r.window.start_ms < wanted.to_ms]


def lines(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells of an answer for a table: one line each, the 95 % interval before the estimate."""
    found = []
    for cell in answer["cells"]:
        row: dict[str, Any] = dict(cell["by"])
        if "interval" in cell:
            low, high = cell["interval"]
            row |= {"from": round(low, 1), "to": round(high, 1), "estimate": round(cell["estimate"], 1)}
        else:
            row |= {"value": cell["value"]}
        row["noise sd"] = round(cell["sd"], 1)
        if cell.get("mean"):
            row["mean"] = round(cell["mean"]["value"], 2)
        found.append(row)
    return found
