"""One family of comparisons: the questions of a scan, judged together.

All comparisons of one scan share one error rate: p-values are Holm-adjusted; intervals are simultaneous at 95 % with Bonferroni's width
(a little wider than Holm's test needs: a p-value just below 0.05 can stand beside an interval that still holds zero, and the verdict
follows the interval). Mirror images (two groups, two arms) count as one comparison. The rest is everybody in the other named groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from typing import Any

from audit.differences import Difference, Reason, Tally, Verdict, bonferroni_critical, holm, verdict_of


@dataclass(frozen=True, slots=True)
class Comparison:
    """One group against all other named groups of its dimension."""

    dimension: str
    group: str
    statistic: str
    arm: str | None
    rate: float | None
    rest_rate: float | None
    difference: float | None
    interval: tuple[float, float] | None
    p: float | None
    verdict: Verdict
    reason: Reason | None
    people: float
    people_sd: float
    detectable: float | None

    @property
    def subject(self) -> str:
        """What a finding about this comparison is about; the same text in every scan."""
        shown = f" {self.arm}" if self.arm else ""
        return f"{self.dimension}={self.group} {self.statistic}{shown}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        words = {"verdict": self.verdict.value, "reason": self.reason.value if self.reason else None}
        return asdict(self) | words | {"subject": self.subject, "interval": list(self.interval) if self.interval else None}


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest gap between any two groups, with a p-value calibrated on equal groups."""

    dimension: str
    statistic: str
    arm: str | None
    gap: float
    p: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """The share of people whose group is unknown or outside the declared values."""

    dimension: str
    share: float | None
    sd: float | None


@dataclass(frozen=True, slots=True)
class Inference:
    """Everything that one scan says."""

    verdict: Verdict
    limit: float
    comparisons: tuple[Comparison, ...]
    gaps: tuple[Gap, ...] = ()
    unknown: tuple[Unknown, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "verdict": self.verdict.value,
            "limit": self.limit,
            "comparisons": [c.to_json() for c in self.comparisons],
            "gaps": [asdict(g) for g in self.gaps],
            "unknown": [asdict(u) for u in self.unknown],
        }


@dataclass(frozen=True, slots=True)
class Question:
    """What one comparison compares; questions with equal `distinct` are mirror images of each other."""

    dimension: str
    group: str
    statistic: str
    arm: str | None
    difference: Difference | None
    distinct: tuple[str | None, ...]


def questions_of(
    dimension: str, statistic: str, arm: str | None, tallies: Mapping[str, Tally], *, mirrored_arm: bool = False
) -> list[Question]:
    """One question for each group."""
    found = []
    for group, tally in tallies.items():
        others = [t for name, t in tallies.items() if name != group]
        difference = Difference(tally, reduce(add, others)) if others else None
        distinct = (dimension, statistic, None if mirrored_arm else arm, None if len(tallies) == 2 else group)
        found.append(Question(dimension, group, statistic, arm, difference, distinct))
    return found


def answer(questions: Sequence[Question], limit: float) -> tuple[Comparison, ...]:
    """Judge all questions of a scan together."""
    tested = {q.distinct: q.difference.p_value() for q in questions if q.difference and q.difference.reason is None}
    adjusted, critical = holm(tested), bonferroni_critical(len(tested))
    return tuple(_compare(q, adjusted, critical, limit) for q in questions)


def _compare(question: Question, adjusted: Mapping[tuple[str | None, ...], float], critical: float, limit: float) -> Comparison:
    difference = question.difference
    reason = difference.reason if difference else Reason.NO_OTHER_GROUP
    value = difference.value if difference else None
    assessed = difference if reason is None else None
    interval = assessed.interval(critical) if assessed else None
    return Comparison(
        dimension=question.dimension,
        group=question.group,
        statistic=question.statistic,
        arm=question.arm,
        rate=difference.group.rate if difference and value is not None else None,
        rest_rate=difference.rest.rate if difference and value is not None else None,
        difference=value,
        interval=interval,
        p=adjusted[question.distinct] if assessed else None,
        verdict=verdict_of(interval, limit),
        reason=reason,
        people=difference.group.total if difference else 0.0,
        people_sd=difference.group.noise_sd if difference else 0.0,
        detectable=assessed.detectable(critical) if assessed else None,
    )
