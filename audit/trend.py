"""Trend of each group over scans: drift, change point and alarm, from the windows that no earlier scan has read.

The state is plain JSON and is stored in the scan's own transaction; a scan that finds it moved by another one starts again. Only single
groups in exposure and reward are followed. `docs/inference.md` has the false alarms of a year and the delays, as measured.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from audit.cusum import Chart, Side, threshold
from audit.differences import Level
from audit.increments import HISTORY, Innovation, Score, Span, innovation, newest_span, noise_products
from audit.inference import NoisyTable, summed
from audit.judging import keys_of
from audit.pairs import Pairs
from audit.questions import Asked, Asking, rows_of
from privacy.models import Release
from tacit.core.clock import iso
from tacit.core.declaration import Measure

FALSE_ALARMS = 0.08
"""A fair service sees an alarm in at most this part of years."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One group in one statistic, and its four sums of cells: hits, misses, and those of the rest."""

    name: str
    asked: Asked
    place: int


@dataclass(frozen=True, slots=True)
class Step:
    """What a scan adds: the new state to store, and what is shown. `alarms` are subjects whose alarm began with this scan."""

    state: dict[str, Any]
    report: dict[str, Any]
    alarms: tuple[str, ...]
    standing: Mapping[str, int]
    """Every subject whose alarm stands, mirror images too, and since when."""


def fresh(releases: Sequence[Release], through_ms: int) -> list[Release]:
    """The usable releases that start after a moment, up to the first that nobody has checked yet; oldest first."""
    found = []
    for release in sorted(releases, key=lambda r: r.window.start_ms):
        if release.usable is None:
            break
        if release.usable and release.window.start_ms > through_ms:
            found.append(release)
    return found


def restarted(state: Mapping[str, Any], whole: NoisyTable, from_ms: Mapping[str, int]) -> dict[str, Any]:
    """The state in which sums of some subjects hold nothing from before a moment: what was decided about it is over."""
    subjects = dict(state["subjects"])
    names = _followed(whole)
    for name, moment in from_ms.items():
        if (old := subjects.get(names.get(name, ""))) is not None:
            sides = {way: None if old[way] is None or (old[way]["start_ms"] or 0) < moment else old[way] for way in ("up", "down")}
            subjects[names[name]] = old | sides
    return dict(state) | {"subjects": subjects}


def advance(
    measure: Measure, state: Mapping[str, Any] | None, releases: Sequence[Release], whole: NoisyTable, limit: float, scans_a_year: float
) -> Step:
    """One scan further. `releases` are the new ones, `whole` is the table over everything, for what is too small by itself."""
    before = state if state is not None and state["measure"] == str(measure.id) else _empty(measure)
    subjects = list(_subjects(whole))
    h = threshold(2 * len(subjects), scans_a_year)
    if not releases:
        return Step(dict(before), _report(before, subjects, {}, h, scans_a_year), (), _standing(before, whole, h))
    table, start_ms = summed(measure, releases), releases[0].window.start_ms
    spans = [Span(one["block"], tuple(_unpacked(one["positions"]))) for one in before["spans"]]
    products = noise_products(releases, spans)
    moved: dict[str, Innovation] = {}
    charts, alarms, kept = {}, [], {}
    for subject, new in zip(subjects, _subjects(table), strict=True):
        old = before["subjects"].get(subject.name, {"past": [], "up": None, "down": None})
        chart = Chart(_side(old["up"]), _side(old["down"]))
        score = _score(subject, new, table.variance)
        # The list of past scores is as long as that of spans: a subject that is new or was skipped has gaps.
        past = [None] * (len(spans) - len(old["past"])) + list(old["past"])
        usable = [(at, Score(*one["score"]), one["variance"]) for at, one in enumerate(past) if one is not None]
        found = innovation(score, table.variance, usable, products) if score is not None else None
        if found is not None:
            moved[subject.name] = found
            was = chart.alarm(h)
            chart = chart.step(found.z, max(1.0, limit / found.error), found.difference, found.error, at_ms=start_ms, h=h)
            if was is None and chart.alarm(h) is not None:
                alarms.append(subject.name)
        charts[subject.name] = chart
        kept[subject.name] = [*past, None if score is None else {"score": list(_numbers(score)), "variance": table.variance}]
    span = newest_span(releases)
    after = _after(before, releases, [*spans, *([span] if span else [])], span, charts, kept)
    return Step(after, _report(after, subjects, moved, h, scans_a_year), tuple(alarms), _standing(after, whole, h))


def _empty(measure: Measure) -> dict[str, Any]:
    return {"measure": str(measure.id), "through_ms": -1, "scans": 0, "spans": [], "subjects": {}}


def _subjects(table: NoisyTable) -> Iterator[Subject]:
    """Everything that is followed, mirror images once."""
    seen = set()
    for subject, key in _every(table):
        if key not in seen:
            seen.add(key)
            yield subject


def _followed(table: NoisyTable) -> dict[str, str]:
    """Every subject's name -> the name under which it, or what it mirrors, is followed."""
    first: dict[Hashable, str] = {}
    return {subject.name: first.setdefault(key, subject.name) for subject, key in _every(table)}


