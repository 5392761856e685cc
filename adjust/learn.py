"""Batched Thompson sampling from released tables.

For each context cell and arm the rewards and trials of all windows are summed; their noise variance is known. Means are shrunk in two levels
(policy -> arm -> cell) with the full variance, people's and noise's; arms are sampled with the variance of people alone, because the noise
explores already (docs/privacy-model.md and the literature it names). The prior spreads are learned by the method of moments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privacy.models import Release
from tacit.core.declaration import HOLDOUT, Measure, Policy

Floats = npt.NDArray[np.float64]

DRAWS = 2_000
SPREAD_FLOOR = 0.05
SPREAD_START = 0.25


@dataclass(frozen=True)
class Learned:
    """Weights over the arms for every cell, their mean over the traffic, and each arm's estimated rate with its standard deviation."""

    weights: Mapping[str, list[float]]
    marginal: list[float]
    rates: list[float]
    rate_sds: list[float]

    def state(self, policy: Policy) -> dict[str, Any]:
        """What is kept for charts."""
        arms = list(policy.arms)
        return {"weights": dict(zip(arms, self.marginal, strict=True)), "rates": dict(zip(arms, self.rates, strict=True)),
                "rate_sds": dict(zip(arms, self.rate_sds, strict=True))}  # fmt: skip


def cell_names(policy: Policy) -> list[str]:
    """All context cells in the order of the measure."""
    names = [""]
    for position, dimension in enumerate(policy.context):
        names = [f"{n}|{label}" if position else label for n in names for label in dimension.labels]
    return names


def learn(policy: Policy, measure: Measure, releases: Sequence[Release], *, rng: np.random.Generator | None = None) -> Learned:
    """Weights from the usable ones of `releases`, all of them of `measure`."""
    rng = rng or np.random.default_rng()
    names, count = cell_names(policy), len(policy.arms)
    uniform = [1 / count] * count
    usable = [r for r in releases if r.usable is not False and r.measure.id == measure.id]
    if policy.learner == "fixed" or not usable:
        return Learned(dict.fromkeys(names, uniform), uniform, [0.0] * count, [0.0] * count)
    table = np.sum([np.asarray(r.vector, dtype=np.float64) for r in usable], axis=0)
    noise = float(sum(r.mechanism.scale**2 for r in usable))
    table = table.reshape(len(names), policy.arm_dimension.size, 2)
    fails, wins = table[:, :count, 0].copy(), table[:, :count, 1].copy()
    bins = np.full_like(wins, noise)
    if policy.arm_dimension.values[-1] == HOLDOUT:
        fails[:, 0] += table[:, -1, 0]
        wins[:, 0] += table[:, -1, 1]
        bins[:, 0] += noise
    means, spreads, arm_rates, arm_sds = _posterior(wins, fails, bins)
    draws = means[None] + spreads[None] * rng.standard_normal((DRAWS, *means.shape))
    best = np.eye(count)[draws.argmax(axis=2)].mean(axis=0)
    weights = (1 - policy.explore) * best + policy.explore / count
    traffic = np.maximum((wins + fails).sum(axis=1), 1.0)
    marginal = (weights * traffic[:, None]).sum(axis=0) / traffic.sum()
    return Learned(
        {name: [float(w) for w in row] for name, row in zip(names, weights, strict=True)},
        [float(w) for w in marginal],
        [float(r) for r in arm_rates],
        [float(s) for s in arm_sds],
    )


def _posterior(wins: Floats, fails: Floats, bins: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Means and sampling spreads of shape (cells, arms), and each arm's overall rate with its full standard deviation."""
    trials = np.maximum(wins + fails, 1.0)
    overall = float(np.clip(wins.sum() / max(trials.sum(), 1.0), 1e-4, 0.9))
    people = overall * (1 - overall)
    mixed = (1 - overall) ** 2 + overall**2

    def estimate(won: Floats, tried: Floats, noise: Floats) -> tuple[Floats, Floats, Floats]:
        solid = np.maximum(tried, np.sqrt(noise))
        return (won - overall * tried) / solid, people / solid, noise * mixed / solid**2

    arm_effect, arm_data, arm_noise = estimate(wins.sum(axis=0), trials.sum(axis=0), bins.sum(axis=0))
    arm_prior = _spread(arm_effect, arm_data + arm_noise, overall)
    pull = arm_prior / (arm_prior + arm_data + arm_noise)
    arm_mean = pull * arm_effect
    arm_sampling = pull * arm_data
    cell_effect, cell_data, cell_noise = estimate(wins, trials, bins)
    base = (cell_effect * trials).sum(axis=1, keepdims=True) / trials.sum(axis=1, keepdims=True)
    rest = cell_effect - base - (arm_mean - (arm_mean * trials).sum(axis=1, keepdims=True) / trials.sum(axis=1, keepdims=True))
    cell_prior = _spread(rest, cell_data + cell_noise, overall) / 2
    cell_pull = cell_prior / (cell_prior + cell_data + cell_noise)
    means = arm_mean[None] + cell_pull * rest
    sampling = arm_sampling[None] * (1 - cell_pull) ** 2 + cell_pull**2 * cell_data + (1 - cell_pull) * 0
    return means, np.sqrt(np.maximum(sampling, 1e-16)), overall + arm_effect, np.sqrt(arm_data + arm_noise)


def _spread(effects: Floats, variances: Floats, level: float) -> float:
    """Prior variance of effects: their variance beyond sampling and noise, between a floor and a weak prior guess (relative to the level)."""
    precise = 1 / variances
    moment = float((precise * (effects**2 - variances)).sum() / precise.sum())
    guess, weight = (SPREAD_START * level) ** 2, 2.0
    informed = float(effects.size)
    mixed = (weight * guess + informed * max(moment, 0.0)) / (weight + informed)
    return max(mixed, (SPREAD_FLOOR * level) ** 2)
