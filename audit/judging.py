"""One family of comparisons: the questions of a scan, judged together.

All comparisons of one scan share one error rate: p-values are Holm-adjusted; intervals are simultaneous at 95 % with Bonferroni's width
(a little wider than Holm's test needs: a p-value just below 0.05 can stand beside an interval that still holds zero, and the verdict
follows the interval). Single groups in exposure and reward have four fifths of the error rate, so that whatever else is asked costs them
next to nothing; the other levels have equal parts of the rest. Mirror images (two groups, two arms) count as one comparison. The rest of
a group is everybody in the other named groups.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from audit.comparisons import Comparison
from audit.differences import Level, Reason, critical_value, holm, verdict_of
from audit.pairs import Floats, Pairs, Tallies
from audit.questions import Asked

FIRST_PART = 0.8
"""Part of the error rate that single groups' exposure and reward have."""


def answer(scans: Sequence[tuple[Sequence[Asked], float]]) -> list[tuple[Comparison, ...]]:
    """Judge the questions of each scan together, under its limit. Scans share nothing but the arithmetic, which is done at once."""
    every = [asked for scan, _ in scans for asked in scan]
    if not every:
        return [() for _ in scans]
    groups = Tallies.joined([asked.groups for asked in every])
    rest = Tallies.joined([asked.rest for asked in every])
    lone = np.concatenate([np.full(len(asked.labels), len(asked.labels) < 2) for asked in every])
    beyond = groups.beyond_noise & rest.beyond_noise & ~lone
    pairs = Pairs(
        groups.at(beyond),
        rest.at(beyond),
        *(_each(every, [value(asked) for asked in every])[beyond] for value in (_keep, _other, lambda asked: asked.dispersion)),
    )
    tested = beyond.copy()
    tested[beyond] = pairs.enough
    p_values = np.full(len(lone), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values[beyond] = pairs.p_values()
    keys = [key for asked in every for key in keys_of(asked)]
    adjusted, critical = np.full(len(lone), np.nan), np.full(len(lone), np.nan)
    start = 0
    for scan, _ in scans:
        stop = start + sum(len(asked.labels) for asked in scan)
        levels = [asked.level for asked in scan for _ in asked.labels]
        _correct(slice(start, stop), keys, levels, tested, p_values, adjusted, critical)
        start = stop
    figures = _figures(pairs, beyond, tested, critical)
    compared = _compared(every, scans, groups, rest, lone, adjusted, figures)
    return [tuple(next(compared) for asked in scan for _ in asked.labels) for scan, _ in scans]


def _keep(asked: Asked) -> float:
    return asked.randomised[0]


def _other(asked: Asked) -> float:
    return asked.randomised[1]


def _each(every: Sequence[Asked], values: Sequence[float]) -> Floats:
    return np.repeat(np.array(values, dtype=np.float64), [len(asked.labels) for asked in every])


def keys_of(asked: Asked) -> list[Hashable]:
    """For each group what its question is; mirror images have the same."""
    return [(asked.same, None if len(asked.labels) == 2 else label) for label in asked.labels]


def _correct(
    here: slice, keys: Sequence[Hashable], levels: Sequence[Level], tested: Any, p_values: Floats, adjusted: Floats, critical: Floats
) -> None:
    """Fill in adjusted p-values and critical values of one scan. A question asked on two levels belongs to the first."""
    places = [at for at in range(here.start, here.stop) if tested[at]]
    level_of: dict[Hashable, Level] = {}
    for at in places:
        level_of.setdefault(keys[at], levels[at - here.start])
    counted = Counter(level_of.values())
    further = len(counted) - (Level.GROUPS in counted)
    first = (FIRST_PART if further else 1.0) if Level.GROUPS in counted else 0.0
    part = {level: first if level is Level.GROUPS else (1 - first) / further for level in counted}
    weights = {key: part[level] / counted[level] for key, level in level_of.items()}
    found = holm({keys[at]: float(p_values[at]) for at in places}, weights)
    values = {weight: critical_value(weight) for weight in set(weights.values())}
    for at in places:
        adjusted[at], critical[at] = found[keys[at]], values[weights[keys[at]]]


def _figures(pairs: Pairs, beyond: Any, tested: Any, critical: Floats) -> dict[str, list[float | None]]:
    """Everything that is stated of comparisons, one entry each, None where it is not known."""
    inside = tested[beyond]
    critical = np.where(inside, critical[beyond], 1.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        low, high = pairs.intervals(critical)
        ratio = pairs.ratio()
        ratio_low, ratio_high = pairs.ratio_intervals(critical)
        errors = pairs.standard_error(np.clip(pairs.value, -1.0, 1.0))
        judged = {
            "low": low,
            "high": high,
            "ratio": ratio,
            "ratio_low": np.where(np.isfinite(ratio), ratio_low, np.nan),
            "ratio_high": np.where(np.isfinite(ratio), ratio_high, np.nan),
            "standard_error": errors,
            "noise_error": pairs.noise_error(),
            "detectable": pairs.detectable(critical),
        }
    figures = {name: _spread(np.where(inside, values, np.nan), beyond) for name, values in judged.items()}
    seen = {"difference": pairs.value, "rate": pairs.group.rate, "rest_rate": pairs.rest.rate}
    return figures | {name: _spread(values, beyond) for name, values in seen.items()}


def _spread(values: Floats, chosen: Any) -> list[float | None]:
    whole = np.full(len(chosen), np.nan)
    whole[chosen] = values
    return [None if math.isnan(value) else value for value in whole.tolist()]


def _compared(
    every: Sequence[Asked],
    scans: Sequence[tuple[Sequence[Asked], float]],
    groups: Tallies,
    rest: Tallies,
    lone: Any,
    adjusted: Floats,
    figures: dict[str, list[float | None]],
) -> Iterator[Comparison]:
    limits = [limit for scan, limit in scans for _ in scan]
    p_values = [None if math.isnan(p) else p for p in adjusted.tolist()]
    people, people_sd = groups.total.tolist(), groups.total_sd.tolist()
    rest_people, rest_sd = rest.total.tolist(), rest.total_sd.tolist()
    lone = lone.tolist()
    start = 0
    for asked, limit in zip(every, limits, strict=True):
        places = range(start, start + len(asked.labels))
        start = places.stop
        highest = max((rate for at in places if figures["low"][at] is not None and (rate := figures["rate"][at]) is not None), default=0.0)
        for at, label in zip(places, asked.labels, strict=True):
            one = {name: values[at] for name, values in figures.items()}
            interval = _interval(one["low"], one["high"])
            reason = None
            if interval is None:
                reason = Reason.NO_OTHER_GROUP if lone[at] else Reason.NOISE if one["difference"] is None else Reason.EXPECTED
            plain = asked.span is None
            yield Comparison(
                dimension=asked.dimension,
                group=" x ".join(label),
                statistic=asked.statistic,
                arm=asked.arm,
                rate=one["rate"],
                rest_rate=one["rest_rate"],
                difference=one["difference"],
                interval=interval,
                p=p_values[at],
                verdict=verdict_of(interval, limit),
                reason=reason,
                people=people[at],
                people_sd=people_sd[at],
                detectable=one["detectable"],
                level=asked.level,
                by=dict(zip(asked.names, label, strict=True)),
                stratum=dict([asked.stratum]) if asked.stratum else None,
                parameter=asked.parameter,
                mean=_in_unit(asked, one["rate"]),
                rest_mean=_in_unit(asked, one["rest_rate"]),
                ratio=one["ratio"] if plain else None,
                ratio_interval=_open(one["ratio_low"], one["ratio_high"]) if plain else None,
                ratio_to_highest=max(one["rate"], 0.0) / highest
                if plain and interval and one["rate"] is not None and highest > 0
                else None,
                rest_people=0.0 if lone[at] else rest_people[at],
                rest_people_sd=0.0 if lone[at] else rest_sd[at],
                standard_error=one["standard_error"],
                noise_error=one["noise_error"],
            )


def _interval(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


def _open(low: float | None, high: float | None) -> tuple[float, float | None] | None:
    return None if low is None or high is None else (low, None if math.isinf(high) else high)


def _in_unit(asked: Asked, rate: float | None) -> float | None:
    if asked.span is None or rate is None:
        return None
    low, high = asked.span
    return low + rate * (high - low)
