"""From a released audit to standing orders that bring its groups within a limit, with the least change that the figures allow.

Where the audit has context strata, each group's spread over cells is known, and its exposure is limited as a mix of cells. Without strata
it is known only how much of the cells' differences shows between groups. In the same windows groups differed by D and cells by M, so at
most D / M of what cells differ by shows between groups, and cells may differ by limit · M / D. Only the outer edge of D and the inner
edge of M (1.96 standard errors, noise counted) are trusted.

The orders are about what was learned, and take the place of earlier ones about differences: a limit that is kept because it is ordered
is no sign that it is not needed.
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
from adjust.published import Weighed
from privacy.releases import ReleaseStore
from privacy.series import total
from tacit.core.declaration import HOLDOUT, OTHER, Audit, Dimension, Measure, Policy, Site

Floats = NDArray[np.float64]

ALIKE = 1e-3
"""Cells whose weights differ by less are alike."""

EDGE = 1.959964


def orders_for(site: Site, policy: Policy, releases: ReleaseStore, learned: Weighed, *, limit: float) -> dict[str, Any]:
    """`{"mixes": [...], "within": …}`, where nothing is `[]` and None. Raises `NothingToCorrect`."""
    apart = spread(learned.weights)
    if apart < ALIKE:
        raise NothingToCorrect("the weights are alike in all cells, so a difference between groups has another cause")
    mixes: list[dict[str, Any]] = []
    shows = 0.0
    for audit in site.audits.values():
        if audit.policy != policy.name:
            continue
        table, noise = _table(_measure(site, audit), releases)
        if table is None:
            continue
        if audit.strata:
            mixes += _mixes(audit, policy, table, noise, learned.traffic, limit)
        elif edges := list(_edges(audit, table, noise)):
            shows = max(shows, _shown(max(edges), _between_cells(site.policy_measure(policy.name), releases)))
    within = min(1.0, limit / shows) if shows * apart > limit else None
    if not mixes and within is None:
        raise NothingToCorrect("no audit of this policy shows a difference in exposure beyond that limit")
    return {"mixes": mixes, "within": within}


def _shown(between_groups: float, between_cells: float) -> float:
    """How much of what cells differ by shows between groups: all of it at most."""
    return between_groups / max(between_cells, between_groups)


def _measure(site: Site, audit: Audit) -> Measure:
    return next(m for m in site.measures if m.name == f"audit.{audit.name}")


def _table(measure: Measure, releases: ReleaseStore) -> tuple[Floats | None, float]:
    """Counts by all dimensions up to the arm (the holdout left out, rewards added up), and the noise variance of one of them."""
    summed = total([r for r in releases.since(measure.site, measure.id, -1) if r.usable is True])
    if summed is None:
        return None, 0.0
    counts = np.array(summed.values, dtype=float).reshape([d.size for d in measure.dimensions]).sum(-1)
    return counts[..., [i for i, arm in enumerate(_arms(measure)) if arm != HOLDOUT]], 2 * summed.sd**2


def _arms(measure: Measure) -> Sequence[str]:
    return measure.dimensions[-2].labels


def _edges(audit: Audit, table: Floats, noise: float) -> Iterator[float]:
    """For each group, how large its difference from the rest may be in any arm."""
    for axis, dimension in enumerate(audit.groups):
        others = tuple(i for i in range(len(audit.groups)) if i != axis)
        shown = table.sum(others)
        variance = noise * math.prod(table.shape[i] for i in others)
        named = [i for i, label in enumerate(dimension.labels) if label != OTHER]
        for group in named if len(named) > 1 else ():
            rest = shown[[i for i in named if i != group]].sum(0)
            sides = [(shown[group], variance), (rest, variance * (len(named) - 1))]
            if all(_many(*side) for side in sides):
                yield float((np.abs(_apart(*sides)) + EDGE * _errors(sides)).max())


def _between_cells(measure: Measure, releases: ReleaseStore) -> float:
    """How far apart the context cells' exposures were at least."""
    table, noise = _table(measure, releases)
    if table is None:
        return 0.0
    sides = [(cell, noise) for cell in table.reshape(-1, table.shape[-1]) if _many(cell, noise)]
    pairs = ((one, other) for at, one in enumerate(sides) for other in sides[:at])
    return max((float((np.abs(_apart(*pair)) - EDGE * _errors(pair)).max()) for pair in pairs), default=0.0)


_Side = tuple[Floats, float]
"""Counts by arm, and the noise variance of each."""


def _many(counts: Floats, variance: float) -> bool:
    return bool(counts.sum() > 5 * math.sqrt(variance * len(counts)) and counts.sum() > 1)


def _apart(one: _Side, other: _Side) -> Floats:
    found: Floats = one[0] / one[0].sum() - other[0] / other[0].sum()
    return found


def _errors(sides: Sequence[_Side]) -> Floats:
    """Standard error of the difference of two sides' shares by arm, people and noise."""
    found = np.zeros(len(sides[0][0]))
    for counts, noise in sides:
        people = counts.sum()
        share = np.clip(counts / people, 0.0, 1.0)
        found += share * (1 - share) / people + noise * ((1 - share) ** 2 + (len(counts) - 1) * share**2) / people**2
    root: Floats = np.sqrt(found)
    return root


def _mixes(audit: Audit, policy: Policy, table: Floats, noise: float, traffic: Mapping[str, float], limit: float) -> list[dict[str, Any]]:
    found = []
    groups, people = len(audit.groups), table.sum(-1)
    for axis, dimension in enumerate(audit.groups):
        others = tuple(i for i in range(groups) if i != axis)
        spread_out = people.sum(others)
        lost = 5 * math.sqrt(noise * table.shape[-1] * math.prod(people.shape[i] for i in others))
        spread_out = np.where(spread_out > lost, spread_out, 0.0)  # a stratum that may be noise alone holds nobody
        named = [i for i, label in enumerate(dimension.labels) if label != OTHER]
        for group in named if len(named) > 1 else ():
            rest = spread_out[[i for i in named if i != group]].sum(0)
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
