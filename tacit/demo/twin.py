"""What the same engine would have reached without privacy: the same people, the same learner, exact counts instead of noisy ones.

It runs beside the product and never inside it: this is the one place where exact counts are handed to a learner, and they are counts of
made visitors. Lift is always relative to a uniform split over all people, on identical people.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean, stdev

import numpy as np
from numpy.random import Generator

from privacy.models import Mechanism, Release, Window, noisy
from tacit.core.declaration import HOLDOUT, OTHER, Measure, Policy, Site
from tacit.demo.arrivals import Arrivals, Visitor

REPLAYS = 10
"""Thompson sampling is random, so the twin is the mean of this many runs over the same people."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """Weights of the arms, in declared order, for each context cell; `marginal` for cells that are not in it."""

    cells: Mapping[str, Sequence[float]]
    marginal: Sequence[float]


Learner = Callable[[Policy, Measure, Sequence[Release], Generator], Allocation]


@dataclass(frozen=True, slots=True)
class Lift:
    """Lift over a uniform split: by the arms' true rates (small variance) and by the clicks that these people make."""

    expected: float
    error: float
    """Standard error of `expected`."""
    clicked: float


def learned(policy: Policy, measure: Measure, releases: Sequence[Release], _generator: Generator) -> Allocation:
    """The product's own learner."""
    from adjust.learn import learn

    found = learn(policy, measure, releases)
    return Allocation(found.weights, found.marginal)


def uniform(policy: Policy, _measure: Measure, _releases: Sequence[Release], _generator: Generator) -> Allocation:
    """Every arm alike."""
    return Allocation({}, [1 / len(policy.arms)] * len(policy.arms))


def lift(decisions: Sequence[tuple[Visitor, str]], arrivals: Arrivals, *, default_arm: str) -> Lift:
    """The lift of what was decided for each person. People of the holdout see the default arm."""
    rates = dict(arrivals.rates) | {HOLDOUT: arrivals.rates[default_arm]}
    given = [rates[arm] for _, arm in decisions]
    base = arrivals.uniform_rate
    error = stdev(given) / math.sqrt(len(given)) / base if len(given) > 1 else 0.0
    clicks = fmean(visitor.clicks(rates[arm]) for visitor, arm in decisions)
    expected_clicks = fmean(fmean(visitor.clicks(rate) for rate in arrivals.rates.values()) for visitor, _ in decisions)
    return Lift(fmean(given) / base - 1, error, clicks / expected_clicks - 1 if expected_clicks else 0.0)


def twin(arrivals: Arrivals, site: Site, policy: Policy, *, windows: int, seed: int, fair: bool, replays: int = REPLAYS) -> Lift:
    """The lift without privacy: the mean of several runs, with the standard error of that mean."""
    found = [
        lift(
            replay(arrivals, site, policy, learner=learned, windows=windows, seed=seed + run, fair=fair),
            arrivals,
            default_arm=policy.default_arm,
        )
        for run in range(replays)
    ]
    expected = [one.expected for one in found]
    error = stdev(expected) / math.sqrt(len(expected)) if len(expected) > 1 else found[0].error
    return Lift(fmean(expected), error, fmean(one.clicked for one in found))


def replay(
    arrivals: Arrivals, site: Site, policy: Policy, *, learner: Learner, windows: int, seed: int, fair: bool, holdout: float | None = None
) -> list[tuple[Visitor, str]]:
    """Let everybody arrive once more: decide, count exactly what consent allows, learn after each window. Returns who was decided what.

    The front end's fault strikes here as well, so that the two engines differ in the noise only.
    """
    measure = site.policy_measure(policy.name)
    generator = np.random.default_rng([seed, 0x7417])
    kept_out = policy.holdout if holdout is None else holdout
    places = {_place(labels): cell for cell, labels in enumerate(measure.all_labels)}
    arms = list(policy.arms)
    releases: list[Release] = []
    decisions: list[tuple[Visitor, str]] = []
    for number, people in enumerate(arrivals.in_windows(windows)):
        allocation = learner(policy, measure, releases, generator)
        cumulative = {cell: list(accumulate(weights)) for cell, weights in allocation.cells.items()}
        otherwise = list(accumulate(allocation.marginal))
        counts = [0] * measure.cells
        for visitor, (luck, fate) in zip(people, generator.random((len(people), 2)).tolist(), strict=True):
            context = context_of(visitor, policy)
            if fate < kept_out:
                decided = HOLDOUT
            else:
                steps = cumulative.get("|".join(context.values()), otherwise)
                decided = arms[min(bisect_right(steps, luck * steps[-1]), len(arms) - 1)]
            decisions.append((visitor, decided))
            if visitor.counts_for_policy:
                shown = visitor.shown(decided, fair=fair)
                clicked = visitor.clicks(arrivals.rates[policy.default_arm if shown == HOLDOUT else shown])
                counts[places[_place(context | {"arm": shown, "reward": str(int(clicked))})]] += 1
        releases.append(_exact(site, measure, counts, number))
    return decisions


def context_of(visitor: Visitor, policy: Policy) -> dict[str, str]:
    """The labels of a visitor's context cell, in declared order; a value outside the domain is `other`."""
    said = {"device": visitor.device, "daypart": visitor.daypart}
    return {d.name: said[d.name] if said[d.name] in d.values else OTHER for d in policy.context}


def _place(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _exact(site: Site, measure: Measure, counts: Sequence[int], number: int) -> Release:
    """Exact counts in the shape of a release whose noise has a scale of 0."""
    start = number * site.privacy.window_ms
    window = Window(site.name, start, start + site.privacy.window_ms, site.privacy.epoch_of(start))
    return Release(
        id=f"exact_{number}",
        site=site.name,
        measure=measure,
        window=window,
        mechanism=Mechanism(scale=0.0),
        rho_pico=0,
        vector=noisy(counts),
        published_ms=window.end_ms,
        usable=True,
    )
