"""Whole years of scans through the auditor's own trend: false alarms of a fair service, and how soon a drift of 5 points is found."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np

from audit.inference import summed
from audit.trend import advance
from benchmarks.result import Result
from privacy.models import Mechanism, Release, Row, Window, noisy
from privacy.strategy import Strategy, inverse
from tacit.core.declaration import REWARD, Dimension, Kind, Measure

WEEKS, START, PEOPLE, YEARS = 52, 10, 1_000, 300
WEEK = 7 * 86_400_000
SHARES, RATE, DRIFT = (0.51, 0.34, 0.09, 0.06), 0.4, 0.05
GROUPS = Dimension("group", ("a", "b", "c", "d"), closed=True)
MEASURE = Measure(
    "bench", "audit.bench", Kind.AUDIT, "trial", "fairness_audit", (GROUPS, Dimension("arm", ("a",), closed=True), REWARD), Decimal(1)
)
SDS = {"eps = 1": 2**0.5, "eps = 0.25": 4 * 2**0.5, "prefix noise of sd 20": 20.0}


def run() -> Iterator[Result]:
    """The trend's lines."""
    for name, sd in SDS.items():
        block = strategy() if name.startswith("prefix") else None
        fair = [first_alarm(0.0, sd, block) for _ in range(YEARS)]
        alarms = sum(week is not None for week in fair) / YEARS
        yield Result(f"CUSUM, {name}: false alarms in a year of weekly scans", f"{100 * alarms:.1f} %", "<= 8 %", alarms <= 0.08)
        drifts = [first_alarm(DRIFT, sd, block) for _ in range(YEARS)]
        late = [week - START for week in drifts if week is not None and week >= START]
        median = statistics.median(late)
        goal = ("<= 5 weeks", median <= 5) if name == "eps = 1" else ("", None)
        yield Result(f"CUSUM, {name}: weeks until a 5-point drift is found, median", f"{median:g} ({len(late)} of {YEARS})", *goal)


def strategy() -> Strategy:
    """The square root of prefix sums, for one block of a year."""
    coefficients = [1.0]
    for k in range(1, WEEKS):
        coefficients.append(coefficients[-1] * (2 * k - 1) / (2 * k))
    return Strategy("prefix", 0.5, WEEKS, 20, band=tuple(round(c * 2**20) for c in coefficients))


def first_alarm(drift: float, sd: float, block: Strategy | None) -> int | None:
    """The week of the first alarm in one year; the drift is in group b from week 10 on."""
    generator = np.random.default_rng()
    state: dict[str, Any] | None = None
    noise = generator.normal(0, sd, (WEEKS, MEASURE.cells)) if block else generator.laplace(0, sd / 2**0.5, (WEEKS, MEASURE.cells)).round()
    if block:
        e = np.array(inverse(block))
        noise = np.array([e[: t + 1][::-1] @ noise[: t + 1] for t in range(WEEKS)])
    for week in range(WEEKS):
        rates = np.full(4, RATE)
        rates[1] += drift if week >= START else 0.0
        sizes = generator.multinomial(PEOPLE, SHARES)
        hits = generator.binomial(sizes, rates)
        values = np.stack([sizes - hits, hits], axis=1).ravel() + noise[week]
        release = _release(week, values, sd, block)
        step = advance(MEASURE, state, [release], summed(MEASURE, [release]), DRIFT, WEEKS)
        state = step.state
        if step.alarms:
            return week
    return None


def _release(week: int, values: Any, sd: float, block: Strategy | None) -> Release:
    start = (week + 1) * WEEK
    row = None if block is None else Row(block, "block", week, tuple(values.tolist()))
    return Release(
        id=f"r{week}",
        site="bench",
        measure=MEASURE,
        window=Window("bench", start, start + WEEK, start),
        mechanism=Mechanism(scale=sd),
        rho_pico=1,
        vector=noisy([round(v) for v in values.tolist()]),
        published_ms=start + WEEK,
        usable=True,
        row=row,
    )
