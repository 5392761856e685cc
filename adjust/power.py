"""Before and during an experiment: how large a difference can be found, and how long it takes, the privacy noise counted.

All of it is in terms of information, one over the variance of a difference. Fixed-sample power is that of the two-sided normal test; that
of looking after every window is found with the boundary of `sequential`.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from adjust.sequential import ALPHA, EXPECTED_EFFECT, boundary

POWER = 0.8
_NORMAL = NormalDist()


def information(*, trials: float, other_trials: float, rate: float, noise_sd: float) -> float:
    """One over the variance of the difference of two rates near `rate`; `noise_sd` is that of each of the four counts.

    A noisy rate's variance is rate (1 - rate) / n + noise² ((1 - rate)² + rate²) / n².
    """

    def variance(n: float) -> float:
        return rate * (1 - rate) / n + noise_sd**2 * ((1 - rate) ** 2 + rate**2) / n**2

    return 1 / (variance(trials) + variance(other_trials))


def power(difference: float, found: float, *, alpha: float = ALPHA) -> float:
    """Chance that a test at one fixed time finds a true difference, with information `found`.

    >>> round(power(0.01, (1.959964 + 0.8416212) ** 2 / 0.01**2), 3)
    0.8
    """
    shift, critical = abs(difference) * math.sqrt(found), _NORMAL.inv_cdf(1 - alpha / 2)
    return _NORMAL.cdf(shift - critical) + _NORMAL.cdf(-shift - critical)


def needed(difference: float, *, alpha: float = ALPHA, chance: float = POWER) -> float:
    """Information with which a test at one fixed time finds the difference with that chance."""
    return ((_NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(chance)) / difference) ** 2


def needed_always(difference: float, *, rate: float, alpha: float = ALPHA, chance: float = POWER) -> float:
    """Information by which a confidence sequence has excluded zero with about that chance, the difference being true."""
    tau2, margin = (EXPECTED_EFFECT * rate) ** 2, _NORMAL.inv_cdf(chance)
    low, high = needed(difference, alpha=alpha, chance=chance), needed(difference, alpha=alpha, chance=chance)

    def short(found: float) -> bool:
        return difference * found - margin * math.sqrt(found) < boundary(found, tau2=tau2, alpha=alpha)

    while short(high):
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if short(middle) else (low, middle)
    return high


def detectable(found: float, *, alpha: float = ALPHA, chance: float = POWER) -> float:
    """The smallest difference that a test at one fixed time finds with that chance."""
    return (_NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(chance)) / math.sqrt(found)
