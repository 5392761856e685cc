"""Statistics of experiments under privacy noise, by simulation: false alarms, looking every day, and power beside the formula."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg import toeplitz

from adjust import power
from adjust.experiments import lift
from adjust.sequential import sequences
from benchmarks.result import Result
from privacy.choosing import choose
from privacy.models import Mechanism, Release, Row, Window, noisy
from privacy.strategy import coefficients
from tacit.core.declaration import Measure, Policy, policy_measure

DAY = 86_400_000
DAYS = 28


@dataclass(frozen=True, slots=True)
class Setting:
    """Two arms: people of each arm and day, reward rate, relative effect, standard deviation of a row's noise."""

    people: int
    rate: float
    effect: float
    noise: float


SETTINGS = (
    Setting(100, 0.05, 0.0, 8.0),
    Setting(500, 0.05, 0.0, 8.0),
    Setting(500, 0.05, 0.0, 2.2),
    Setting(5_000, 0.005, 0.0, 8.0),
)
STRATEGY = choose("prefix", windows=1, length=32, bits=20).strategy


def measure() -> Measure:
    """Two arms, no context."""
    policy = Policy("p", "z", "personalisation", {"a": {}, "b": {}}, (), "click", 1, "fixed", 0.0, 0.0, Decimal(1))
    return policy_measure("s", policy)


def releases(counted: Measure, setting: Setting, rng: Generator, *, days: int = DAYS) -> list[Release]:
    """One experiment as rows of one block with correlated noise."""
    assert STRATEGY is not None
    shown = rng.poisson(setting.people, (days, 2))
    rewards = rng.binomial(shown, [setting.rate, setting.rate * (1 + setting.effect)])
    exact = np.stack([shown - rewards, rewards], axis=2).reshape(days, 4).astype(float)
    weights = np.tril(toeplitz(np.array(coefficients(STRATEGY)[:days])))
    rows = np.rint((weights @ exact + rng.normal(0, setting.noise, exact.shape)) * STRATEGY.unit)
    estimates = np.linalg.solve(weights, rows / STRATEGY.unit)
    return [_release(counted, setting, day, row, estimate) for day, (row, estimate) in enumerate(zip(rows, estimates, strict=True))]


def _release(counted: Measure, setting: Setting, day: int, row: NDArray[np.float64], estimate: NDArray[np.float64]) -> Release:
    assert STRATEGY is not None
    return Release(
        id=f"rel_{day}",
        site="s",
        measure=counted,
        window=Window("s", day * DAY, (day + 1) * DAY, 0),
        mechanism=Mechanism(scale=setting.noise, over_time="prefix"),
        rho_pico=1,
        vector=noisy(row.astype(int).tolist()),
        published_ms=0,
        usable=True,
        row=Row(STRATEGY, "blk", day, tuple(estimate.tolist())),
    )


def rejected(setting: Setting, runs: int, rng: Generator) -> float:
    """Part of experiments in which the interval at the end excludes zero."""
    counted, found = measure(), 0
    for _ in range(runs):
        seen = lift(counted, releases(counted, setting, rng))
        assert seen is not None
        (comparison,) = seen.comparisons
        found += comparison.low is not None and comparison.high is not None and not comparison.low <= 0 <= comparison.high
    return found / runs


def decided(setting: Setting, runs: int, rng: Generator) -> float:
    """Part of experiments in which the sequence excluded zero after any of the windows."""
    counted = measure()
    return sum(sequences(counted, releases(counted, setting, rng))[0].decided_ms is not None for _ in range(runs)) / runs


def predicted(setting: Setting) -> float:
    """The formula's power for a sum over all windows."""
    assert STRATEGY is not None
    from privacy.strategy import spread

    noise = setting.noise * spread(STRATEGY, range(DAYS))
    trials = float(setting.people * DAYS)
    rate = setting.rate * (1 + setting.effect / 2)
    return power.power(setting.rate * setting.effect, power.information(trials=trials, other_trials=trials, rate=rate, noise_sd=noise))


def run() -> Iterator[Result]:
    """The statistics' lines."""
    rng = np.random.default_rng()
    for setting in SETTINGS:
        name = f"{setting.people} people/arm/day, {setting.rate:.1%}, noise sd {setting.noise:g}"
        share = rejected(setting, 6_000, rng)
        yield Result(f"false alarms of 5 %, {name}", f"{share:.3f}", "0.04 to 0.06", 0.04 <= share <= 0.06)
        share = decided(setting, 1_000, rng)
        yield Result("  the same, looking every day, any day", f"{share:.3f}", "<= 0.05", share <= 0.05)
    for setting in (Setting(500, 0.05, 0.2, 8.0), Setting(100, 0.05, 0.2, 2.2), Setting(5_000, 0.005, 0.2, 8.0)):
        share, formula = rejected(setting, 6_000, rng), predicted(setting)
        name = f"power, +20 % of {setting.rate:.1%}, {setting.people} people/arm/day, noise sd {setting.noise:g}"
        yield Result(name, f"{share:.3f}", f"{formula:.3f} +- 0.02", abs(share - formula) <= 0.02)
