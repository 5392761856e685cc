"""What a policy achieves: reward rates with intervals that count both people's randomness and the privacy noise.

A rate is r = y1 / n from released counts; its variance is r(1 - r)/n + s²((1 - r)² + r²)/n², with s² the noise variance summed into each of
the two counts (the delta method; see docs/privacy-model.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from privacy.models import Release
from tacit.core.declaration import HOLDOUT, Measure

Z95 = NormalDist().inv_cdf(0.975)
SOLID = 5.0
"""A number of trials counts as known from five standard deviations of its noise on."""


@dataclass(frozen=True, slots=True)
class Rate:
    """An arm's reward rate; `rate` is None where its trials cannot be told from noise."""

    arm: str
    trials: float
    trials_sd: float
    rate: float | None
    sd: float | None

    def interval(self) -> tuple[float, float] | None:
        """95 %, within [0, 1]."""
        if self.rate is None or self.sd is None:
            return None
        return max(0.0, self.rate - Z95 * self.sd), min(1.0, self.rate + Z95 * self.sd)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A difference of two rates with its 95 % interval."""

    name: str
    against: str
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Lift:
    """The finding in a sentence, and the numbers behind it."""

    sentence: str
    arms: tuple[Rate, ...]
    comparisons: tuple[Comparison, ...]

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        arms = [{"arm": a.arm, "rate": a.rate, "interval": a.interval(), "trials": a.trials, "trials_sd": a.trials_sd} for a in self.arms]
        comparisons = [
            {"name": c.name, "against": c.against, "difference": c.difference, "interval": None if c.low is None else [c.low, c.high]}
            for c in self.comparisons
        ]
        return {"sentence": self.sentence, "arms": arms, "comparisons": comparisons}


def lift(measure: Measure, releases: Sequence[Release]) -> Lift:
    """Everybody the policy treated against its holdout, and each arm against the default one, over the usable releases."""
    usable = [r for r in releases if r.usable is not False and r.measure.id == measure.id]
    arms = next(d.values for d in measure.dimensions if d.name == "arm")
    sums = {arm: [0.0, 0.0] for arm in arms}
    bins = dict.fromkeys(arms, 0.0)
    for release in usable:
        for label, value in zip(measure.all_labels, release.vector, strict=True):
            sums[label["arm"]][int(label["reward"])] += value
            if label["reward"] == "1":
                bins[label["arm"]] += release.mechanism.scale**2
    rates = tuple(_rate(arm, sums[arm][0], sums[arm][1], bins[arm]) for arm in arms)
    treated = [a for a in arms if a != HOLDOUT]
    comparisons = []
    if HOLDOUT in arms:
        failed, won = (sum(sums[a][i] for a in treated) for i in (0, 1))
        whole = _rate("policy", failed, won, sum(bins[a] for a in treated))
        comparisons.append(_compare(whole, rates[arms.index(HOLDOUT)]))
    comparisons += [_compare(rate, rates[0]) for rate in rates[1:] if rate.arm != HOLDOUT]
    return Lift(_sentence(measure.subject_of, comparisons), rates, tuple(comparisons))


def _rate(arm: str, failed: float, won: float, noise: float) -> Rate:
    trials, trials_sd = failed + won, math.sqrt(2 * noise)
    if trials < max(SOLID * trials_sd, 1.0):
        return Rate(arm, trials, trials_sd, None, None)
    rate = won / trials
    bounded = min(max(rate, 1 / trials), 1 - 1 / trials)
    variance = bounded * (1 - bounded) / trials + noise * ((1 - bounded) ** 2 + bounded**2) / trials**2
    return Rate(arm, trials, trials_sd, rate, math.sqrt(variance))


def _compare(one: Rate, other: Rate) -> Comparison:
    if one.rate is None or other.rate is None or one.sd is None or other.sd is None:
        return Comparison(one.arm, other.arm, None, None, None)
    difference, half = one.rate - other.rate, Z95 * math.hypot(one.sd, other.sd)
    return Comparison(one.arm, other.arm, difference, difference - half, difference + half)


def _sentence(policy: str, comparisons: Sequence[Comparison]) -> str:
    whole = next((c for c in comparisons if c.against == HOLDOUT), None)
    if whole is None:
        return f"{policy} has no holdout, so its lift is not measured."
    if whole.difference is None or whole.low is None or whole.high is None:
        return f"It cannot be told yet whether {policy} is better than its holdout: too few people for the noise."
    span = f"between {100 * whole.low:+.1f} and {100 * whole.high:+.1f} points"
    if whole.low > 0:
        return f"{policy} raises the reward rate by {span} over its holdout."
    if whole.high < 0:
        return f"{policy} lowers the reward rate: {span} against its holdout."
    return f"It cannot be told yet whether {policy} is better than its holdout: the difference lies {span}."
