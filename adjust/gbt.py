"""Gradient-boosted trees over context and arms: what cells and arms that resemble each other have in common.

Trees are fitted to the noisy relative effects of cells, each weighted by its precision. The first part of the time fits, the next stops,
the last says what the trees are worth on windows they have never seen; where that is nothing, there are no trees. Their prediction takes
the place of the arm's common effect: a cell's own evidence still moves it from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adjust.evidence import Block, Floats
from adjust.model import Beliefs, believe
from adjust.thompson import Allocation, thompson

TREES = 60
FITS, STOPS = 0.6, 0.8
"""Until which parts of the windows trees are fitted and stopped; the rest is held out."""

LEAST_WINDOWS = 5
"""Below it there is nothing to hold out."""


def gbt(evidence: Sequence[Block], beliefs: Beliefs, context: Sequence[int], explore: float) -> Allocation:
    """Weights as Thompson's around what trees predict. `context` are the sizes of the context dimensions.

    `metrics.held_out` is the part of the squared error, beyond that of predicting one rate for all arms of a cell, which the trees remove
    on held-out windows; below or at 0 they are not used. It is noisy itself and never counts windows that were learned from.
    """
    windows = sum(len(block.windows) for block in evidence)
    features = _features(context, beliefs.effect.shape)
    trees, held_out = 0, None
    if windows >= LEAST_WINDOWS:
        early = believe(_until(evidence, int(FITS * windows)), arms=beliefs.effect.shape[-1])
        stages = _stages(features, early, TREES)
        stop = [_loss(evidence, (FITS, STOPS), early, stage) for stage in stages]
        trees = int(np.argmin(stop))
        base, best = (_loss(evidence, (STOPS, 1.0), early, stages[k]) for k in (0, trees))
        held_out = round(1 - best / base, 5) if base > 0 else 0.0
        trees = trees if held_out > 0 else 0
    metrics: dict[str, Any] = {"held_out": held_out, "trees": trees}
    if not trees:
        given = thompson(beliefs, explore)
        return Allocation(beliefs, given.cells, given.general, {"trees": 0}, metrics)
    predicted = _stages(features, beliefs, trees)[-1]
    effect = np.clip(predicted + beliefs.own_part * (beliefs.seen - predicted), -0.9, 5.0)
    given = thompson(beliefs, explore, effect=effect)
    return Allocation(beliefs, given.cells, given.general, {"trees": trees, "effects": np.round(predicted, 5).tolist()}, metrics)


def _features(context: Sequence[int], shape: tuple[int, ...]) -> Floats:
    """(cells * arms, dimensions + 1): where each cell stands in each dimension, and the arm."""
    cells, arms = shape
    places = np.indices(tuple(context)).reshape(len(context), -1).T if context else np.empty((cells, 0))
    return np.hstack([np.repeat(places, arms, axis=0), np.tile(np.arange(arms), cells)[:, None]]).astype(np.float64)


def _stages(features: Floats, beliefs: Beliefs, trees: int) -> list[Floats]:
    """Predictions (cells, arms) after 0, 1 … `trees` trees."""
    from sklearn.ensemble import HistGradientBoostingRegressor  # type: ignore[import-untyped]  # it ships no types

    precision = 1 / (beliefs.seen_variance + beliefs.cell_spread**2)
    model = HistGradientBoostingRegressor(
        max_iter=trees,
        learning_rate=0.1,
        max_leaf_nodes=4,
        min_samples_leaf=2,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    )
    model.fit(features, beliefs.seen.ravel(), sample_weight=(precision / precision.mean()).ravel())
    shape = beliefs.effect.shape
    return [np.zeros(shape), *(stage.reshape(shape) for stage in model.staged_predict(features))]


def _until(evidence: Sequence[Block], windows: int) -> list[Block]:
    """Only what was released of the first windows. A row holds nothing of later ones."""
    found = []
    for block in evidence:
        if windows <= 0:
            break
        weights = block.weights
        rows = windows if weights is None else int((np.count_nonzero(weights, axis=1) <= windows).sum())
        kept = None if weights is None else weights[:rows, :windows]
        found.append(Block(block.rows[:rows], block.scale[:rows], kept, block.windows[:windows], block.spread[:windows]))
        windows -= len(block.windows)
    return [block for block in found if len(block.rows)]


def _loss(evidence: Sequence[Block], parts: tuple[float, float], beliefs: Beliefs, effect: Floats) -> float:
    """Squared error of the rewards in these windows, in units of what people would scatter."""
    every = np.concatenate([block.windows for block in evidence])
    first, last = (int(part * len(every)) for part in parts)
    arms = beliefs.effect.shape[-1]
    sums = every[first:last].sum(0)
    shown = sums[:, :arms].copy()
    shown[:, 0] += sums[:, arms:].sum(1)
    rates = beliefs.level[:, None] * (1 + np.clip(effect, -0.9, 5.0))
    missed = shown[..., 1] - rates * shown.sum(-1)
    return float((missed**2 / beliefs.level[:, None]).sum())
