"""Factorial designs: what each factor of an arm does by itself, and each pair of factors together, so that all arms inform every other.

An arm's effect is the sum of its levels' main effects, its pairs' interactions and a rest of its own. All are normal with declared spreads,
so the posterior is a weighted ridge regression of what was seen of the arms, noise counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adjust.evidence import Floats
from adjust.model import Beliefs
from adjust.thompson import Allocation, thompson

MAIN, PAIR, REST = 0.25, 0.12, 0.06
"""Prior standard deviations of relative effects: main effects are the largest, as a rule (effect hierarchy: Wu and Hamada 2009)."""


def factorial(beliefs: Beliefs, arms: Sequence[Mapping[str, Any]], factors: Sequence[str], explore: float) -> Allocation:
    """Weights as Thompson's, from effects that the design explains. `arms` are the arms' parameters in declared order.

    `parameters` holds each main effect and interaction with its standard deviation, relative to the mean over all arms.
    """
    names, design, prior = _design(arms, factors)
    within = beliefs.cell_spread**2
    precision = 1 / (within + beliefs.seen_variance)  # (cells, arms)
    weight = precision.sum(0)
    seen = (precision * beliefs.seen).sum(0) / weight
    both = np.hstack([design, np.eye(len(arms))])
    priors = np.concatenate([prior, np.full(len(arms), REST)])
    covariance = np.linalg.inv(both.T @ (weight[:, None] * both) + np.diag(priors**-2))
    found = covariance @ (both.T @ (weight * seen))
    arm_effect = np.clip(both @ found, -0.9, 5.0)
    effect = arm_effect + beliefs.own_part * (beliefs.seen - arm_effect)
    told = {
        name: {"effect": round(float(value), 5), "sd": round(float(sd), 5)}
        for name, value, sd in zip(names, found, np.sqrt(np.diag(covariance)), strict=False)
    }
    given = thompson(beliefs, explore, effect=np.clip(effect, -0.9, 5.0))
    return Allocation(beliefs, given.cells, given.general, {"effects": told}, {"explained": _explained(arm_effect, seen, weight)})


def _design(arms: Sequence[Mapping[str, Any]], factors: Sequence[str]) -> tuple[list[str], Floats, Floats]:
    """A column for each level of each factor and each pair of levels that an arm has."""
    levels = [(factor, level) for factor in factors for level in dict.fromkeys(str(arm[factor]) for arm in arms)]
    names = [f"{factor}={level}" for factor, level in levels]
    columns = [[float(str(arm[factor]) == level) for arm in arms] for factor, level in levels]
    prior = [MAIN] * len(levels)
    for a, b in itertools.combinations(range(len(levels)), 2):
        together = [x * y for x, y in zip(columns[a], columns[b], strict=True)]
        if levels[a][0] != levels[b][0] and any(together):
            names.append(f"{names[a]} and {names[b]}")
            columns.append(together)
            prior.append(PAIR)
    return names, np.array(columns).T, np.array(prior)


def _explained(fitted: Floats, seen: Floats, weight: Floats) -> float:
    """Part of what was seen of the arms that the fit explains, weighted; noise included, so 1 is not to be hoped for."""
    total = float((weight * seen**2).sum())
    return round(1 - float((weight * (seen - fitted) ** 2).sum()) / total, 4) if total > 0 else 0.0
