"""What it takes to see through a measure's noise: rewards for a policy, people for an audit or an undeclared key, and local mode's price.

Rates, traffic and even spreads are assumptions that stand beside every number; nothing here has seen an event.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

from privacy import accounting
from privacy.local import keep_probability, other_probability
from privacy.outlook import Outlook
from privacy.plan_words import NORMAL_95, exact
from tacit.core.declaration import Audit, Dimension, Policy

NOISE_WORTH = 10
"""Noise adds less than a tenth to the variance of a count of `NOISE_WORTH` times the noise's variance (a Poisson count's is its size)."""

BASE_RATES = (0.01, 0.05)
"""Reward rates for which a policy's needs are stated."""

AUDIT_RATE = 0.1
"""The reward rate that detectable differences are stated for."""

ALPHA, POWER = 0.05, 0.8

_NORMAL = NormalDist()


def split(dimensions: tuple[Dimension, ...]) -> tuple[int, int]:
    """Context cells or groups, and arms with the holdout, of a policy's or an audit's dimensions."""
    *context, arms, _ = dimensions
    return math.prod(d.size for d in context), arms.size


def policy_needs(found: Outlook, policy: Policy | None, people: float) -> dict[str, Any]:
    """Rewards in one cell and arm above which noise costs less than 10 % more data, and the people an epoch that bring them.

    Noise of variance V in a count of r rewards costs a factor 1 + V / r in data. V is that of an epoch's sum; `horizon` has the same for
    the sum over a whole block of correlated noise, where that is longer. A learner that reads the rows themselves has less noise than
    either. People are spread evenly over cells and arms, the holdout apart.
    """
    contexts, arms = split(found.measure.dimensions)
    treated = 1 - (policy.held_out if policy else 0.0)
    arms -= 1 if policy and policy.held_out else 0
    places = contexts * arms / treated if treated else math.inf
    epoch, longer, epochs = found.sd(found.windows) ** 2, found.horizon_sd**2, found.horizon / found.windows

    def over(variance: float, epochs: float) -> dict[str, Any]:
        return {
            "people_per_epoch": {str(rate): math.ceil(NOISE_WORTH * variance / epochs / rate * places) for rate in BASE_RATES},
            "noise_factor": {str(rate): 1 + variance / (people * epochs * rate / places) for rate in BASE_RATES},
        }

    return {
        "variance_per_cell_and_epoch": epoch,
        "rewards_per_cell_and_window": math.ceil(NOISE_WORTH * found.sd() ** 2),
        "rewards_per_cell_and_epoch": math.ceil(NOISE_WORTH * epoch),
        **over(epoch, 1),
        "horizon": {"windows": found.horizon, "variance_per_cell": longer} | over(longer, epochs),
    }


def comparisons(found: Outlook, holdout: bool) -> int:
    """How many comparisons a scan corrects for: every arm's exposure, the reward, and each arm's reward, for each named group.

    Two groups are one comparison, and so are the exposures of two arms. The holdout's own rewards are not compared.
    """
    *groups, arms, _ = (d for d in found.measure.dimensions if d.name not in found.measure.strata)
    statistics = (1 if arms.size == 2 else arms.size) + 1 + arms.size - holdout
    return statistics * sum(1 if len(d.values) == 2 else len(d.values) for d in groups if len(d.values) > 1)


def detectable(found: Outlook, audit: Audit | None, policy: Policy | None, people: float) -> dict[str, Any]:
    """The smallest difference in reward rate between one group and the other named ones that a scan after one epoch finds.

    Four times in five, at a level that is corrected for all comparisons of the scan (Holm's first step). Groups are of average size. A rate
    y/n with noise of variance v in both bins has variance p(1-p)/n + v((1-p)² + p²)/n². `epochs_to_limit`: epochs until it is the limit.
    """
    groups = [d for d in found.measure.dimensions[:-2] if len(d.values) > 1 and d.name not in found.measure.strata]
    tests = comparisons(found, bool(policy and policy.held_out))
    critical = _NORMAL.inv_cdf(1 - ALPHA / (2 * max(tests, 1))) + _NORMAL.inv_cdf(POWER)
    difference = {group.name: critical * _error(found, group, people, 1) for group in groups}
    shows: dict[str, Any] = {"people": people, "reward_rate": AUDIT_RATE, "comparisons": tests, "power": POWER, "difference": difference}
    if audit is None:
        return shows
    limit = audit.limit / critical
    return shows | {"limit": audit.limit, "epochs_to_limit": {group.name: _epochs(found, group, people, limit) for group in groups}}


