"""Thompson sampling and its top-two form, compiled to weights: the chance of each arm to be the best one, from beliefs alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adjust.best import chances
from adjust.evidence import Floats
from adjust.model import Beliefs

SAMPLING = 0.35
"""Part of the sampling spread that is drawn with. A release's noise explores by itself, and few windows leave little time to be repaid.
Between 0.2 and 0.7 lifts hardly differ, with and without noise; docs/learners.md has the table."""

EVIDENCE = 0.02
"""The least part that own evidence must have in an effect before weights move: a cell below it takes the general weights, and where all
cells together are below it in every arm, these are even."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a learner gives: weights, and what is kept of the model beside them."""

    beliefs: Beliefs
    cells: Floats
    """(…, cells, arms)"""
    general: Floats
    """(…, arms) for a cell of which nothing is known."""
    parameters: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)


def even(beliefs: Beliefs) -> Allocation:
    """Every arm alike, whatever was seen."""
    cells = np.full(beliefs.effect.shape, 1 / beliefs.effect.shape[-1])
    return Allocation(beliefs, cells, cells[..., 0, :])


def thompson(beliefs: Beliefs, explore: float, *, effect: Floats | None = None, top_two: bool = False) -> Allocation:
    """The chance of being best, and `explore` of the traffic divided evenly. `effect` (…, cells, arms) replaces that of the beliefs.

    `top_two`: half of the draws give the runner-up instead, drawn again until it is another arm (Russo 2016): it learns which arm is best
    sooner and earns less meanwhile.
    """
    effect = beliefs.effect if effect is None else effect
    sampling = 1.0 if top_two else SAMPLING
    unknown = np.hypot(beliefs.arm_spread, beliefs.cell_spread[..., None]) * np.sqrt(1 + beliefs.arm_effect)
    general = chances(beliefs.arm_effect, sampling * unknown)
    found = chances(effect, sampling * spread(beliefs, effect))
    if top_two:
        general, found = _or_second(general), _or_second(found)
    return Allocation(beliefs, *floored(beliefs, mixed(found, explore), mixed(general, explore)))


def spread(beliefs: Beliefs, effect: Floats) -> Floats:
    """(…, cells, arms): standard deviations of effects by sampling of people alone, larger for arms that are rewarded more often."""
    found: Floats = np.hypot((1 - beliefs.own) * beliefs.arm_spread[..., None, :], beliefs.own_spread) * np.sqrt(1 + effect)
    return found


def floored(beliefs: Beliefs, cells: Floats, general: Floats) -> tuple[Floats, Floats]:
    """The weights where there is evidence for them, and the general or even ones where there is not."""
    known = (1 / (beliefs.cell_spread[..., None, None] ** 2 + beliefs.seen_variance)).sum(-2) * beliefs.arm_error**2
    some = known.max(-1, keepdims=True) >= EVIDENCE
    general = np.where(some, general, 1 / general.shape[-1])
    own = beliefs.own_part.max(-1, keepdims=True) >= EVIDENCE
    return np.where(own & some[..., None, :], cells, general[..., None, :]), general


def mixed(weights: Floats, explore: float) -> Floats:
    """`explore` of the traffic divided evenly."""
    found: Floats = (1 - explore) * weights + explore / weights.shape[-1]
    return found


def _or_second(best: Floats) -> Floats:
    odds = best / np.maximum(1 - best, 1e-9)
    second = best * (odds.sum(-1, keepdims=True) - odds)
    found = (best + second / np.maximum(second.sum(-1, keepdims=True), 1e-12)) / 2
    both: Floats = found / found.sum(-1, keepdims=True)
    return both
