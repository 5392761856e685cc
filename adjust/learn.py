"""The learners: releases in, arm weights for each context cell out. What each does is in a file of its own; nothing here is random.

Only releases that passed their quality check are used, and only those of the measure definition that is declared now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adjust import gbt, markov
from adjust.cells import cell_keys
from adjust.evidence import Block
from adjust.factorial import factorial
from adjust.model import believe
from adjust.observations import blocks
from adjust.thompson import Allocation, even, mixed, thompson
from privacy.models import Release
from tacit.core.declaration import Measure, Policy

NUMBERS_LIMIT = 20_000_000
"""Counts that are looked at in one fit; older windows are left out beyond it."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned of one policy. Lists follow the arms in declared order and sum to 1."""

    weights: dict[str, list[float]]
    """Every context cell of the declaration."""
    general: list[float]
    """For a cell of which nothing is known; merged cells have exactly these."""
    marginal: list[float]
    """Share of people that each arm gets with the traffic as it was."""
    rates: list[float | None]
    """Believed reward rate of each arm over all cells; None before the first release."""
    rate_sds: list[float | None]
    """Standard deviations of these, the privacy noise counted."""
    windows: int
    """How many releases this rests on."""
    releases: list[str]
    """Their ids, oldest first."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """What the learner keeps of its model beside the weights."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """How good it is, as far as it can say."""
    traffic: dict[str, float] = field(default_factory=dict)
    """Estimated people by cell."""

    def to_json(self, arms: Sequence[str]) -> dict[str, Any]:
        """For the charts: by arm, and the weights of each cell."""
        by_arm = {
            arm: {"weight": weight, "rate": rate, "sd": sd}
            for arm, weight, rate, sd in zip(arms, self.marginal, self.rates, self.rate_sds, strict=True)
        }
        return {"arms": by_arm, "cells": self.weights, "windows": self.windows}


def learn(policy: Policy, measure: Measure, releases: Sequence[Release], *, transitions: Sequence[Release] = ()) -> Learned:
    """The policy's weights after these releases (any order; unusable ones and other definitions are passed over).

    `transitions` are the releases of the measure that a Markov learner reads.
    """
    keys = cell_keys(measure.dimensions[:-2])
    arms = len(policy.arms)
    used = [r for r in releases if r.usable is True and r.measure.id == measure.id]
    used = sorted(used, key=lambda r: r.window.start_ms)[-max(1, NUMBERS_LIMIT // measure.cells) :]
    evidence = blocks(used, (len(keys), measure.dimensions[-2].size, 2))
    if not evidence:
        evenly = [1 / arms] * arms
        return Learned(dict.fromkeys(keys, evenly), evenly, evenly, [None] * arms, [None] * arms, 0, [])
    found = _of_policy(policy, evidence, [r for r in transitions if r.usable is True])
    beliefs = found.beliefs
    traffic = beliefs.exposures.sum(1)
    share = traffic / traffic.sum() if traffic.sum() > 0 else np.full(len(keys), 1 / len(keys))
    level = float(share @ beliefs.level)
    return Learned(
        weights=dict(zip(keys, found.cells.tolist(), strict=True)),
        general=found.general.tolist(),
        marginal=(share @ found.cells).tolist(),
        rates=np.maximum(level * (1 + beliefs.arm_effect), 0).tolist(),
        rate_sds=(level * beliefs.arm_error).tolist(),
        windows=sum(len(block.rows) for block in evidence),
        releases=[r.id for r in used],
        parameters={"level": round(level, 6), "cell_spread": round(float(beliefs.cell_spread), 4)} | found.parameters,
        metrics={"trials": round(float(traffic.sum()), 1)} | found.metrics,
        traffic=dict(zip(keys, traffic.tolist(), strict=True)),
    )


def allocate(learner: str, evidence: Sequence[Block], *, arms: int, explore: float) -> Allocation:
    """The learners that need nothing but a policy's own trials: `fixed`, `thompson`, `top_two`.

    `evidence` may hold several policies of one shape: all are learned at once, each from its own counts only.
    """
    beliefs = believe(evidence, arms=arms)
    return even(beliefs) if learner == "fixed" else thompson(beliefs, explore, top_two=learner == "top_two")


def _of_policy(policy: Policy, evidence: Sequence[Block], transitions: Sequence[Release]) -> Allocation:
    arms = len(policy.arms)
    match policy.learner:
        case "factorial":
            return factorial(believe(evidence, arms=arms), list(policy.arms.values()), policy.factors, policy.explore)
        case "gbt":
            return gbt.gbt(evidence, believe(evidence, arms=arms), [d.size for d in policy.context], policy.explore)
        case "markov":
            beliefs, steps = believe(evidence, arms=arms), markov.chain(transitions)
            if steps is None:
                return even(beliefs)
            cells, general = markov.weights(steps, policy.arms, policy.context)
            return Allocation(beliefs, mixed(cells, policy.explore), mixed(general, policy.explore), steps.to_json())
        case learner:
            return allocate(learner, evidence, arms=arms, explore=policy.explore)
