"""The largest gap between any two groups, with a p-value calibrated on equal groups of the same sizes and noise.

A largest gap is biased upwards by chance and noise, and a bootstrap interval of it excludes zero for every fair service. So there is no
interval: under equal rates the groups' errors are drawn many times, and the p-value is how often their gap is as large as the one found.
The draws are seeded by the table itself: a repeated scan prints the same p-value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.pairs import Floats, Tallies

DRAWS = 999


@dataclass(frozen=True, slots=True)
class Spread:
    """Groups' rates, and how their errors hang together where all rates are equal: (groups, groups)."""

    rates: Floats
    covariance: Floats


def spread_of(groups: Tallies, dispersion: float = 1.0) -> Spread | None:
    """Of the groups that are beyond their noise; None for fewer than two. Groups are counted independently of each other."""
    groups = groups.at(groups.beyond_noise)
    if len(groups.hits) < 2:
        return None
    rate = pooled(groups)
    noise = (1 - rate) ** 2 * groups.hits_variance + rate**2 * groups.misses_variance - 2 * rate * (1 - rate) * groups.covariance
    return Spread(groups.rate, np.diag(dispersion * rate * (1 - rate) / groups.total + noise / groups.total**2))


def pooled(groups: Tallies) -> float:
    """The rate of all groups together, cut to [0, 1]."""
    return float(np.clip(groups.hits.sum() / groups.total.sum(), 0.0, 1.0))


def largest_gap(*several: Spread) -> tuple[float, float]:
    """The largest gap within any of these, and its p-value. Equalised odds is the larger gap of two."""
    gap = max(float(np.ptp(one.rates)) for one in several)
    seed = hashlib.sha256(b"".join(one.rates.tobytes() + one.covariance.tobytes() for one in several)).digest()
    generator = np.random.default_rng(np.frombuffer(seed, dtype=np.uint32))
    drawn = np.zeros(DRAWS)
    for one in several:
        errors = generator.standard_normal((DRAWS, len(one.rates))) @ _root(one.covariance)
        drawn = np.maximum(drawn, np.ptp(errors, axis=1))
    return gap, float((1 + (drawn >= gap).sum()) / (1 + DRAWS))


def _root(covariance: Floats) -> Floats:
    """A matrix R with Rᵀ R = covariance."""
    if np.count_nonzero(covariance) <= len(covariance):
        return np.diag(np.sqrt(np.diag(covariance)))
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))).T)


def gaps_of(spreads: Sequence[Spread | None]) -> tuple[float, float] | None:
    """As `largest_gap`; None where one of them has no two groups to compare."""
    found = [one for one in spreads if one is not None]
    return largest_gap(*found) if found and len(found) == len(spreads) else None
