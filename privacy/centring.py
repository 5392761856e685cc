"""What is taken from each value of a sum before it is added up. In a file of its own, because readers of releases need it as well."""

from __future__ import annotations

import math
from fractions import Fraction

from tacit.core.declaration import ValueRange


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