def _every(table: NoisyTable) -> Iterator[tuple[Subject, Hashable]]:
    *dimensions, arms, _ = table.measure.dimensions
    for dimension in dimensions:
        if dimension.name in table.measure.strata or len(dimension.values) < 2:
            continue
        rows = rows_of(table.measure, table.values, table.variance, (dimension.name,))
        for asked in Asking(rows, arms.labels, Level.GROUPS).treatment():
            shown = f" {asked.arm}" if asked.arm else ""
            for place, (label, key) in enumerate(zip(asked.labels, keys_of(asked), strict=True)):
                yield Subject(f"{dimension.name}={label[0]} {asked.statistic}{shown}", asked, place), key


def _standing(state: Mapping[str, Any], table: NoisyTable, h: float) -> dict[str, int]:
    sides = {name: _chart(kept).alarm(h) for name, kept in state["subjects"].items()}
    since = {name: side.start_ms for name, side in sides.items() if side is not None and side.start_ms is not None}
    return {name: since[other] for name, other in _followed(table).items() if other in since}


def _score(whole: Subject, new: Subject, variance: float) -> Score | None:
    """The new windows' score, at their own rate and share where these can be told, and otherwise at those of everything so far."""
    place = slice(new.place, new.place + 1)
    chosen = np.zeros(len(new.asked.labels), dtype=bool)
    chosen[place] = True
    at = next((s for s in (new, whole) if _assessable(s.asked, chosen)), None)
    if at is None:
        return None
    group, rest = at.asked.groups.at(chosen), at.asked.rest.at(chosen)
    people = float((group.total + rest.total)[0])
    rate = float(np.clip((group.hits + rest.hits)[0] / people, 0.0, 1.0))
    share = float(np.clip(group.total[0] / people, 0.0, 1.0))
    group, rest = new.asked.groups.at(chosen), new.asked.rest.at(chosen)
    hits, people = float(group.hits[0]), float((group.total + rest.total)[0])
    value = hits - rate * float(group.total[0]) - share * (hits + float(rest.hits[0]) - rate * people)
    cells = [
        float(one[0]) / variance if variance else 0.0
        for one in (group.hits_variance, group.misses_variance, rest.hits_variance, rest.misses_variance)
    ]
    return Score(value, rate, share, people, *cells)


def _assessable(asked: Asked, chosen: Any) -> bool:
    group, rest = asked.groups.at(chosen), asked.rest.at(chosen)
    if not (group.beyond_noise & rest.beyond_noise).all():
        return False
    one = np.ones(1)
    return bool(Pairs(group, rest, one, 0 * one, one).enough.all())


def _after(
    before: Mapping[str, Any],
    releases: Sequence[Release],
    spans: Sequence[Span],
    span: Span | None,
    charts: Mapping[str, Chart],
    kept: Mapping[str, list[Any]],
) -> dict[str, Any]:
    """The state for the next scan; spans of blocks that have ended are forgotten."""
    lasting = [at for at, one in enumerate(spans) if span is not None and one.block == span.block][-HISTORY:]
    return {
        "measure": before["measure"],
        "through_ms": releases[-1].window.start_ms,
        "scans": before["scans"] + 1,
        "spans": [{"block": spans[at].block, "positions": _packed(spans[at].positions)} for at in lasting],
        "subjects": {
            name: {"up": asdict(chart.up), "down": asdict(chart.down), "past": [kept[name][at] for at in lasting]}
            for name, chart in charts.items()
        },
    }


def _report(
    state: Mapping[str, Any], subjects: Sequence[Subject], moved: Mapping[str, Innovation], h: float, scans_a_year: float
) -> dict[str, Any]:
    return {
        "scans": state["scans"],
        "threshold": h,
        "false_alarms": {"a_year": FALSE_ALARMS, "scans_a_year": scans_a_year},
        "subjects": [_shown(s.name, state["subjects"].get(s.name), moved.get(s.name), h) for s in subjects],
    }


def _shown(name: str, kept: Mapping[str, Any] | None, moved: Innovation | None, h: float) -> dict[str, Any]:
    chart = Chart() if kept is None else _chart(kept)
    alarm, leading = chart.alarm(h), max(chart.up, chart.down, key=lambda side: side.value)
    return {
        "subject": name,
        "z": None if moved is None else moved.z,
        "difference": None if moved is None else moved.difference,
        "standard_error": None if moved is None else moved.error,
        "up": chart.up.value,
        "down": chart.down.value,
        "alarm": None if alarm is None else ("up" if alarm is chart.up else "down"),
        "since": None if leading.start_ms is None else iso(leading.start_ms),
        "drift": leading.drift,
        "drift_sd": leading.drift_sd,
    }


def _chart(kept: Mapping[str, Any]) -> Chart:
    return Chart(_side(kept["up"]), _side(kept["down"]))


def _side(content: Mapping[str, Any] | None) -> Side:
    return Side() if content is None else Side(**content)


def _numbers(score: Score) -> Iterator[float]:
    return (getattr(score, name) for name in Score.__slots__)


def _packed(positions: Sequence[int]) -> list[list[int]]:
    """Stretches [first, last]."""
    found: list[list[int]] = []
    for at in positions:
        if found and found[-1][1] == at - 1:
            found[-1][1] = at
        else:
            found.append([at, at])
    return found


def _unpacked(stretches: Sequence[Sequence[int]]) -> Iterator[int]:
    for first, last in stretches:
        yield from range(first, last + 1)
