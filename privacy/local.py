"""Randomised response on the device: how often a report is the truth. A report of one of k cells stays with the first probability and
becomes any one other cell with the second, so that it tells anybody at most epsilon about the truth (k-ary randomised response: Kairouz,
Bonawitz and Ramage 2016, section 3). Plain Python: a device or an edge process needs nothing else of Tacit.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from fractions import Fraction

RANGE = 2**64
"""Random numbers are below this."""


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


def weights(epsilon: float, cells: int) -> tuple[int, int]:
    """How many of 2^64 random numbers keep the truth, and how many stand for each other cell.

    The second is rounded up, so that the ratio of the two, which is what a report tells at most, is never above e^ε.

    >>> keep, other = weights(1.0, 5)
    >>> keep + 4 * other == RANGE and keep <= math.e * other
    True
    """
    other = math.ceil(Fraction(other_probability(epsilon, cells)) * RANGE * (1 + Fraction(1, 10**12)))
    return RANGE - (cells - 1) * other, other


def randomised(cell: int, cells: int, epsilon: float, number: int | None = None) -> int:
    """What the device reports in place of `cell`. `number` is a random number below 2^64, drawn here where none is given.

    >>> [randomised(1, 3, 1.0, number) for number in (0, RANGE - 1)]
    [1, 2]
    """
    if not 0 <= cell < cells:
        raise ValueError("there is no such cell")
    keep, other = weights(epsilon, cells)
    drawn = secrets.randbelow(RANGE) if number is None else number
    if drawn < keep:
        return cell
    place = (drawn - keep) // other
    return place if place < cell else place + 1


def debiased(reports: Sequence[float], epsilon: float, sd: float) -> list[tuple[float, float]]:
    """For each cell how many people truly were in it, and the standard deviation of that, from noisy counts of reports.

    x = (y - q n) / (p - q) with n the sum of all y. Its variance has two parts: the noise of the counts,
    `sd`² ((1 - q)² + (k - 1) q²) / (p - q)², and the devices' dice, (x p (1 - p) + (n - x) q (1 - q)) / (p - q)², estimated with x itself.
    """
    cells, total = len(reports), max(math.fsum(reports), 0.0)
    if cells == 1:
        return [(reports[0], sd)]
    p, q = keep_probability(epsilon, cells), other_probability(epsilon, cells)
    noise = sd**2 * ((1 - q) ** 2 + (cells - 1) * q**2)
    found = []
    for count in reports:
        people = (count - q * math.fsum(reports)) / (p - q)
        here = min(max(people, 0.0), total)
        dice = here * p * (1 - p) + (total - here) * q * (1 - q)
        found.append((people, math.sqrt(noise + dice) / (p - q)))
    return found
