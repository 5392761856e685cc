"""Quantiles from noisy histograms: of a number that a measure counts in bins.

With F_k the sum of the first k of B noisy bins, the q-quantile lies in the first bin where D_k = (1 - q) F_k - q (F_B - F_k) reaches 0. D_k
has standard deviation sd · sqrt((1 - q)² k + q² (B - k)); the 95 % interval holds every border where D_k is not clearly below or above 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

from privacy.estimates import NORMAL_95, READABLE, Table, places
from tacit.core.declaration import Dimension


def quantiles(table: Table, wanted: Sequence[float]) -> dict[str, dict[str, Any]]:
    """For each binned dimension its quantiles over everything that was counted: by name `{"quantiles", "outside"}`.

    `outside` is the share of what was not a number, which is left out. A quantile is None where there is too little to tell.
    """
    found: dict[str, dict[str, Any]] = {}
    for dimension in table.measure.dimensions:
        if dimension.edges:
            bins = list(places(table.measure, [dimension.name]).values())
            outside = bins[len(dimension.values) :]
            bins = bins[: len(dimension.values)]
            found[dimension.name] = {
                "quantiles": [_quantile(table, dimension, bins, q) for q in wanted],
                "outside": table.part(outside[0]) if outside else None,
            }
    return found


def _quantile(table: Table, dimension: Dimension, bins: Sequence[Sequence[int]], q: float) -> dict[str, Any]:
    everything = table.sum_of(list(chain.from_iterable(bins)))
    if everything.value < READABLE * everything.sd:
        return {"q": q, "value": None, "interval": None}
    counts = [table.sum_of(here).estimate for here in bins]
    return {"q": q, "value": _point(dimension.edges, counts, q), "interval": _interval(table, dimension.edges, bins, q)}


def _point(edges: Sequence[float], counts: Sequence[float], q: float) -> float:
    """The value below which the part q of the estimated counts lies, evenly spread inside a bin."""
    goal, below = q * math.fsum(counts), 0.0
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        if count > 0 and below + count >= goal:
            return low + (high - low) * max(goal - below, 0.0) / count
        below += count
    return edges[-1]


def _interval(table: Table, edges: Sequence[float], bins: Sequence[Sequence[int]], q: float) -> list[float]:
    low, high = edges[0], edges[-1]
    weights = dict.fromkeys(chain.from_iterable(bins), -q)
    for border, here in zip(edges[1:], bins, strict=True):
        weights |= dict.fromkeys(here, 1 - q)
        distance = math.fsum(w * table.values[at] for at, w in weights.items())
        sd = math.sqrt(table.noise.variance(weights))
        if distance < -NORMAL_95 * sd:
            low = border  # the quantile is clearly above
        elif distance > NORMAL_95 * sd:
            high = min(high, border)  # and clearly at or below
    return [low, max(high, low)]