def _error(found: Outlook, group: Dimension, people: float, epochs: int) -> float:
    """Standard error of a group's difference after so many epochs, each with other people. The `other` cell is compared with nobody."""
    cells, others = found.measure.cells // 2 // group.size, len(group.values) - 1
    noise = found.sd(found.windows * epochs) ** 2 * ((1 - AUDIT_RATE) ** 2 + AUDIT_RATE**2)
    variance = 0.0
    for times in (1, others):
        part = times * epochs * people / group.size
        variance += AUDIT_RATE * (1 - AUDIT_RATE) / part + noise * cells * times / part**2
    return math.sqrt(variance)


def _epochs(found: Outlook, group: Dimension, people: float, limit: float) -> int:
    """The least number of epochs whose standard error is at most the limit."""
    high = 1
    while _error(found, group, people, high) > limit:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _error(found, group, people, middle) <= limit else (middle, high)
    return high


def shown(found: Outlook) -> dict[str, Any] | None:
    """From how many people in a window on an undeclared key is published, where each sent it once. None where it never can be."""
    measure = found.measure
    parts = (accounting.per_window(measure, found.rho_pico), accounting.per_window(measure, found.delta_atto))
    threshold = accounting.threshold_for(measure, *parts)
    if measure.keys is None or threshold is None:
        return None
    return {
        "threshold": threshold,
        "delta_share": exact(measure.keys.delta_share),
        "people_for_even_odds": threshold,
        "people_for_near_certainty": math.ceil(threshold + NORMAL_95 * found.sigma),
    }


def cell_sd(found: Outlook, windows: int, start: int | None = None) -> float:
    """Standard deviation of what is read of a cell over so many windows: the noise, and that of randomised devices where there are any.

    Of n reports over k cells, each kept with probability p and changed into any one other with q, a cell that has its even part is known
    with variance (n (p(1-p)/k + q(1-q)(1 - 1/k)) + s²) / (p - q)², s² the central noise.
    """
    central, k = found.sd(windows, start), found.measure.cells
    if found.measure.local_epsilon is None or k < 2:
        return central
    p, q = _kept(found)
    return math.sqrt(_randomised(found, windows) + central**2) / (p - q)


def local_price(found: Outlook) -> dict[str, Any] | None:
    """What randomising on the device costs: the noise of a debiased cell against the central noise alone. None where nothing is local.

    `people_times`: how many times more people give the relative error that central noise alone has at this traffic.
    """
    measure = found.measure
    if measure.local_epsilon is None or found.plan is None or measure.cells < 2:
        return None
    p, q = _kept(found)
    price: dict[str, Any] = {
        "epsilon": exact(measure.local_epsilon),
        "epsilon_in_an_epoch": exact(measure.local_epsilon * measure.bounds.per_window * measure.bounds.windows),
        "cells": measure.cells,
        "keep_probability": p,
        "other_probability": q,
    }
    for name, windows in (("window", 1), ("epoch", found.windows)):
        central = found.sd(windows)
        times = _times(_randomised(found, windows), central**2, p - q)
        price[name] = {"sd": cell_sd(found, windows), "central_sd": central, "people_times": times}
    return price


def _kept(found: Outlook) -> tuple[float, float]:
    epsilon, cells = float(found.measure.local_epsilon or 0), found.measure.cells
    return keep_probability(epsilon, cells), other_probability(epsilon, cells)


def _randomised(found: Outlook, windows: int) -> float:
    """Variance of a cell's reports over so many windows, from the devices' randomness alone."""
    (p, q), k = _kept(found), found.measure.cells
    return found.expected * windows / found.windows * (p * (1 - p) / k + q * (1 - q) * (1 - 1 / k))


def _times(spread: float, central: float, kept: float) -> float:
    """The t with (t · spread + central) / (kept · t)² = central: so many times the reports have the relative error of central noise."""
    a = central * kept**2
    return (spread + math.sqrt(spread**2 + 4 * a * central)) / (2 * a)
