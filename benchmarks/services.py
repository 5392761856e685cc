"""Simulated services, fair and unfair, as lines for `tacit scan --tables`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from privacy.local import debiased, keep_probability, other_probability

GROUPS, SHARES = ("a", "b", "c", "d"), (0.51, 0.34, 0.09, 0.06)
RATE, DELTA, LIMIT = 0.4, 1e-6, 0.05
MECHANISMS = ("none", "discrete_laplace", "discrete_gaussian", "randomised_response")


def tables(generator: np.random.Generator, mechanism: str, epsilon: float, people: int, gap: float, count: int) -> Iterator[dict[str, Any]]:
    """So many services; the second group's rate is `gap` above the others'."""
    rates = [RATE, RATE + gap, RATE, RATE]
    said, sd = described(mechanism, epsilon)
    for number in range(count):
        sizes = generator.multinomial(people, SHARES)
        hits = generator.binomial(sizes, rates)
        exact = np.array([hits, sizes - hits], dtype=float)
        if mechanism == "randomised_response":
            values = np.array([_answered(generator, row, epsilon) for row in exact.astype(int)])
        elif mechanism == "discrete_laplace":
            values = exact + _laplace(generator, epsilon, exact.shape)
        else:
            values = exact + np.rint(generator.normal(0, sd, exact.shape)) if sd else exact
        cells = [
            {"group": g, "bin": b, "value": float(v)} for b, row in zip("10", values, strict=True) for g, v in zip(GROUPS, row, strict=True)
        ]
        yield {"id": number, "limit": LIMIT, "mechanism": said, "cells": cells}


def described(mechanism: str, epsilon: float) -> tuple[dict[str, Any], float]:
    """The mechanism as a table names it, and the standard deviation of its noise in a cell; one person adds one to one cell."""
    if mechanism == "none":
        return {"name": mechanism}, 0.0
    if mechanism == "randomised_response":
        return {"name": mechanism, "epsilon": epsilon}, 0.0
    q = math.exp(-epsilon)
    # Geometric noise at sensitivity 1; a Gaussian by the analytic condition of Balle and Wang (2018).
    sd = math.sqrt(2 * q) / (1 - q) if mechanism == "discrete_laplace" else _gaussian_sd(epsilon)
    return {"name": mechanism, "sd": sd}, sd


def written(path: Any, lines: Sequence[dict[str, Any]]) -> None:
    """One table a line."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _laplace(generator: np.random.Generator, epsilon: float, shape: tuple[int, ...]) -> Any:
    p = 1 - math.exp(-epsilon)
    return generator.geometric(p, shape) - generator.geometric(p, shape)


def _answered(generator: np.random.Generator, people: Any, epsilon: float) -> list[float]:
    k = len(people)
    keep, other = keep_probability(epsilon, k), other_probability(epsilon, k)
    reports = np.zeros(k)
    for at, n in enumerate(people):
        chances = np.full(k, other)
        chances[at] = keep
        reports += generator.multinomial(n, chances / chances.sum())
    return [value for value, _ in debiased(reports.tolist(), epsilon, 0.0)]


def _gaussian_sd(epsilon: float) -> float:
    from scipy.stats import norm

    low, high = 1e-3, 1e4
    for _ in range(100):
        middle = math.sqrt(low * high)
        a, b = 1 / (2 * middle), epsilon * middle
        loss = norm.cdf(a - b) - math.exp(epsilon) * norm.cdf(-a - b)
        low, high = (middle, high) if loss > DELTA else (low, middle)
    return high
