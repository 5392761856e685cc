"""Correlated noise over time, as a value: which weighted sums of windows are given independent noise, and what undoes the weighting.

In a block of T windows the *strategy row* of window t is y_t = sum_j c_(t-j) x_j + z_t: exact counts x, fixed coefficients c with
c_0 = 1, fresh independent noise z. Any sum of windows is a combination of rows (the matrix mechanism in its Toeplitz form: Fichtenberger,
Henzinger and Upadhyay 2023; Henzinger, Upadhyay and Upadhyay 2023). Rows are integers in units of 2^-bits. Plain Python, so that any
process can read releases.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

FINE = 40
"""Buffers and their factors are whole multiples of 2^-40."""

UNIT = 1 << FINE


@dataclass(frozen=True, slots=True)
class Strategy:
    """One choice of coefficients for blocks of `length` windows. Either `buffers` or `band` is given.

    `buffers`: pairs (weight, decay) in units of 2^-40, with c_k = sum weight · decay^(k-1) for k >= 1 (a buffered linear Toeplitz
    matrix: McMahan, Xu and Zhang 2024), so that the past is held in a few sums. `band`: c_0, c_1 … in units of 2^-bits, zero beyond.
    """

    over_time: str
    exponent: float
    length: int
    bits: int
    buffers: tuple[tuple[int, int], ...] = ()
    band: tuple[int, ...] = ()

    @property
    def unit(self) -> int:
        """What one counted contribution is in its own window's row."""
        return 1 << self.bits

    @property
    def remembers(self) -> int:
        """How many vectors of exact numbers a running block has to keep."""
        return len(self.buffers) or len(self.band) - 1

    def to_json(self) -> dict[str, Any]:
        """The public form: everything that is needed to read rows."""
        shape = {"buffers": [list(pair) for pair in self.buffers]} if self.buffers else {"band": list(self.band)}
        return {"over_time": self.over_time, "exponent": self.exponent, "length": self.length, "bits": self.bits} | shape

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Strategy:
        """What `to_json` wrote."""
        buffers = tuple((weight, decay) for weight, decay in value.get("buffers", ()))
        return cls(value["over_time"], value["exponent"], value["length"], value["bits"], buffers, tuple(value.get("band", ())))


@lru_cache(maxsize=256)
def coefficients(strategy: Strategy) -> tuple[float, ...]:
    """c_0 … c_(length-1), with c_0 = 1."""
    if strategy.band:
        inside = [c / strategy.unit for c in strategy.band[: strategy.length]]
        return (*inside, *[0.0] * (strategy.length - len(inside)))
    weights, decays = _factors(strategy)
    found, powers = [1.0], list(weights)
    for _ in range(strategy.length - 1):
        found.append(math.fsum(powers))
        powers = [power * decay for power, decay in zip(powers, decays, strict=True)]
    return tuple(found)


@lru_cache(maxsize=256)
def inverse(strategy: Strategy) -> tuple[float, ...]:
    """e_0 … e_(length-1) with x_t = sum_k e_k y_(t-k): the coefficients that undo the weighting.

    >>> half = Strategy("sliding:2", 0.5, 4, 1, band=(2, 1))
    >>> inverse(half)
    (1.0, -0.5, 0.25, -0.125)
    """
    found: list[float] = []
    if strategy.band:
        band = coefficients(strategy)[1 : len(strategy.band)]
        for t in range(strategy.length):
            past = math.fsum(c * found[t - 1 - k] for k, c in enumerate(band[:t]))
            found.append((1.0 if t == 0 else 0.0) - past)
        return tuple(found)
    weights, decays = _factors(strategy)
    held = [0.0] * len(weights)
    for t in range(strategy.length):
        value = (1.0 if t == 0 else 0.0) - math.fsum(w * b for w, b in zip(weights, held, strict=True))
        held = [decay * b + value for decay, b in zip(decays, held, strict=True)]
        found.append(value)
    return tuple(found)


def spread(strategy: Strategy, positions: Iterable[int]) -> float:
    """Standard deviation of the sum of these windows of one block, in standard deviations of a row.

    `positions` are places in the block, from 0. The sum's weights on the rows are u_t = sum_j e_(j-t) over the chosen j >= t.
    """
    chosen = sorted(set(positions))
    if not chosen:
        return 0.0
    if chosen[-1] - chosen[0] + 1 == len(chosen):
        return _stretch(strategy, chosen[0], chosen[-1])
    e = inverse(strategy)
    return math.sqrt(math.fsum(math.fsum(e[j - t] for j in chosen if j >= t) ** 2 for t in range(chosen[-1] + 1)))


@lru_cache(maxsize=4096)
def _stretch(strategy: Strategy, first: int, last: int) -> float:
    total = _sums(strategy)
    weights = (total[last - t] - (total[first - 1 - t] if t < first else 0.0) for t in range(last + 1))
    return math.sqrt(math.fsum(weight * weight for weight in weights))


@lru_cache(maxsize=256)
def _sums(strategy: Strategy) -> tuple[float, ...]:
    return tuple(accumulate(inverse(strategy)))


def decoded(strategy: Strategy, rows: Sequence[Sequence[int]]) -> list[float]:
    """The estimate of the newest window from all rows of its block so far, oldest first, cell by cell."""
    e = inverse(strategy)
    newest = len(rows) - 1
    factors = [e[newest - t] / strategy.unit for t in range(len(rows))]
    return [math.fsum(map(float.__mul__, factors, map(float, column))) for column in zip(*rows, strict=True)]


def _factors(strategy: Strategy) -> tuple[list[float], list[float]]:
    return [weight / UNIT for weight, _ in strategy.buffers], [decay / UNIT for _, decay in strategy.buffers]
