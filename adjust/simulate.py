"""The engine against supposed true rates: people arrive window by window, are shown arms by the bundle's own 16-bit weights, click at
the supposed rates, and are counted, released and learned from, as when serving.

What turns exact counts into a release is handed in, because this room has no noise of its own. Many policies of one shape run side by
side: they are slices of one release, each with its own noise, and are learned at once, each from its own slice only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from adjust.bundle import cumulative
from adjust.draws import ONE
from adjust.evidence import Floats
from adjust.learn import allocate
from adjust.observations import blocks
from privacy.models import Release

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class World:
    """What is supposed of one policy: true reward rates, each cell's part of the traffic, and how many people come, one trial each."""

    policy: str
    rates: Floats
    """(cells, arms), or (windows, cells, arms) where rates change."""
    shares: Floats
    """(cells,), adding up to 1."""
    people: int

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and arms."""
        return self.rates.shape[-2], self.rates.shape[-1]

    def rates_in(self, window: int) -> Floats:
        """(cells, arms)"""
        found: Floats = self.rates[window] if self.rates.ndim == 3 else self.rates
        return found


class Source(Protocol):
    """Makes the release of one window out of exact counts."""

    def __call__(self, exact: Counts, /) -> Release:
        """`exact` is (numbers,) in the order of the measure's cells."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How all policies of a simulation are run."""

    windows: int
    learner: str
    explore: float


def run(worlds: Sequence[World], source: Source, settings: Settings, *, rng: Generator, tick: Callable[[], None] | None = None) -> Floats:
    """(windows, worlds, 2): expected rewards by the arms that people were shown, and by an even split over the same people.

    All worlds have one shape. `tick` is called after each window.
    """
    cells, arms = worlds[0].shape
    shape = (len(worlds), cells, arms, 2)
    shares = np.stack([world.shares for world in worlds])
    weights = np.full(shape[:-1], 1 / arms)
    releases: list[Release] = []
    found = np.empty((settings.windows, len(worlds), 2))
    for window in range(settings.windows):
        if releases:
            evidence = blocks(releases, shape)
            weights = allocate(settings.learner, evidence, arms=arms, explore=settings.explore).cells
        rates = np.stack([world.rates_in(window) for world in worlds])
        people = rng.multinomial([_arriving(world.people, window, settings.windows) for world in worlds], shares)
        shown = rng.multinomial(people, _served(weights))
        rewarded = rng.binomial(shown, rates)
        found[window] = np.stack([(shown * rates).sum((1, 2)), (people * rates.mean(2)).sum(1)], axis=1)
        releases.append(source(np.stack([shown - rewarded, rewarded], axis=-1).ravel()))
        if tick is not None:
            tick()
    return found


def _arriving(people: int, window: int, windows: int) -> int:
    return people * (window + 1) // windows - people * window // windows


def _served(weights: Floats) -> Floats:
    """The probabilities that a bundle's 16-bit weights stand for."""
    flat = weights.reshape(-1, weights.shape[-1])
    steps = np.array([cumulative(one) for one in flat.tolist()], dtype=np.float64)
    served: Floats = (np.diff(steps, axis=1, prepend=0.0) / ONE).reshape(weights.shape)
    return served
