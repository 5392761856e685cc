"""Randomised response on the device: how often a report is the truth. A report of one of k cells stays with the first probability and
becomes any one other cell with the second, so that it tells anybody at most epsilon about the truth (k-ary randomised response: Kairouz,
Bonawitz and Ramage 2016, section 3). Plain Python.
"""

from __future__ import annotations

import math


def keep_probability(epsilon: float, cells: int) -> float:
    """e^ε / (e^ε + k - 1).

    >>> keep_probability(0.0, 4)
    0.25
    """
    return 1 / (1 + (cells - 1) * math.exp(-epsilon))


def other_probability(epsilon: float, cells: int) -> float:
    """1 / (e^ε + k - 1): each single other cell.

    >>> keep_probability(1.0, 5) + 4 * other_probability(1.0, 5)
    1.0
    """
    return math.exp(-epsilon) * keep_probability(epsilon, cells)
