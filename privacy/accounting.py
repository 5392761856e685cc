"""From the promise to the noise: (epsilon, delta) to rho, rho to each measure's share, a share to the scale of the noise.

Every rounding goes the private way: rho, delta and shares down, scales and thresholds up. rho is counted in whole units of 1e-12 (`PICO`),
delta in units of 1e-18 (`ATTO`). A person appears in at most `windows` windows of an epoch, so with independent noise a window costs the
measure's rho divided by `windows`: sigma² = windows · Δ² / 2ρ (zCDP composition, Bun and Steinke 2016, lemmas 1.7 and 2.4). With
correlated noise all windows of a person are paid for together, and `choosing.norm` replaces √windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from privacy import choosing, noise
from privacy.centring import centre
from privacy.models import ATTO, PICO, Mechanism
from privacy.strategy import Strategy
from tacit.core.declaration import Measure, Site

FIRST_BLOCK = 16
"""Windows of a measure's first block of prefix sums. A long block has noisier rows, which pays off late; so each full block is followed by
one of twice its length, up to the declared one."""

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


def terms_of(site: Site) -> tuple[int, Decimal]:
    """The rho in pico that a site promises for an epoch, and the delta of its conversion: what undeclared keys may use is taken off."""
    delta = site.privacy.delta - site.delta_for_keys
    return rho_of(site.privacy.epsilon, delta), delta


def atto(delta: Decimal) -> int:
    """A delta in whole units of 1e-18, rounded down."""
    return math.floor(Fraction(delta) * ATTO)


def share_of(rho_pico: int, share: Decimal) -> int:
    """A measure's part of the epoch's rho."""
    return math.floor(Fraction(rho_pico) * Fraction(share))


def per_window(measure: Measure, reserved: int) -> int:
    """A window's part of what a measure has reserved, of rho or of delta."""
    return reserved // measure.bounds.windows


def scale_for(sensitivity: float, rho_pico: int) -> float:
    """The smallest scale that OpenDP certifies for a sensitivity and a rho."""
    scale = sensitivity / math.sqrt(2 * rho_pico / PICO)
    while Fraction(noise.loss(scale, sensitivity)) > Fraction(rho_pico, PICO):
        scale = math.nextafter(scale, math.inf) * (1 + 1e-15)
    return scale


@dataclass(frozen=True, slots=True)
class Plan:
    """How one window of a measure is made private. For a sum, rho is split half and half between the counts and the sums.

    `rho_pico` is the window's part. With a `strategy` the scales are for the rows of its blocks, and what they certify (`count_rho_pico`,
    `sum_rho_pico`) is the cost of all of a person's windows together, over everything that will be published from the block.
    """

    rho_pico: int
    count_rho_pico: int
    count_sensitivity: float
    count_scale: float
    sum_rho_pico: int = 0
    sum_sensitivity: float = 0.0
    sum_scale: float | None = None
    centre: int = 0
    strategy: Strategy | None = None

    @property
    def mechanism(self) -> Mechanism:
        """The mechanism as releases state it: the sd of a published sum has the part of the count times the centre in it."""
        over_time = self.strategy.over_time if self.strategy else "none"
        if self.sum_scale is None:
            return Mechanism(scale=self.count_scale, over_time=over_time)
        sum_scale = math.hypot(self.sum_scale, self.centre * self.count_scale)
        return Mechanism(scale=self.count_scale, sum_scale=sum_scale, over_time=over_time)

    @property
    def unit(self) -> int:
        """What one count is in the numbers that noise is added to."""
        return self.strategy.unit if self.strategy else 1


def affordable(measure: Measure, rho_pico: int) -> bool:
    """Whether a window that may cost so much can have any noise at all."""
    return rho_pico >= (1 if measure.value is None else 2)


@lru_cache(maxsize=4096)
def plan_window(measure: Measure, rho_pico: int) -> Plan | None:
    """The noise of one window whose part is `rho_pico`; None where so little cannot buy any."""
    strategy = choice(measure).strategy if measure.over_time != "none" else None
    return plan_with(measure, rho_pico, strategy)


@lru_cache(maxsize=4096)
def plan_with(measure: Measure, rho_pico: int, strategy: Strategy | None) -> Plan | None:
    """The same with a given strategy: that of a running block."""
    if not affordable(measure, rho_pico):
        return None
    windows, norm = measure.bounds.windows, norm_of(measure)
    certified = rho_pico * windows if strategy else rho_pico
    reach = 1.0 if strategy is None else choosing.norm(strategy, windows)
    touched = min(measure.bounds.per_window, measure.cells or measure.bounds.per_window)
    rounded = 0.0 if strategy is None else choosing.slack(strategy, windows=windows, touched=touched)
    counts = norm * reach + rounded
    if measure.value is None:
        return Plan(rho_pico, certified, counts, scale_for(counts, certified), strategy=strategy)
    half, middle = certified // 2, centre(measure.value)
    sums = norm * max(measure.value.high - middle, middle - measure.value.low) * reach + rounded
    return Plan(rho_pico, half, counts, scale_for(counts, half), half, sums, scale_for(sums, half), middle, strategy)


def choice(measure: Measure) -> choosing.Choice:
    """The mechanism with the least error for what the measure says will be read over time."""
    return choosing.choose(measure.over_time, windows=measure.bounds.windows, length=measure.block, bits=_bits(measure))


@lru_cache(maxsize=1024)
def strategy_of(measure: Measure, length: int) -> Strategy | None:
    """What has the least error in blocks of that many windows; where that is independent noise, what has it in whole blocks."""
    short = choosing.choose(measure.over_time, windows=measure.bounds.windows, length=length, bits=_bits(measure))
    return short.strategy or choice(measure).strategy


def norm_of(measure: Measure) -> float:
    """Worst-case L2 norm of one person's counts in one window, never rounded below the exact root."""
    cells = measure.bounds.per_window if measure.keys else measure.cells
    norm = measure.bounds.l2(cells)
    return norm if norm == int(norm) else math.nextafter(norm, math.inf)


@lru_cache(maxsize=1024)
def threshold_for(measure: Measure, rho_pico: int, delta_atto: int) -> int | None:
    """The smallest threshold for undeclared keys whose delta, by OpenDP's own map, is within a window's part; None where there is none."""
    plan = plan_window(measure, rho_pico)
    if plan is None or delta_atto < 1:
        return None
    bounds = (measure.bounds.per_window, plan.count_sensitivity, float(measure.bounds.per_cell))
    limit, high = Fraction(delta_atto, ATTO), measure.bounds.per_cell + 1

    def fits(threshold: int) -> bool:
        return Fraction(noise.threshold_delta(plan.count_scale, threshold, bounds)) <= limit

    while not fits(high):
        high *= 2
    low = measure.bounds.per_cell
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _bits(measure: Measure) -> int:
    """Fineness of rows: 2^-20, or less where large values need the room in 64 bits."""
    reach = max(abs(measure.value.low), abs(measure.value.high), measure.value.high - measure.value.low) if measure.value else 1
    return max(8, min(20, 30 - reach.bit_length()))
