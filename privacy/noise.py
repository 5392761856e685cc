"""The only place that draws noise, and the only one that imports OpenDP. It gets exact integers and gives back integers.

Nothing is drawn unless OpenDP's own privacy map certifies that the loss at the stated sensitivity is at most the rho charged.
`T="i64"` always: OpenDP's `int` is 32 bits wide and saturates. The sampler is exact (discrete Gaussian, Canonne, Kamath and Steinke 2020).
"""

from __future__ import annotations

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


def _measurement(scale: float) -> Any:
    return om.make_gaussian(od.vector_domain(od.atom_domain(T="i64")), ome.l2_distance(T="f64"), scale=scale)
