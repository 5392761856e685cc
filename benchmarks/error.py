"""How wrong private sums are: the real sampler's error against its formula, the least error possible, and the binary tree.

Errors are measured on released numbers, many cells at once, by the same functions that the sanitiser calls; only the counts are zero, which
noise does not see.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from benchmarks.result import Result
from privacy import accounting
from privacy.making import noised
from privacy.strategy import inverse
from privacy.stream import State, advance
from tacit.core.declaration import Dimension, Kind, Measure

WINDOWS, CELLS = 1_024, 100
RHO = 10**11
"""In pico: a tenth."""


def run() -> Iterator[Result]:
    """The error's lines."""
    alone = _measure("none")
    plan = accounting.plan_window(alone, RHO)
    if plan is None:
        raise AssertionError("so much rho buys noise")
    drawn = np.array([noised(alone, plan, np.zeros(CELLS, dtype=np.int64)) for _ in range(WINDOWS)], dtype=float)
    ratio = math.sqrt(float((drawn**2).mean())) / math.sqrt(1 / (2 * RHO / 1e12))
    yield Result("independent noise against its formula", f"{ratio:.4f}", "within 2 %", abs(ratio - 1) <= 0.02)
    prefix = _error("prefix", WINDOWS)
    bound = _least(WINDOWS)
    yield Result(
        "sums since the start over 1,024 windows against the least possible", f"{prefix / bound:.3f} x", "<= 1.07 x", prefix / bound <= 1.07
    )
    tree = math.sqrt(11 * sum(t.bit_count() for t in range(1, WINDOWS + 1)) / WINDOWS)
    yield Result("a binary tree's error against ours, same rho", f"{tree / prefix:.2f} x", ">= 2.3 x", tree / prefix >= 2.3)
    apart = math.sqrt((WINDOWS + 1) / 2)
    yield Result("independently noised windows against ours, same rho", f"{apart / prefix:.2f} x")
    for span in (7, 30):
        ratio = _error(f"sliding:{span}", span) / _least(WINDOWS, span)
        yield Result(f"sums over the last {span} windows against the least possible", f"{ratio:.3f} x", "<= 1.03 x", ratio <= 1.03)


def _measure(over_time: str) -> Measure:
    cells = Dimension("cell", tuple(f"c{i}" for i in range(CELLS)), closed=True)
    return Measure("bench", "pages", Kind.COUNT, "page", "measurement", (cells,), Decimal(1), over_time=over_time, block=WINDOWS)


def _error(over_time: str, span: int) -> float:
    """Root mean square error of the sums over the last `span` windows, from one whole block of drawn rows, in units of Δ / sqrt(2 rho)."""
    measure = _measure(over_time)
    plan = accounting.plan_window(measure, RHO)
    if plan is None or plan.strategy is None:
        raise AssertionError("correlated noise is the better one here")
    state, rows = State.empty(plan.strategy, CELLS), []
    for _ in range(WINDOWS):
        row, state = advance(plan.strategy, state, np.zeros(CELLS, dtype=np.int64))
        rows.append(noised(measure, plan, row))
    estimates = _convolved(np.array(inverse(plan.strategy)), np.array(rows, dtype=float) / plan.unit)
    sums = np.cumsum(estimates, axis=0)
    sums[span:] -= sums[:-span].copy() if span < WINDOWS else 0.0
    return math.sqrt(float((sums**2).mean())) / math.sqrt(1 / (2 * RHO / 1e12))


def _convolved(kernel: npt.NDArray[np.float64], rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.stack([np.convolve(kernel, column)[: len(rows)] for column in rows.T], axis=1)


def _least(length: int, span: int | None = None) -> float:
    """The nuclear norm of the matrix of sums over its length: no factorisation has a smaller root mean square error."""
    sums = np.tril(np.ones((length, length)))
    if span is not None:
        sums -= np.tril(np.ones((length, length)), -span)
    return float(np.linalg.svd(sums, compute_uv=False).sum()) / length
