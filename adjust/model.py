"""From noisy tables to beliefs about arms: a two-level Gaussian model (policy → arm → cell) that knows how much noise it looks at.

`adjust/evidence.py` gives rates and their variances; `adjust/drift.py` tells whether they change: then old evidence counts less.
The invariant: means are shrunk with the full variance (people and noise); the spread that arms are sampled with is that of people alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adjust import drift
from adjust.evidence import Block, Evidence, Floats, forgetting, gathered, placed, timeline

ROUNDS = 4
"""Rounds of the alternating fit of cell levels and effects; a fifth changes nothing that can be measured."""

SPREADS = np.array([0.03, 0.06, 0.12, 0.25, 0.5])
"""Candidate prior standard deviations of relative effects, of arms and of arms within a cell. The smallest is the floor."""

SPREAD_MEDIAN, SPREAD_FOLD = 0.25, 3.0
"""Log-normal hyperprior of these: few arms say little about their own spread. Results do not depend on it (0.15 and 0.4 do as well)."""

LEVEL_SPREAD = 0.7
"""Prior relative standard deviation of a cell's own level around the policy's."""

_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed about effects, relative to a cell's level.

    Arrays are (…, cells, arms) unless stated; … are policies that are fitted at once.
    """

    level: Floats
    """(…, cells) reward rate at effect 0."""
    effect: Floats
    arm_effect: Floats
    """(…, arms)"""
    arm_error: Floats
    """(…, arms) standard deviation of `arm_effect` with the noise: what may be stated."""
    arm_spread: Floats
    """(…, arms) standard deviation of an arm's effect by sampling of people alone: what is sampled with."""
    own: Floats
    """Part that a cell's own evidence has in its effect by sampling of people alone; the rest is the arm's."""
    own_spread: Floats
    """Standard deviation of a cell's own part by sampling of people alone."""
    own_part: Floats
    """Part that a cell's own evidence has in `effect`, noise counted."""
    cell_spread: Floats
    """(…) learned prior standard deviation of arms within a cell."""
    exposures: Floats
    """Estimated trials."""
    seen: Floats
    """Each arm's effect in a cell as it was seen, before anything is pulled to anything."""
    seen_variance: Floats
    """Of `seen`, people and noise."""
    people_variance: Floats
    """Of `seen`, by sampling of people alone."""
    steps: Floats
    """(…) relative standard deviation of an effect's step from window to window; 0 where no drift was found and nothing is forgotten."""


def believe(blocks: Sequence[Block], *, arms: int) -> Beliefs:
    """Fit the model to one or more blocks of the same places."""
    windows = np.add.reduce([block.windows.sum(0) for block in blocks])
    first = np.clip(windows[..., 1].sum((-2, -1)) / np.maximum(windows.sum((-3, -2, -1)), 1.0), 1e-3, 0.9)
    level = np.repeat(first[..., None], windows.shape[-3], axis=-1)
    effect = np.zeros((*level.shape, arms))
    rate, steps = _rates(level, effect), np.zeros(level.shape[:-1])
    for round_ in range(2 * ROUNDS):
        if round_ == ROUNDS:
            steps = drift.step(timeline(blocks, rate), placed(rate, blocks[0]), level)
            if not steps.any():
                break
        found = gathered(blocks, rate, level)
        if steps.any():
            found = forgetting(found, timeline(blocks, rate), rate, steps)
        level = _level(found, effect, rate)
        z = found.rate / level[..., None] - 1
        u = found.variance(level[..., None]) / level[..., None] ** 2
        chances = _chances(z, u)
        effect, arm_effect = _effects(z, u, chances)
        rate = _rates(level, effect)
    arm_prior = np.sqrt(np.tensordot(SPREADS**2, chances.sum(1), axes=1))
    cell_prior = np.sqrt(np.tensordot(SPREADS**2, chances.sum(0), axes=1))
    within = cell_prior[..., None, None] ** 2
    people = (1 - level)[..., None] / (np.maximum(found.effective, _TINY) * level[..., None])
    own = within / (within + people)
    return Beliefs(
        level=level,
        effect=effect,
        arm_effect=arm_effect,
        arm_error=_arm_sd(u, arm_prior, within),
        arm_spread=_arm_sd(people, arm_prior, within),
        own=own,
        own_spread=np.sqrt(own * people),
        own_part=within / (within + u),
        cell_spread=cell_prior,
        exposures=found.exposures,
        seen=z,
        seen_variance=u,
        people_variance=people,
        steps=steps,
    )


def _rates(level: Floats, effect: Floats) -> Floats:
    return np.clip(level[..., None] * (1 + effect), 1e-4, 0.99)


def _level(found: Evidence, effect: Floats, rate: Floats) -> Floats:
    """Each cell's level from all its arms, pulled to the policy's."""
    factor = 1 + effect
    precision = 1 / (found.variance(rate) + _TINY)
    weight = (precision * factor**2).sum(-1)
    total = (precision * factor * found.rate).sum(-1)
    middle = np.clip(total.sum(-1, keepdims=True) / weight.sum(-1, keepdims=True), 1e-4, 0.99)
    prior = (LEVEL_SPREAD * middle) ** -2
    level: Floats = np.clip((total + prior * middle) / (weight + prior), middle * 0.1, 0.99)
    return level


def _chances(z: Floats, u: Floats) -> Floats:
    """Posterior chance of each pair of prior spreads (arm, cell within arm): their marginal likelihood times the hyperprior."""
    hyper = -0.5 * (np.log(SPREADS / SPREAD_MEDIAN) / np.log(SPREAD_FOLD)) ** 2
    log = np.empty((len(SPREADS), len(SPREADS), *z.shape[:-2]))
    for j, within in enumerate(SPREADS):
        p = 1 / (u + within**2)
        inside = 0.5 * np.log(p).sum((-2, -1)) - 0.5 * (p * z * z).sum((-2, -1))
        information, total = p.sum(-2), (p * z).sum(-2)
        for i, between in enumerate(SPREADS):
            a = between**-2 + information
            log[i, j] = inside - 0.5 * np.log(between**2 * a).sum(-1) + 0.5 * (total**2 / a).sum(-1) + hyper[i] + hyper[j]
    weights = np.exp(log - log.max((0, 1)))
    chances: Floats = weights / weights.sum((0, 1))
    return chances


def _effects(z: Floats, u: Floats, chances: Floats) -> tuple[Floats, Floats]:
    """Posterior means of effects of (cell, arm) and of arms, averaged over the prior spreads."""
    effect, arm_effect = np.zeros_like(z), np.zeros((*z.shape[:-2], z.shape[-1]))
    for i, j in np.ndindex(chances.shape[:2]):
        chance = chances[i, j][..., None]
        if chance.max() < 1e-4:
            continue
        p = 1 / (u + SPREADS[j] ** 2)
        arm = (p * z).sum(-2) / (SPREADS[i] ** -2 + p.sum(-2))
        effect += chance[..., None] * (arm[..., None, :] + SPREADS[j] ** 2 * p * (z - arm[..., None, :]))
        arm_effect += chance * arm
    return np.clip(effect, -0.9, 5.0), np.clip(arm_effect, -0.9, 5.0)


def _arm_sd(u: Floats, arm_prior: Floats, within: Floats) -> Floats:
    sd: Floats = (arm_prior[..., None] ** -2 + (1 / (u + within)).sum(-2)) ** -0.5
    return sd
