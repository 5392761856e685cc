"""Groups that devices answered at random (k-ary randomised response): debiased counts, and how uncertain they are.

Only the group is randomised; hits and misses are counted as they are. With p and q of `privacy.local`, a group's people are
(reports - q · everybody) / (p - q). The devices' dice give that the variance (n p(1-p) + m q(1-q)) / (p - q)², n people being in the group
and m elsewhere, with opposite signs in the group and its rest: they move nobody in or out of the whole. Noise in the counts of reports
comes on top, weighed by 1 - q for the group's own reports and by q for the others.
"""

from __future__ import annotations

import numpy as np

from audit.gaps import Spread, pooled
from audit.pairs import Floats, Tallies
from privacy.local import keep_probability, other_probability


def randomised_groups(
    hits: Floats, misses: Floats, epsilon: float, sd: float, *, reported: bool
) -> tuple[Tallies, Tallies, tuple[float, float]]:
    """Every group, its rest, and (p, q). `sd` is that of noise in each count of reports; the counts are debiased here where `reported`.

    The variances of hits and misses are those of the counts of reports, as `audit.pairs` needs them; `total_variance` is that of the
    debiased people. Every category of the randomisation has to be among the groups.
    """
    k = len(hits)
    p, q = keep_probability(epsilon, k), other_probability(epsilon, k)
    if reported:
        hits, misses = ((counts - q * counts.sum()) / (p - q) for counts in (hits, misses))
    people = np.maximum(hits + misses, 0.0)
    everybody = np.full(k, max(float((hits + misses).sum()), 0.0))
    dice = people * p * (1 - p) + np.maximum(everybody - people, 0.0) * q * (1 - q)

    def variance(own: float, foreign: float) -> Floats:
        return np.asarray((2 * sd**2 * (own**2 + (k - 1) * foreign**2) + dice) / (p - q) ** 2)

    none = np.zeros(k)
    noise = np.full(k, sd**2)
    group = Tallies(hits, misses, noise, noise, none, variance(1 - q, q))
    rest = Tallies(hits.sum() - hits, misses.sum() - misses, (k - 1) * noise, (k - 1) * noise, none, variance(1 - p, p))
    return group, rest, (p, q)


def randomised_spread(groups: Tallies, probabilities: tuple[float, float]) -> Spread | None:
    """As `audit.gaps.spread_of`, for groups whose errors hang together through the dice.

    Reports r weigh (1[r = g] - q) / (p - q) for group g: the covariance of two groups is the sum over all reports of both weights.
    """
    inside = groups.beyond_noise
    if inside.sum() < 2:
        return None
    p, q = probabilities
    rate = pooled(groups)
    weights = (np.eye(len(groups.hits)) - q) / (p - q)
    reports = np.maximum((p - q) * groups.total + q * groups.total.sum(), 0.0)
    noise = (1 - rate) ** 2 * groups.hits_variance + rate**2 * groups.misses_variance
    covariance = weights.T @ np.diag(rate * (1 - rate) * reports + noise) @ weights
    total = groups.total[inside]
    return Spread(groups.rate[inside], covariance[np.ix_(inside, inside)] / np.outer(total, total))
