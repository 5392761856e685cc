"""Markov chains from released transitions: what people do next, where they hesitate and where they leave.

Each arm's parameter `next` is the value it leads to. In a context cell that says where somebody is, an arm's weight is its chance to be the
likeliest next step. Everything else is kept as a table in the model, for triggers: read `hesitation` and `abandonment` there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adjust.best import chances
from adjust.evidence import Floats
from privacy.models import Release
from privacy.series import total
from tacit.core.declaration import Dimension

HESITATES = 1.0
"""One step that nobody took is believed in as much as this many people, at least."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps between the labels of one dimension."""

    field: str
    labels: tuple[str, ...]
    next: Floats
    """(from, to) probabilities; rows sum to 1."""
    sd: Floats
    """(from, to) standard deviations, people and noise."""
    overall: Floats
    """(to,) over all starts, and what a start without people is believed to do."""
    overall_sd: Floats
    abandonment: Floats
    """(from,) part of those who arrived at a label and took no further step; people who began there are not among the arrivals."""

    def to_json(self) -> dict[str, Any]:
        """Tables by label."""
        return {
            "field": self.field,
            "next": {
                one: dict(zip(self.labels, row, strict=True)) for one, row in zip(self.labels, self.next.round(5).tolist(), strict=True)
            },
            "hesitation": dict(zip(self.labels, np.diag(self.next).round(5).tolist(), strict=True)),
            "abandonment": dict(zip(self.labels, self.abandonment.round(5).tolist(), strict=True)),
        }


def chain(releases: Sequence[Release]) -> Chain | None:
    """The chain that all these releases of one transitions measure tell of; None for none.

    A start's steps are pulled to what all starts do by as many supposed people as its noise is worth: k sd² / n for n people over k labels.
    """
    found = total(releases)
    if found is None:
        return None
    dimension = found.measure.dimensions[0]
    size = dimension.size
    counts = np.array(found.values).reshape(size, size)
    kept = np.maximum(counts, 0.0)
    people = np.maximum(counts.sum(1), 1.0)
    every = max(float(kept.sum()), 1.0)
    overall = (kept.sum(0) + 1 / size) / (kept.sum() + 1)
    supposed = np.maximum(size * found.sd**2 / people, HESITATES)
    steps = (kept + supposed[:, None] * overall) / (kept.sum(1) + supposed)[:, None]
    sd = np.sqrt(steps * (1 - steps) / people[:, None] + (found.sd / people[:, None]) ** 2)
    overall_sd = np.sqrt(overall * (1 - overall) / every + size * (found.sd / every) ** 2)
    left = np.clip(1 - counts.sum(1) / np.maximum(counts.sum(0), 1.0), 0.0, 1.0)
    return Chain(dimension.name.removesuffix(".from"), dimension.labels, steps, sd, overall, overall_sd, left)


def weights(steps: Chain, arms: Mapping[str, Mapping[str, Any]], context: Sequence[Dimension]) -> tuple[Floats, Floats]:
    """(cells, arms) chances that an arm's `next` is the likeliest step, and (arms,) for a cell of which nothing is known."""
    at = [steps.labels.index(arm["next"]) if arm["next"] in steps.labels else len(steps.labels) - 1 for arm in arms.values()]
    general = chances(steps.overall[at], steps.overall_sd[at])
    place = next((i for i, d in enumerate(context) if d.name == steps.field), None)
    cells = math.prod(d.size for d in context)
    if place is None:
        return np.tile(general, (cells, 1)), general
    here = np.indices(tuple(d.size for d in context))[place].ravel()
    found = []
    for number in here.tolist():
        label = context[place].labels[number]
        start = steps.labels.index(label) if label in steps.labels else None
        found.append(general if start is None else chances(steps.next[start, at], steps.sd[start, at]))
    return np.array(found), general
