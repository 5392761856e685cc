"""From the promise to the noise: (epsilon, delta) to rho, rho to each measure's share, a share to the scale of the noise.

Every rounding goes the private way: rho and shares down, scales up. rho is counted in whole units of 1e-12 (`PICO`).
A person appears in at most `windows` windows of an epoch, so a window costs the measure's rho divided by `windows`:
sigma² = windows · Δ² / 2ρ (zCDP composition, Bun and Steinke 2016, lemmas 1.7 and 2.4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from privacy import noise
from privacy.models import PICO, Mechanism
from tacit.core.declaration import Measure, ValueRange

ACCUMULATED_OVER = (7, 30, 365)
"""Numbers of epochs for which pages say what a person present in every one accumulates."""


@lru_cache(maxsize=256)
def rho_of(epsilon: Decimal, delta: Decimal) -> int:
    """The largest rho, in pico, that stays within (epsilon, delta)."""
    target, slack = float(epsilon), float(delta)
    high = PICO
    while noise.epsilon(high / PICO, slack) <= target:
        high *= 2
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        if noise.epsilon(middle / PICO, slack) <= target:
            low = middle
        else:
            high = middle
    return low


@lru_cache(maxsize=1024)
def epsilon_of(rho_pico: int, delta: Decimal) -> float:
    """The epsilon that a rho amounts to."""
    return noise.epsilon(rho_pico / PICO, float(delta))


def accumulation(rho_pico: int, delta: Decimal) -> dict[str, float]:
    """The epsilon of a person who is present in that many epochs, each at full spend."""
    return {str(epochs): round(epsilon_of(rho_pico * epochs, delta), 4) for epochs in ACCUMULATED_OVER}


def share_of(rho_pico: int, share: Decimal) -> int:
    """A measure's part of the epoch's rho."""
    return math.floor(Fraction(rho_pico) * Fraction(share))


def per_window(measure: Measure, reserved_pico: int) -> int:
    """What one window of a measure costs a person who is counted in it."""
    return reserved_pico // measure.bounds.windows


def scale_for(sensitivity: float, rho_pico: int) -> float:
    """The smallest scale that OpenDP certifies for a sensitivity and a rho."""
    scale = sensitivity / math.sqrt(2 * rho_pico / PICO)
    while Fraction(noise.loss(scale, sensitivity)) > Fraction(rho_pico, PICO):
        scale = math.nextafter(scale, math.inf) * (1 + 1e-15)
    return scale


@dataclass(frozen=True, slots=True)
class Plan:
    """How one window of a measure is made private. For a sum, rho is split half and half between the counts and the sums."""

    rho_pico: int
    count_rho_pico: int
    count_sensitivity: float
    count_scale: float
    sum_rho_pico: int = 0
    sum_sensitivity: float = 0.0
    sum_scale: float | None = None
    centre: int = 0

    @property
    def mechanism(self) -> Mechanism:
        """The mechanism as releases state it: the sd of a published sum has the part of the count times the centre in it."""
        if self.sum_scale is None:
            return Mechanism(scale=self.count_scale)
        return Mechanism(scale=self.count_scale, sum_scale=math.hypot(self.sum_scale, self.centre * self.count_scale))


@lru_cache(maxsize=4096)
def plan_window(measure: Measure, rho_pico: int) -> Plan | None:
    """The noise of one window that may cost `rho_pico`; None where so little cannot buy any."""
    norm = norm_of(measure)
    if measure.value is None:
        return Plan(rho_pico, rho_pico, norm, scale_for(norm, rho_pico)) if rho_pico >= 1 else None
    half = rho_pico // 2
    if half < 1:
        return None
    middle = centre(measure.value)
    reach = norm * max(measure.value.high - middle, middle - measure.value.low)
    return Plan(rho_pico, half, norm, scale_for(norm, half), half, reach, scale_for(reach, half), middle)


def norm_of(measure: Measure) -> float:
    """Worst-case L2 norm of one person's counts in one window, never rounded below the exact root."""
    norm = measure.bounds.l2(measure.cells)
    return norm if norm == int(norm) else math.nextafter(norm, math.inf)


def centre(values: ValueRange) -> int:
    """What is taken from each value before it is summed; the noisy count times it is added to the noisy sum afterwards.

    A published sum has variance max(high - c, c - low)² · k² + c² · k², with the same k for counts and sums: the whole c that makes
    this least. For [0, R] it is R/2, which halves the variance of summing the plain values.

    >>> centre(ValueRange("seconds", 0, 120))
    60
    >>> centre(ValueRange("balance", -50, 50))
    0
    """
    middle = Fraction(values.low + values.high, 2)
    best = [min(Fraction(values.high, 2), middle), max(Fraction(values.low, 2), middle), middle]
    candidates = {whole for one in best for whole in (math.floor(one), math.ceil(one))}
    return min(candidates, key=lambda c: (max(values.high - c, c - values.low) ** 2 + c**2, abs(c)))
