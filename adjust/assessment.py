"""An experiment's state after a window: sequences, how long it may still take, and whether the shares of arms are as declared.

The invariant: no verdict before the declared minimum duration, whatever the figures say; a week has days that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from adjust import power
from adjust.sample_ratio import SampleRatio, check
from adjust.sequential import Sequential, sequence_json, sequences
from privacy.models import Release
from privacy.series import total
from tacit.core.clock import iso
from tacit.core.declaration import HOLDOUT, Measure

EFFECTS = (0.05, 0.1, 0.2)
"""Relative differences for which is said how long it takes to find them."""

DAY_MS = 86_400_000

RAISES, LOWERS, TOO_EARLY, CANNOT_TELL = "raises", "lowers", "too early", "cannot tell"


@dataclass(frozen=True, slots=True)
class Needed:
    """How many more days a relative difference takes to be found four times in five; None: more than ten years."""

    relative: float
    difference: float
    days: float | None
    """With a confidence sequence, looking after every window."""
    days_fixed: float | None
    """With one test at a time fixed beforehand."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of one policy's experiment."""

    policy: str
    start_ms: int
    end_ms: int
    windows: int
    sequences: tuple[Sequential, ...]
    needed: tuple[Needed, ...]
    detectable: float | None
    """The smallest difference that what was collected so far finds four times in five, by one test now."""
    sample_ratio: SampleRatio | None
    verdict: str
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "from": iso(self.start_ms),
            "as_of": iso(self.end_ms),
            "windows": self.windows,
            "sequences": [sequence_json(one) for one in self.sequences],
            "needed": [asdict(one) for one in self.needed],
            "detectable": self.detectable,
            "sample_ratio": None if self.sample_ratio is None else self.sample_ratio.to_json(),
        }


def assess(policy: str, measure: Measure, releases: Sequence[Release], *, held_out: float, even: bool, least_ms: int) -> Assessment | None:
    """The experiment of a policy's measure; None before its first usable release. Reading spends nothing.

    `held_out` is the declared share of people who are held out, `even` whether arms have equal shares at all times, and `least_ms` how
    long an experiment lasts before there is a verdict.
    """
    used = [r for r in releases if r.usable is True and r.measure.id == measure.id]
    if not used:
        return None
    found = sequences(measure, used)
    start_ms, end_ms = min(r.window.start_ms for r in used), max(r.window.end_ms for r in used)
    ratio = _ratio(measure, used, held_out=held_out, even=even)
    first, early = found[0], end_ms - start_ms < least_ms
    verdict = verdict_of(first, early=early)
    days = max((end_ms - start_ms) / DAY_MS, 1e-9)
    return Assessment(
        policy=policy,
        start_ms=start_ms,
        end_ms=end_ms,
        windows=len(used),
        sequences=tuple(found),
        needed=tuple(_needed(relative, first, days) for relative in EFFECTS if first.mean > 0),
        detectable=power.detectable(first.information) if first.information > 0 else None,
        sample_ratio=ratio,
        verdict=verdict,
        sentence=_sentence(first, verdict, ratio, least_ms=least_ms),
    )


def _needed(relative: float, first: Sequential, days: float) -> Needed:
    difference = relative * first.mean
    pace = first.information / days

    def more(information: float) -> float | None:
        left = max(information - first.information, 0.0) / pace if pace > 0 else float("inf")
        return left if left <= 3650 else None

    return Needed(relative, difference, more(power.needed_always(difference, rate=first.mean)), more(power.needed(difference)))


def _ratio(measure: Measure, used: Sequence[Release], *, held_out: float, even: bool) -> SampleRatio | None:
    labels = measure.dimensions[-2].labels
    arms = [name for name in labels if name != HOLDOUT]
    summed = total(used)
    if summed is None:
        return None
    counts = [
        sum(summed.values[at + 2 * i] + summed.values[at + 2 * i + 1] for at in range(0, measure.cells, 2 * len(labels)))
        for i in range(len(labels))
    ]
    trials = dict(zip(labels, counts, strict=True))
    cells = measure.cells / (2 * len(labels))
    noise_sd = summed.sd * (2 * cells) ** 0.5
    if even:
        expected = {arm: (1 - held_out) / len(arms) for arm in arms} | ({HOLDOUT: held_out} if HOLDOUT in labels else {})
        return check(trials, expected, noise_sd=dict.fromkeys(expected, noise_sd))
    if HOLDOUT not in labels:
        return None
    shown = {"arms": sum(trials[arm] for arm in arms), HOLDOUT: trials[HOLDOUT]}
    noise = {"arms": noise_sd * len(arms) ** 0.5, HOLDOUT: noise_sd}
    return check(shown, {"arms": 1 - held_out, HOLDOUT: held_out}, noise_sd=noise)


def verdict_of(first: Sequential, *, early: bool) -> str:
    """Raises, lowers, cannot tell, or too early to say."""
    if first.low is None or first.high is None or first.low <= 0 <= first.high:
        return TOO_EARLY if early else CANNOT_TELL
    if early:
        return TOO_EARLY
    return RAISES if first.low > 0 else LOWERS


def _sentence(first: Sequential, verdict: str, ratio: SampleRatio | None, *, least_ms: int) -> str:
    what = "The policy" if first.against == HOLDOUT else f"The arm {first.name}"
    against = "its holdout" if first.against == HOLDOUT else f"the arm {first.against}"
    if ratio is not None and ratio.matches is False:
        return "The shares of arms are not as declared: something between decision and count is broken, so no figure here can be trusted."
    if first.difference is None or first.low is None or first.high is None:
        return "Cannot tell yet: too few trials beside the privacy noise."
    interval = f"between {100 * first.low:+.2f} and {100 * first.high:+.2f} percentage points, however often one looks"
    if verdict == TOO_EARLY:
        days = f"{least_ms / DAY_MS:g} day" + ("" if least_ms == DAY_MS else "s")
        return f"Too early for a verdict: an experiment lasts at least {days}. So far the difference from {against} is {interval}."
    if verdict == CANNOT_TELL:
        return f"Cannot tell yet whether {what[0].lower()}{what[1:]} changes the reward rate against {against}: it is {interval}."
    return f"{what} {verdict} the reward rate by {100 * abs(first.difference):.2f} percentage points against {against} ({interval})."
