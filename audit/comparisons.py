"""What a scan says of groups, as plain values that any process may read: comparisons, gaps, unknown groups. `audit.judging` makes them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from audit.differences import Level, Reason, Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """One group against all other named groups of its dimension. `people` and the like are noisy, each with its noise beside it."""

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
    level: Level = Level.GROUPS
    by: dict[str, str] = field(default_factory=dict)
    stratum: dict[str, str] | None = None
    parameter: str | None = None
    mean: float | None = None
    """For intensity: the mean parameter of the group, in its own unit."""
    rest_mean: float | None = None
    ratio: float | None = None
    ratio_interval: tuple[float, float | None] | None = None
    """Simultaneous with `interval`; open above where no ratio is too large."""
    ratio_to_highest: float | None = None
    """Over the highest rate among groups that can be assessed; chance pushes it down, so it has no interval."""
    rest_people: float = 0.0
    rest_people_sd: float = 0.0
    standard_error: float | None = None
    noise_error: float | None = None
    """The part of the standard error that is noise and not people."""

    @property
    def subject(self) -> str:
        """What a finding about this comparison is about; the same text in every scan."""
        group = ", ".join(f"{name}={value}" for name, value in self.by.items()) or f"{self.dimension}={self.group}"
        inside = "".join(f" within {name}={value}" for name, value in (self.stratum or {}).items())
        shown = "".join(f" {word}" for word in (self.arm, self.parameter) if word)
        return f"{group}{inside} {self.statistic}{shown}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        words = {"verdict": self.verdict.value, "reason": self.reason.value if self.reason else None, "level": self.level.value}
        pairs = {name: list(found) if (found := getattr(self, name)) else None for name in ("interval", "ratio_interval")}
        return asdict(self) | words | pairs | {"subject": self.subject}


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest gap between any two groups, with a p-value calibrated on equal groups; by itself, not corrected for other gaps."""

    dimension: str
    statistic: str
    arm: str | None
    gap: float
    p: float
    parameter: str | None = None
    stratum: dict[str, str] | None = None


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
    odds: tuple[Comparison, ...] = ()
    """Exposure among those who gave the reward and among those who did not: a family of its own, simultaneous in itself. It follows from
    exposure and reward, so it is shown beside them, and neither the scan's verdict nor a finding comes from it."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "verdict": self.verdict.value,
            "limit": self.limit,
            "comparisons": [c.to_json() for c in self.comparisons],
            "gaps": [asdict(g) for g in self.gaps],
            "unknown": [asdict(u) for u in self.unknown],
            "odds": [c.to_json() for c in self.odds],
        }
