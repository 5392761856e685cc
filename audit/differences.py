"""What is concluded from differences between noisy rates: the closed list of verdicts, and corrections for many comparisons.

The invariant: nothing is within limits by default. What could not be looked at is *cannot tell*, and so is a scan that holds such a thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from statistics import NormalDist
from typing import TypeVar

ALPHA = 0.05
"""Chance of any false alarm in one scan, and one minus the simultaneous confidence."""

POWER = 0.8
"""With this chance a scan finds the difference that is stated as detectable."""

MINIMUM_NOISE_SDS = 5.0
"""A count below this many standard deviations of its noise is not assessable: it may be nobody."""

MINIMUM_EXPECTED = 5.0
"""Expected hits and misses a group needs before a normal approximation is trusted (Cochran 1954)."""

NORMAL = NormalDist()

Key = TypeVar("Key")


class Verdict(StrEnum):
    """The closed list of verdicts of `docs/glossary.md`."""

    WITHIN = "within limits"
    ATTENTION = "attention"
    BREACH = "breach"
    CANNOT_TELL = "cannot tell"


class Reason(StrEnum):
    """Why a comparison is not assessable."""

    NO_OTHER_GROUP = "no_other_group"
    NOISE = "below_noise"
    EXPECTED = "too_few_expected"


class Level(StrEnum):
    """Comparisons that are corrected for together."""

    GROUPS = "groups"
    INTERSECTIONS = "intersections"
    STRATA = "strata"
    EXPERIENCE = "experience"
    ODDS = "odds"


def critical_value(part: float = 1.0) -> float:
    """Two-sided critical value of a test that has this part of `ALPHA`; 1/m of it for m tests is Bonferroni's.

    >>> round(critical_value(), 3)
    1.96
    """
    return NORMAL.inv_cdf(1 - ALPHA * part / 2)


def holm(p_values: Mapping[Key, float], weights: Mapping[Key, float] | None = None) -> dict[Key, float]:
    """Holm's step-down adjustment; with weights, his weighted one, where p / weight decides the order (Holm 1979, sections 2 and 4).

    >>> {k: round(p, 3) for k, p in holm({"a": 0.01, "b": 0.04, "c": 0.03}).items()}
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    >>> {k: round(p, 3) for k, p in holm({"a": 0.04, "b": 0.01}, {"a": 0.8, "b": 0.2}).items()}
    {'a': 0.05, 'b': 0.05}
    """
    weight = dict.fromkeys(p_values, 1.0) if weights is None else weights
    adjusted: dict[Key, float] = {}
    highest, left = 0.0, sum(weight[key] for key in p_values)
    for key, p in sorted(p_values.items(), key=lambda item: item[1] / weight[item[0]]):
        highest = max(highest, min(1.0, left / weight[key] * p))
        left -= weight[key]
        adjusted[key] = highest
    return adjusted


def verdict_of(interval: tuple[float, float] | None, limit: float) -> Verdict:
    """The verdict of one comparison.

    >>> [verdict_of(i, 0.05).value for i in [(-0.01, 0.04), (0.06, 0.1), (0.01, 0.1), (-0.1, 0.1), None]]
    ['within limits', 'breach', 'attention', 'cannot tell', 'cannot tell']
    """
    if interval is None:
        return Verdict.CANNOT_TELL
    low, high = interval
    if -limit <= low and high <= limit:
        return Verdict.WITHIN
    if low > limit or high < -limit:
        return Verdict.BREACH
    return Verdict.ATTENTION if low > 0 or high < 0 else Verdict.CANNOT_TELL


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of a whole scan: within limits only where every single comparison is, never by default."""
    for candidate in (Verdict.BREACH, Verdict.ATTENTION, Verdict.CANNOT_TELL):
        if candidate in verdicts:
            return candidate
    return Verdict.WITHIN if verdicts else Verdict.CANNOT_TELL
