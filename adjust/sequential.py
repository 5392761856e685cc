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
from dataclasses import dataclass

import numpy as np

from adjust.innovations import Floats, increments
from privacy.models import Release
from tacit.core.declaration import HOLDOUT, Measure

ALPHA = 0.05

EXPECTED_EFFECT = 0.15
"""Relative difference that sequences are about tightest for: the mixture's standard deviation as a part of the reward rate."""

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
    rate: float
    """The reward rate that relative differences refer to."""


def sequences(measure: Measure, releases: Sequence[Release]) -> list[Sequential]:
    """The policy against its holdout first, where it has one, then each arm against the default (the holdout saw it too).

    `releases` are of the policy's measure; unusable ones and other definitions are passed over.
    """
    used = sorted((r for r in releases if r.usable is True and r.measure.id == measure.id), key=lambda r: r.window.start_ms)
    labels = measure.dimensions[-2].labels
    arms = [name for name in labels if name != HOLDOUT]
    pairs, places = _pairs(arms, held_out=HOLDOUT in labels)
    if not used:
        return [Sequential(name, against, None, None, None, None, None, 0.0, 0.0) for name, against, _, _ in pairs]
    shape = (measure.cells // (2 * len(labels)), len(labels), 2)
    rates, trials = _working(used, shape, places)
    steps = list(increments(used, shape, places=places, rates=rates, exposures=trials))
    score = np.cumsum([step.score for step in steps], axis=0)
    information = np.cumsum([step.information for step in steps], axis=0)
    ends = [step.end_ms for step in steps]
    rate = float((rates[:, 0] * information[-1].sum(1)).sum() / max(information[-1].sum(), 1e-12))
    return [
        _compared(name, against, _paths(score, information, one, other), ends, rate=rate, alpha=ALPHA / number)
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


def _working(used: Sequence[Release], shape: tuple[int, int, int], places: Floats) -> tuple[Floats, Floats]:
    """Working rates (cells, places), the same for all places of a cell, and estimated trials (releases, cells, places)."""
    counts = np.array([r.values for r in used], dtype=float).reshape(-1, *shape)
    whole = counts.sum((0, 2))
    middle = float(np.clip(whole[:, 1].sum() / max(whole.sum(), 1.0), 1e-4, 0.99))
    noise = 2 * shape[1] * sum(r.sd**2 for r in used)
    cell = np.clip(whole[:, 1] / np.maximum(whole.sum(1), 1.0), middle / 4, min(4 * middle, 0.99))
    trust = np.maximum(whole.sum(1), 0.0) ** 2 / (np.maximum(whole.sum(1), 0.0) ** 2 + 4 * noise + 1)
    level = trust * cell + (1 - trust) * middle
    rates = np.repeat(level[:, None], len(places), axis=1)
    part = (1 - rates) ** 2 + rates**2
    seen = ((1 - rates) * (counts[..., 0] @ places.T) + rates * (counts[..., 1] @ places.T)) / part
    spread = float(np.mean([r.sd for r in used])) / math.sqrt(float(part.mean()))
    return rates, np.maximum(_averaged(seen, spread * np.sqrt(places.sum(1))), 0.0)


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


def _compared(name: str, against: str, paths: tuple[Floats, Floats], ends: Sequence[int], *, rate: float, alpha: float) -> Sequential:
    score, information = paths
    if information[-1] <= 0:
        return Sequential(name, against, None, None, None, None, None, 0.0, rate)
    tau2 = (EXPECTED_EFFECT * rate) ** 2
    grown = 1 + tau2 * information
    log_ratio = 0.5 * (score**2 * tau2 / grown - np.log(grown))
    outside = log_ratio > math.log(1 / alpha)
    half = boundary(float(information[-1]), tau2=tau2, alpha=alpha) / information[-1]
    middle = float(score[-1] / information[-1])
    return Sequential(
        name,
        against,
        middle,
        max(middle - float(half), -1.0),
        min(middle + float(half), 1.0),
        float(min(1.0, math.exp(-log_ratio.max()))),
        ends[int(np.argmax(outside))] if outside.any() else None,
        float(information[-1]),
        rate,
    )


def boundary(information: float, *, tau2: float, alpha: float) -> float:
    """How far the score may be from zero without excluding no difference.

    >>> round(boundary(100.0, tau2=0.04, alpha=0.05), 2)
    30.82
    """
    return math.sqrt((information + 1 / tau2) * (math.log1p(tau2 * information) - 2 * math.log(alpha)))
