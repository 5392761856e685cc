"""Always-valid comparisons of a policy's arms: one may look after every window and stop whenever one likes.

Score and information come from `innovations`. Within a cell the difference of two places' rates has the precision I_p I_q / (I_p + I_q);
cells are combined by precision, which is the efficient estimate of a common difference (and of the precision-weighted mean where cells
differ). Its score has independent increments, so Robbins' normal mixture over differences of standard deviation tau is a martingale under
no difference, and |score| <= sqrt((I + 1 / tau²) log((1 + tau² I) / alpha²)) holds at all windows together with probability 1 - alpha
(Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021). Exact for Gaussian windows of known variance, asymptotic for counts
(Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024). Arms are compared simultaneously: alpha is divided by their number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from adjust.innovations import Floats, Working, increments
from privacy.models import Release
from tacit.core.clock import iso
from tacit.core.declaration import HOLDOUT, Measure

ALPHA = 0.05

EXPECTED_EFFECT = 0.15
"""Relative difference that sequences are about tightest for: the mixture's standard deviation as a part of the reward rate."""

STANDARD_EFFECT = 0.1
"""The same for outcomes that are not rewards, as a part of one person's standard deviation."""

REWARDS = (0.0, 1.0)
"""What the outcomes of a policy's own measure count as."""

STEADY = 0.15
"""Exposures are averaged over so many windows that noise is this part of them, in the middle of all cells and arms."""


@dataclass(frozen=True, slots=True)
class Sequential:
    """One comparison after the newest window; None where nothing is known."""

    name: str
    against: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    """Always-valid p-value: the smallest of all looks so far."""
    decided_ms: int | None
    """End of the first window after which the sequence excluded zero."""
    information: float
    """One over the difference's variance, noise counted."""
    mean: float
    """The mean that relative differences refer to; for rewards, the rate."""
    sd: float
    """Standard deviation of one person's outcome."""


def sequences(measure: Measure, releases: Sequence[Release], scores: Sequence[float] = REWARDS) -> list[Sequential]:
    """The policy against its holdout first, where it has one, then each arm against the default (the holdout saw it too).

    `measure` counts context cells, arms and outcomes, and `scores` says what an outcome counts as; outcomes without one are not judged.
    Unusable releases and other definitions are passed over.
    """
    used = sorted((r for r in releases if r.usable is True and r.measure.id == measure.id), key=lambda r: r.window.start_ms)
    labels = measure.dimensions[-2].labels
    outcomes = measure.dimensions[-1].size
    arms = [name for name in labels if name != HOLDOUT]
    pairs, places = _pairs(arms, held_out=HOLDOUT in labels)
    if not used:
        return [Sequential(name, against, None, None, None, None, None, 0.0, 0.0, 0.0) for name, against, _, _ in pairs]
    shape = (measure.cells // (outcomes * len(labels)), len(labels), outcomes)
    working, trials = _working(used, shape, places, np.array([*scores, *[np.nan] * (outcomes - len(scores))]))
    steps = list(increments(used, shape, working, trials))
    score = np.cumsum([step.score for step in steps], axis=0)
    information = np.cumsum([step.information for step in steps], axis=0)
    ends = [step.end_ms for step in steps]
    weight = information[-1].sum(1)
    mean, variance = (float((one[:, 0] * weight).sum() / max(weight.sum(), 1e-12)) for one in (working.mean, working.variance))
    tau = EXPECTED_EFFECT * mean if tuple(scores) == REWARDS else STANDARD_EFFECT * math.sqrt(variance)
    reach = max(scores) - min(scores)
    return [
        _compared((name, against), _paths(score, information, one, other), ends, (mean, math.sqrt(variance)), tau**2, ALPHA / number, reach)
        for (name, against, one, other), number in zip(pairs, _families(pairs), strict=True)
    ]


def _pairs(arms: Sequence[str], *, held_out: bool) -> tuple[list[tuple[str, str, int, int]], Floats]:
    """Comparisons as (name, against, place, other place), and which labels each place adds up."""
    width = len(arms) + held_out
    rows = [np.array([i == 0 or (held_out and i == width - 1) for i in range(width)], dtype=float)]
    rows += [np.eye(width)[i] for i in range(1, len(arms))]
    pairs = [(arm, arms[0], i, 0) for i, arm in enumerate(arms) if i]
    if held_out:
        rows += [np.array([i < len(arms) for i in range(width)], dtype=float), np.eye(width)[width - 1]]
        pairs = [("policy", HOLDOUT, len(arms), len(arms) + 1), *pairs]
    return pairs, np.array(rows)


def _families(pairs: Sequence[tuple[str, str, int, int]]) -> Iterator[int]:
    """Among how many comparisons each is simultaneous: the policy against its holdout stands alone."""
    arms = sum(against != HOLDOUT for _, against, _, _ in pairs)
    return (1 if against == HOLDOUT else arms for _, against, _, _ in pairs)


def _working(used: Sequence[Release], shape: tuple[int, int, int], places: Floats, scores: Floats) -> tuple[Working, Floats]:
    """Working means, the same for all places of a cell, and estimated trials (releases, cells, places)."""
    counts = np.array([r.values for r in used], dtype=float).reshape(-1, *shape)
    judged = ~np.isnan(scores)
    totals = counts.sum((0, 2))[:, judged]
    parts = _parts(totals, 2 * shape[1] * sum(r.sd**2 for r in used), np.maximum(totals, 0.0).sum(0) + 1e-9)
    mean = parts @ scores[judged]
    variance = np.maximum(parts @ scores[judged] ** 2 - mean**2, 1e-9)
    working = Working(scores, places, *(np.repeat(one[:, None], len(places), axis=1) for one in (mean, variance)))
    by_place = np.einsum("pa,cab->cpb", places, counts.sum(0)[..., judged])
    own = [_parts(by_place[:, i], 2 * places[i].sum() * sum(r.sd**2 for r in used), parts) for i in range(len(places))]
    weights = np.array([[_counting(part, scores[judged] - mean[c]) for part in cells] for c, cells in enumerate(zip(*own, strict=True))])
    seen = np.einsum("pa,wcab,cpb->wcp", places, counts[..., judged], weights)
    spread = float(np.mean([r.sd for r in used])) * math.sqrt(float((weights**2).sum(-1).mean()))
    return working, np.maximum(_averaged(seen, spread * np.sqrt(places.sum(1))), 0.0)


def _parts(totals: Floats, noise: float, around: Floats) -> Floats:
    """The shares of outcomes in each cell (cells, outcomes), pulled to those `around` in so far as they are noise of that variance."""
    kept = np.maximum(totals, 0.0) + 1e-9
    people = kept.sum(1, keepdims=True)
    trust = people**2 / (people**2 + 4 * noise + 1)
    mixed = np.maximum(trust * kept / people + (1 - trust) * around / around.sum(-1, keepdims=True), 1e-4)
    found: Floats = mixed / mixed.sum(1, keepdims=True)
    return found


def _counting(part: Floats, deviation: Floats) -> Floats:
    """Weights that count people from noisy outcomes with the least noise, uncorrelated with the contrast.

    For rewards and a working rate r that is the true one: (1 - r, r) / ((1 - r)² + r²).
    """
    limits = np.stack([part, deviation])
    found: Floats = limits.T @ np.linalg.pinv(limits @ limits.T) @ np.array([1.0, 0.0])
    return found


def _averaged(seen: Floats, spread: Floats) -> Floats:
    """A moving average over as many windows as it takes for noise to be small beside the mean; (windows, cells, places)."""
    mean = np.maximum(seen.mean(0), 1e-9)
    needed = float(np.median((spread / (STEADY * mean)) ** 2))
    half = int(min(max(math.ceil((needed - 1) / 2), 0), len(seen)))
    if half == 0:
        return seen
    sums = np.concatenate([np.zeros_like(seen[:1]), np.cumsum(seen, axis=0)])
    at = np.arange(len(seen))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(seen))
    found: Floats = (sums[last] - sums[first]) / (last - first)[:, None, None]
    return found


