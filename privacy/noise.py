"""The only place that draws noise, and the only one that imports OpenDP. It gets exact integers and gives back integers.

Nothing is drawn unless OpenDP's own privacy map certifies that the loss at the stated sensitivity is at most the rho charged.
`T="i64"` always: OpenDP's `int` is 32 bits wide and saturates. The sampler is exact (discrete Gaussian, Canonne, Kamath and Steinke 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import opendp.combinators as oc
import opendp.domains as od
import opendp.measurements as om
import opendp.metrics as ome
from opendp.mod import enable_features

from privacy.errors import NotCertified
from privacy.models import PICO, NoisyCount, noisy

enable_features("contrib")


def gaussian(vector: npt.NDArray[np.int64], scale: float, *, sensitivity: float, rho_pico: int) -> tuple[NoisyCount, ...]:
    """The vector with discrete Gaussian noise of that scale in every cell. Raises `NotCertified` before drawing anything."""
    measurement = _measurement(scale)
    if Fraction(loss(scale, sensitivity)) > Fraction(rho_pico, PICO):
        raise NotCertified("The noise of a release is smaller than its charge requires.")
    return noisy(measurement(np.ascontiguousarray(vector, dtype=np.int64)))


Bounds = tuple[int, float, float]
"""What one person changes in a map of keys: how many of them, their L2 norm, and the most in one."""


def thresholded(
    counts: Mapping[str, int], scale: float, threshold: int, *, bounds: Bounds, rho_pico: int, delta: Fraction
) -> dict[str, NoisyCount]:
    """The keys whose noisy count reaches the threshold, in alphabetical order. Raises `NotCertified` before drawing anything.

    The discrete Gaussian threshold of OpenDP: rho-zCDP for the counts, and delta for telling that a key exists (approximate zCDP).
    """
    measurement = _threshold(scale, threshold)
    rho, uncertain = measurement.map(bounds)
    if Fraction(rho) > Fraction(rho_pico, PICO) or Fraction(uncertain) > delta:
        raise NotCertified("The threshold of a release is below what its charge requires.")
    found = measurement(dict(counts))
    return {key: NoisyCount(found[key]) for key in sorted(found)}


def threshold_delta(scale: float, threshold: int, bounds: Bounds) -> float:
    """The delta that OpenDP certifies for such a threshold."""
    return float(_threshold(scale, threshold).map(bounds)[1])


def loss(scale: float, sensitivity: float) -> float:
    """The rho that OpenDP certifies for this scale at an L2 sensitivity."""
    return float(_measurement(scale).map(sensitivity))


@lru_cache(maxsize=4096)
def epsilon(rho: float, delta: float) -> float:
    """The smallest epsilon for which rho-zCDP is (epsilon, delta)-private, by the tight conversion (not the textbook bound, 19 % above)."""
    if rho <= 0:
        return 0.0
    conversion: Any = oc.make_zCDP_to_approxDP(_measurement((2 * rho) ** -0.5))
    return float(conversion.map(1.0).epsilon(delta))


def _threshold(scale: float, threshold: int) -> Any:
    domain = od.map_domain(od.atom_domain(T="String"), od.atom_domain(T="i64"))
    metric = ome.l02inf_distance(ome.absolute_distance(T="f64"))
    return om.make_gaussian_threshold(domain, metric, scale=scale, threshold=threshold)


def _measurement(scale: float) -> Any:
    return om.make_gaussian(od.vector_domain(od.atom_domain(T="i64")), ome.l2_distance(T="f64"), scale=scale)
