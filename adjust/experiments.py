"""What a policy achieves: its people against the holdout, and each arm against the default, with intervals that count the privacy noise.

Pure Python, so that any process may ask. At a working rate r the contrast (1 - r) y1 - r y0 of noisy counts has expectation n (rate - r)
and variance n rate (1 - rate) + noise² ((1 - r)² + r²); leaving the noise out would make 12 to 60 % false alarms of 5 %. Holdout people are
a constant share of everybody, so they are compared in total. Arms get different shares in different cells, so they are compared within
cells (Mantel-Haenszel weights) and holdout people count for the default. Not corrected for: reward rates that drift while shares change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from privacy.models import Release
from privacy.series import total
from tacit.core.clock import iso
from tacit.core.declaration import HOLDOUT, Measure

NORMAL_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""

ASSESSABLE = 3.0
"""A cell counts where its trials are this many standard deviations of their noise; the rule looks at trials only, never at rewards."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A difference of two reward rates; None where the figures are too noisy to tell."""

    name: str
    against: str
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm's reward rate over all cells and the noisy number of its trials."""

    arm: str
    rate: float | None
    low: float | None
    high: float | None
    trials: float
    trials_sd: float


@dataclass(frozen=True, slots=True)
class Lift:
    """What is known of a policy. The first comparison is the policy as a whole against its holdout, where it has one."""

    sentence: str
    as_of_ms: int
    windows: int
    comparisons: tuple[Comparison, ...]
    arms: tuple[Arm, ...]

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "sentence": self.sentence,
            "as_of": iso(self.as_of_ms),
            "windows": self.windows,
            "comparisons": [asdict(c) for c in self.comparisons],
            "arms": [asdict(a) for a in self.arms],
        }


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two noisy counts, without and with a reward, and the noise variance that is in each."""

    y0: float
    y1: float
    noise: float

    def __add__(self, other: _Pair) -> _Pair:
        return _Pair(self.y0 + other.y0, self.y1 + other.y1, self.noise + other.noise)

    @property
    def trials(self) -> float:
        return self.y0 + self.y1

    @property
    def trials_sd(self) -> float:
        return math.sqrt(2 * self.noise)

    @property
    def assessable(self) -> bool:
        return self.trials > max(ASSESSABLE * self.trials_sd, 1.0)

    def rate(self) -> float:
        return min(max(self.y1 / self.trials, 0.0), 1.0)

    def at(self, rate: float) -> tuple[float, float]:
        """Contrast and estimated trials at a working rate; their noise is uncorrelated."""
        part = (1 - rate) ** 2 + rate**2
        return (1 - rate) * self.y1 - rate * self.y0, max(((1 - rate) * self.y0 + rate * self.y1) / part, 1.0)

    def variance(self, rate: float, trials: float) -> float:
        """Of the contrast: people and noise."""
        return trials * rate * (1 - rate) + self.noise * ((1 - rate) ** 2 + rate**2)


_NOBODY = _Pair(0.0, 0.0, 0.0)


def lift(measure: Measure, releases: Sequence[Release]) -> Lift | None:
    """What these releases of a policy's measure say; None without a usable one. Reading them spends nothing."""
    used = [r for r in releases if r.usable is True and r.measure.id == measure.id]
    if not used:
        return None
    shown = [name for name in measure.dimensions[-2].labels if name != HOLDOUT]
    cells = [row for row in _table(measure, used) if _total(row.values()).assessable]
    totals = {name: _total(row[name] for row in cells) for name in measure.dimensions[-2].labels}
    comparisons = []
    if HOLDOUT in totals:
        treated = _total(totals[name] for name in shown)
        comparisons.append(_compare("policy", HOLDOUT, [(treated, totals[HOLDOUT])]))
    for name in shown[1:]:
        pairs = [(row[name], row[shown[0]] + row.get(HOLDOUT, _NOBODY)) for row in cells]
        comparisons.append(_compare(name, shown[0], pairs))
    return Lift(
        sentence=_sentence(comparisons[0]) if HOLDOUT in totals else "This policy has no holdout, so its lift is not measured.",
        as_of_ms=max(r.window.end_ms for r in used),
        windows=len(used),
        comparisons=tuple(comparisons),
        arms=tuple(_arm(name, pair) for name, pair in totals.items()),
    )


def _table(measure: Measure, releases: Sequence[Release]) -> list[dict[str, _Pair]]:
    """Sums over all windows: for each context cell, each arm's pair."""
    found = total(releases)
    if found is None:
        return []
    sums, noise = found.values, found.sd**2
    names = measure.dimensions[-2].labels
    width = 2 * len(names)
    return [
        {name: _Pair(sums[start + 2 * i], sums[start + 2 * i + 1], noise) for i, name in enumerate(names)}
        for start in range(0, measure.cells, width)
    ]


def _total(pairs: Iterable[_Pair]) -> _Pair:
    total = _NOBODY
    for pair in pairs:
        total = total + pair
    return total


def _compare(name: str, against: str, pairs: Iterable[tuple[_Pair, _Pair]]) -> Comparison:
    """Difference of rates over strata in which both sides were shown to enough people."""
    used = [(one, other) for one, other in pairs if one.assessable and other.assessable]
    if not used:
        return Comparison(name, against, None, None, None)
    rates = [_total(side).rate() for side in zip(*used, strict=True)]
    difference = weight = variance = 0.0
    for one, other in used:
        middle = (one + other).rate()
        (d1, n1), (d2, n2) = one.at(middle), other.at(middle)
        part = n2 / (n1 + n2)
        difference += part * d1 - (1 - part) * d2
        weight += n1 * part
        variance += part**2 * one.variance(rates[0], n1) + (1 - part) ** 2 * other.variance(rates[1], n2)
    middle, half = difference / weight, NORMAL_95 * math.sqrt(variance) / weight
    return Comparison(name, against, middle, max(middle - half, -1.0), min(middle + half, 1.0))


def _arm(name: str, pair: _Pair) -> Arm:
    if not pair.assessable:
        return Arm(name, None, None, None, pair.trials, pair.trials_sd)
    rate = pair.rate()
    _, trials = pair.at(rate)
    half = NORMAL_95 * math.sqrt(pair.variance(rate, trials)) / trials
    return Arm(name, rate, max(rate - half, 0.0), min(rate + half, 1.0), pair.trials, pair.trials_sd)


def _sentence(comparison: Comparison) -> str:
    if comparison.difference is None or comparison.low is None or comparison.high is None:
        return "Cannot tell yet: too few trials beside the privacy noise."
    interval = f"95 % interval {100 * comparison.low:+.2f} to {100 * comparison.high:+.2f} percentage points"
    if comparison.low <= 0 <= comparison.high:
        return f"Cannot tell yet whether the policy changes the reward rate against its holdout ({interval})."
    word = "raises" if comparison.low > 0 else "lowers"
    return (
        f"The policy {word} the reward rate by {100 * abs(comparison.difference):.2f} percentage points against its holdout ({interval})."
    )
