"""From a released audit to standing orders that bring its groups within a limit, with the least change that the figures allow.

Where the audit has context strata, each group's spread over cells is known, and its exposure is limited as a mix of cells. Without strata
it is known only how much of the cells' differences shows between groups: groups differ by D while cells differ by M, so cells may differ
by limit · M / D. Only the outer edge of a difference (1.96 standard errors, noise counted) is trusted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adjust.cells import SEPARATOR
from adjust.errors import NothingToCorrect
from adjust.fairness import spread
from privacy.releases import ReleaseStore
from privacy.series import total
from tacit.core.declaration import HOLDOUT, OTHER, Audit, Dimension, Measure, Policy, Site

Floats = NDArray[np.float64]

ALIKE = 1e-3
"""Cells whose weights differ by less are alike."""

EDGE = 1.959964


def orders_for(
    site: Site,
    policy: Policy,
    releases: ReleaseStore,
    *,
    weights: Mapping[str, Sequence[float]],
    traffic: Mapping[str, float],
    limit: float,
) -> dict[str, Any]:
    """`{"mixes": [...]}` or `{"within": …}`. Raises `NothingToCorrect`."""
    apart = spread(weights)
    if apart < ALIKE:
        raise NothingToCorrect("the weights are alike in all cells, so a difference between groups has another cause")
    mixes: list[dict[str, Any]] = []
    worst = 0.0
    for audit in site.audits.values():
        if audit.policy != policy.name:
            continue
        table, noise = _table(site, audit, releases)
        if table is None:
            continue
        if audit.strata:
            mixes += _mixes(audit, policy, table, traffic, limit)
        else:
            worst = max([worst, *_edges(audit, table, noise)])
    found: dict[str, Any] = {"mixes": mixes} if mixes else {}
    if worst > limit:
        found["within"] = min(1.0, limit * max(apart / worst, 1.0))
    if not found:
        raise NothingToCorrect("no audit of this policy shows a difference in exposure beyond that limit")
    return found


def _table(site: Site, audit: Audit, releases: ReleaseStore) -> tuple[Floats | None, float]:
    """Counts by groups, strata and arm (the holdout left out, rewards added up), and the noise variance of one of them."""
    measure = next(m for m in site.measures if m.name == f"audit.{audit.name}")
    summed = total([r for r in releases.since(site.name, measure.id, -1) if r.usable is True])
    if summed is None:
        return None, 0.0
    counts = np.array(summed.values, dtype=float).reshape([d.size for d in measure.dimensions]).sum(-1)
    return counts[..., [i for i, arm in enumerate(_arms(measure)) if arm != HOLDOUT]], 2 * summed.sd**2


def _arms(measure: Measure) -> Sequence[str]:
    return measure.dimensions[-2].labels


def _edges(audit: Audit, table: Floats, noise: float) -> Iterator[float]:
    """For each group and arm, how large the difference from the rest may be."""
    for axis, dimension in enumerate(audit.groups):
        others = tuple(i for i in range(len(audit.groups)) if i != axis)
        shown = table.sum(others)
        variance = noise * math.prod(table.shape[i] for i in others)
        named = [i for i, label in enumerate(dimension.labels) if label != OTHER]
        for group in named:
            rest = shown[[i for i in named if i != group]].sum(0) if len(named) > 1 else np.zeros(table.shape[-1])
            sides = [(shown[group], variance), (rest, variance * max(len(named) - 1, 1))]
            if all(counts.sum() > 5 * math.sqrt(v * len(counts)) and counts.sum() > 1 for counts, v in sides):
                shares = [counts / counts.sum() for counts, _ in sides]
                errors = sum(s * (1 - s) / c.sum() + v / c.sum() ** 2 for s, (c, v) in zip(shares, sides, strict=True))
                yield float((np.abs(shares[0] - shares[1]) + EDGE * np.sqrt(np.maximum(errors, 0.0))).max())


def _mixes(audit: Audit, policy: Policy, table: Floats, traffic: Mapping[str, float], limit: float) -> list[dict[str, Any]]:
    found = []
    groups, people = len(audit.groups), table.sum(-1)
    for axis, dimension in enumerate(audit.groups):
        spread_out = np.maximum(people.sum(tuple(i for i in range(groups) if i != axis)), 0.0)
        named = [i for i, label in enumerate(dimension.labels) if label != OTHER]
        for group in named:
            rest = spread_out[[i for i in named if i != group]].sum(0) if len(named) > 1 else np.zeros_like(spread_out[0])
            sides = [_cells(audit.strata, policy, part, traffic) for part in (spread_out[group], rest)]
            if all(sides):
                found.append({"one": sides[0], "other": sides[1], "limit": limit})
    return found


def _cells(strata: Sequence[Dimension], policy: Policy, people: Floats, traffic: Mapping[str, float]) -> dict[str, float]:
    """A group's people in each stratum, spread over the stratum's cells as everybody is."""
    if people.sum() <= 0:
        return {}
    at = [[d.name for d in policy.context].index(stratum.name) for stratum in strata]
    members: dict[tuple[str, ...], dict[str, float]] = {}
    for cell, visitors in traffic.items():
        labels = cell.split(SEPARATOR)
        members.setdefault(tuple(labels[i] for i in at), {})[cell] = max(visitors, 0.0) + 1e-9
    found = {}
    for place, share in np.ndenumerate(people / people.sum()):
        inside = members.get(tuple(stratum.labels[i] for stratum, i in zip(strata, place, strict=True)), {})
        whole = sum(inside.values())
        found.update({cell: round(share * visitors / whole, 9) for cell, visitors in inside.items() if share > 0})
    return found
