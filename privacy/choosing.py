"""Chooses the noise over time: the mechanism with the least error for the sums that will be read, and what it lets one person change.

The family is c = coefficients of A^a for the matrix A of the sums that are read and an exponent 0 <= a < 1; a = 0 is independent noise in
every window, a = 1/2 the square root, which is within a few per cent of any factorisation where a person appears in one window. A person in
more windows of an epoch touches more rows, so smaller exponents win, and in the end independent noise does.
Errors are in units of the noise that one count in one window needs when it has the whole budget, Δ / sqrt(2 rho).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from privacy.strategy import FINE, UNIT, Strategy, coefficients, inverse

Floats = npt.NDArray[np.float64]

EXPONENTS = tuple(round(0.02 * step, 2) for step in range(1, 31))
BUFFERS = 5
"""Sums of the past that stand for the whole of it: at 1,024 windows their error is 1e-5 above that of the exact coefficients."""

BAND = 3
"""A sliding strategy looks back so many times as far as its sums: within 0.2 % of looking back for ever."""

WORTH = 0.98
"""Correlated noise has a price in custody: it is taken only where it brings the error below this part of independent noise's."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The mechanism, or None for independent noise, and the root mean square errors that decided."""

    strategy: Strategy | None
    error: float
    independent: float

    @property
    def reason(self) -> str:
        """Why, for the plan."""
        if self.strategy is None:
            return "independent noise has the least error for these sums and bounds"
        return f"sums over time have {self.independent / self.error:.2f} times less error than with independent noise"


@lru_cache(maxsize=256)
def choose(over_time: str, *, windows: int, length: int, bits: int) -> Choice:
    """The mechanism with the least error for `prefix` or `sliding:W` sums in blocks of `length` windows.

    `windows` is in how many windows of an epoch a person may appear; rows come in units of 2^-bits.
    """
    span = length if over_time == "prefix" else min(int(over_time.partition(":")[2]), length)
    independent = math.sqrt(windows * float(np.minimum(np.arange(1, length + 1), span).mean()))
    errors = {a: _error(_power(a, span, length), _power(1 - a, span, length), windows) for a in EXPONENTS}
    exponent = min(errors, key=lambda a: errors[a])
    if errors[exponent] > WORTH * independent:
        return Choice(None, independent, independent)
    exact = _power(exponent, span, length)
    if over_time == "prefix":
        strategy = Strategy(over_time, exponent, length, bits, buffers=_fitted(exact))
    else:
        band = np.rint(exact[: BAND * span] * 2**bits).astype(int)
        strategy = Strategy(over_time, exponent, length, bits, band=tuple(int(c) for c in band))
    return Choice(strategy, error(strategy, windows), independent)


def error(strategy: Strategy, windows: int) -> float:
    """Root mean square error over a block of the sums that the strategy is meant for."""
    decode = np.cumsum(inverse(strategy))
    if strategy.over_time != "prefix":
        span = int(strategy.over_time.partition(":")[2])
        decode[span:] -= decode[:-span].copy() if span < len(decode) else 0.0
    return norm(strategy, windows) * math.sqrt(float(np.cumsum(decode**2).mean()))


@lru_cache(maxsize=1024)
def norm(strategy: Strategy, windows: int) -> float:
    """How much a person with L2 norm 1 in each of `windows` windows can move the rows, never rounded down. Blocks may change in between."""
    return _norm(np.array(coefficients(strategy)), windows)


def slack(strategy: Strategy, *, windows: int, touched: int) -> float:
    """What rounding in the buffers may add to that norm, in counts, where a person touches `touched` cells in each window.

    A buffer's rounding error is below 1 / (1 - decay) units of 2^-40 and enters a row with its weight; a row is rounded once more. Two
    neighbouring streams differ by less than that bound E in each row and touched cell, hence by at most E · sqrt(T · cells) in norm, all
    blocks together. Bands are exact.
    """
    if not strategy.buffers:
        return 0.0
    rounding = sum(weight / UNIT / (1 - decay / UNIT) for weight, decay in strategy.buffers)
    each = 1 + rounding * 2.0 ** (strategy.bits - FINE)
    return each / strategy.unit * math.sqrt(strategy.length * touched * windows)


def _norm(c: Floats, windows: int) -> float:
    """Worst case of |sum_j C e_j ⊗ v_j| over any `windows` columns j and any |v_j| <= 1.

    Its square is at most sum_ij g(|i - j|), g(d) = sum_t |c_t c_(t+d)| being the inner product of two whole columns. Of k columns in
    order, k - m pairs lie m places apart and so at least m windows: with the decreasing envelope of g that bounds every choice, by
    b(k) = k g(0) + 2 sum_m (k - m) g(m). Columns of different blocks are orthogonal. b(k) / k never falls, so k windows of a budget for
    n cost at most k / n of it in whichever blocks they lie; beyond the length T of a block it is continued as b(T) / T.
    """
    size = 2 * len(c)
    spectrum = np.fft.rfft(np.abs(c), size)
    products = np.fft.irfft(spectrum * spectrum.conj(), size)[: len(c)]
    envelope = np.maximum.accumulate(products[::-1])[::-1]

    k = min(windows, len(c))
    square = k * float(products[0]) + 2 * float((k - np.arange(1, k)) @ envelope[1:k])
    return math.sqrt(windows / k * square) * (1 + 1e-9)


def _error(c: Floats, decode: Floats, windows: int) -> float:
    return _norm(c, windows) * math.sqrt(float(np.cumsum(decode**2).mean()))


def _power(a: float, span: int, length: int) -> Floats:
    """The first coefficients of ((1 - z^span) / (1 - z))^a, the a-th power of the matrix of sums over the last `span` windows."""
    steps = np.arange(1, length)
    rising = np.concatenate([[1.0], np.cumprod((steps - 1 + a) / steps)])
    if span >= length:
        return rising
    found, factor = np.zeros(length), 1.0
    for times, start in enumerate(range(0, length, span)):
        found[start:] += factor * rising[: length - start]
        factor *= -(a - times) / (times + 1)
    return found


def _fitted(exact: Floats) -> tuple[tuple[int, int], ...]:
    """A few decaying exponentials whose sum follows c_1, c_2 …; least squares in the logarithms of weights and of 1 - decay."""
    from scipy.optimize import least_squares

    count = min(BUFFERS, max(1, len(exact) // 3))
    steps = np.arange(len(exact) - 1)

    def miss(logs: Floats) -> Floats:
        decays, weights = 1 - np.exp(logs[:count]), np.exp(logs[count:])
        found: Floats = (weights[:, None] * decays[:, None] ** steps).sum(0) - exact[1:]
        return found

    start = np.log(np.concatenate([np.geomspace(0.9 / len(exact), 0.9, count), np.full(count, exact[1] / count)]))
    limits = (np.concatenate([np.full(count, -16.0), np.full(count, -30.0)]), np.concatenate([np.full(count, -1e-6), np.full(count, 3.0)]))
    logs = least_squares(miss, start, bounds=limits, max_nfev=500).x
    decays, weights = 1 - np.exp(logs[:count]), np.exp(logs[count:])
    return tuple((round(w * UNIT), min(round(d * UNIT), UNIT - 1)) for w, d in zip(weights.tolist(), decays.tolist(), strict=True))