def _paths(score: Floats, information: Floats, one: int, other: int) -> tuple[Floats, Floats]:
    """Score and information of the difference at each look, summed over cells that both were shown in."""
    i, j = information[..., one], information[..., other]
    both = i * j / np.maximum(i + j, 1e-300)
    difference = score[..., one] / np.maximum(i, 1e-300) - score[..., other] / np.maximum(j, 1e-300)
    return (both * difference).sum(1), both.sum(1)


def _compared(
    names: tuple[str, str],
    paths: tuple[Floats, Floats],
    ends: Sequence[int],
    outcome: tuple[float, float],
    tau2: float,
    alpha: float,
    reach: float,
) -> Sequential:
    score, information = paths
    if information[-1] <= 0:
        return Sequential(*names, None, None, None, None, None, 0.0, *outcome)
    grown = 1 + tau2 * information
    log_ratio = 0.5 * (score**2 * tau2 / grown - np.log(grown))
    outside = log_ratio > math.log(1 / alpha)
    half = boundary(float(information[-1]), tau2=tau2, alpha=alpha) / float(information[-1])
    middle = float(score[-1] / information[-1])
    return Sequential(
        *names,
        middle,
        max(middle - half, -reach),
        min(middle + half, reach),
        float(min(1.0, math.exp(-log_ratio.max()))),
        ends[int(np.argmax(outside))] if outside.any() else None,
        float(information[-1]),
        *outcome,
    )


def boundary(information: float, *, tau2: float, alpha: float) -> float:
    """How far the score may be from zero without excluding no difference.

    >>> round(boundary(100.0, tau2=0.04, alpha=0.05), 2)
    30.82
    """
    return math.sqrt((information + 1 / tau2) * (math.log1p(tau2 * information) - 2 * math.log(alpha)))


def sequence_json(one: Sequential) -> dict[str, Any]:
    """The public form; intervals hold at all windows together with this `confidence`."""
    found = asdict(one) | {"decided_at": None if one.decided_ms is None else iso(one.decided_ms), "confidence": 1 - ALPHA}
    del found["decided_ms"]
    return found
