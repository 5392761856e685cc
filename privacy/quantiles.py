"""Quantiles from noisy histograms: of a number that a measure counts in bins.

With F_k the sum of the first k of B noisy bins, the q-quantile lies in the first bin where D_k = (1 - q) F_k - q (F_B - F_k) reaches 0. D_k
has standard deviation sd · sqrt((1 - q)² k + q² (B - k)); the 95 % interval holds every border where D_k is not clearly below or above 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from privacy.estimates import NORMAL_95, READABLE, Number, places, share, summed
from tacit.core.declaration import Dimension, Measure


def quantiles(measure: Measure, numbers: Sequence[Number], wanted: Sequence[float]) -> dict[str, dict[str, Any]]:
    """For each binned dimension its quantiles over everything that was counted: by name `{"quantiles", "outside"}`.

    `outside` is the share of what was not a number, which is left out. A quantile is None where there is too little to tell.
    """
    found: dict[str, dict[str, Any]] = {}
    for dimension in measure.dimensions:
        if dimension.edges:
            rows = [summed([numbers[at] for at in here]) for here in places(measure, [dimension.name]).values()]
            inside, outside = rows[: len(dimension.values)], rows[len(dimension.values) :]
            found[dimension.name] = {
                "quantiles": [_quantile(dimension, inside, q) for q in wanted],
                "outside": share(summed(outside), summed(rows)) if outside else None,
            }
    return found


def _quantile(dimension: Dimension, bins: Sequence[Number], q: float) -> dict[str, Any]:
    everything = summed(bins)
    if everything.value < READABLE * everything.sd:
        return {"q": q, "value": None, "interval": None}
    return {"q": q, "value": _point(dimension.edges, [b.estimate for b in bins], q), "interval": _interval(dimension.edges, bins, q)}


def _point(edges: Sequence[float], counts: Sequence[float], q: float) -> float:
    """The value below which the part q of the estimated counts lies, evenly spread inside a bin."""
    goal, below = q * math.fsum(counts), 0.0
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        if count > 0 and below + count >= goal:
            return low + (high - low) * max(goal - below, 0.0) / count
        below += count
    return edges[-1]


def _interval(edges: Sequence[float], bins: Sequence[Number], q: float) -> list[float]:
    total = math.fsum(b.value for b in bins)
    variance = math.fsum(b.sd**2 for b in bins)
    low, high = edges[0], edges[-1]
    first = list(zip(accumulate(b.value for b in bins), accumulate(b.sd**2 for b in bins), strict=True))
    for border, (below, noise) in zip(edges[1:], first, strict=True):
        distance = (1 - q) * below - q * (total - below)
        sd = math.sqrt((1 - q) ** 2 * noise + q**2 * max(variance - noise, 0.0))
        if distance < -NORMAL_95 * sd:
            low = border  # the quantile is clearly above
        elif distance > NORMAL_95 * sd:
            high = min(high, border)  # and clearly at or below
    return [low, max(high, low)]
