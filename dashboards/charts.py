"""Charts as values: data in, positions out; `templates/charts.html` only draws. Each carries the table with the same numbers.

Horizontal positions are per cent of the drawing's width, so that a chart fits 320 pixels and a wide screen with the same letters.
An interval is what a row shows; the point inside it is small. A row without a number is drawn as such: hatched where noise hides it,
an empty line where nothing was released.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from .tables import Table
from .words import Mark, Verdict, day, loss, percent, place_of, plain, point_places, when

Unit = Literal["points", "percent", "count", "epsilon"]
LABEL_LIMIT = 34
LINE_LIMIT = 39
"""Letters of 12.5 pixels that fit beside each other at a width of 320 pixels."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale from values to per cent of a length, with round ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Position of a value, kept inside the drawing."""
        if self.high <= self.low:
            return 50.0
        return round(min(100.0, max(0.0, 100 * (value - self.low) / (self.high - self.low))), 3)


def scale_over(values: Iterable[float], *, zero: bool = True, about: int = 4) -> Scale:
    """A scale with round ticks that holds all values (and zero), with a little room beyond a value that is no tick.

    >>> scale_over([0.1, 9.2]).ticks
    (0.0, 5.0)
    """
    found = [v for v in values if math.isfinite(v)] + ([0.0] if zero else [])
    low, high = min(found, default=0.0), max(found, default=1.0)
    if high - low < 1e-12:
        high = low + 1.0
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    steps = [m * power for m in (1, 2, 5, 10)]
    at = next(i for i, step in enumerate(steps) if step >= rough * (1 - 1e-9))
    first, last = _ticks(low, high, steps[at])
    if first == last and at > 0:  # a wide step of which one tick alone lies inside
        at -= 1
        first, last = _ticks(low, high, steps[at])
    step = steps[at]
    room = 0.03 * (high - low)
    low -= room if low < first * step - 1e-9 * step else 0.0
    high += room if high > last * step + 1e-9 * step else 0.0
    return Scale(low, high, tuple(round(k * step, 12) for k in range(first, last + 1)))


def _ticks(low: float, high: float, step: float) -> tuple[int, int]:
    """The first and the last multiple of a step between two values."""
    return math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)


def in_unit(value: float, unit: Unit, places: int | None = None) -> str:
    """A number on an axis."""
    match unit:
        case "points":
            return plain(value * 100, 1 if places is None else places, signed=True)
        case "percent":
            return percent(value, 0 if places is None else places)
        case "epsilon":
            return loss(value)
        case "count":
            return f"{plain(value / 1000)}k" if abs(value) >= 10_000 else plain(value)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an interval chart: an interval, or the reason why there is none."""

    label: str
    low: float | None = None
    high: float | None = None
    point: float | None = None
    verdict: Verdict | None = None
    mark: Mark | None = None

    @property
    def short(self) -> str:
        """The label, cut to fit a narrow screen; the table has it in full."""
        return self.label if len(self.label) <= LABEL_LIMIT else self.label[: LABEL_LIMIT - 1] + "…"


@dataclass(frozen=True, slots=True)
class IntervalChart:
    """Intervals with small points, against zero and, where there is one, a band of accepted differences. `bars` grow from zero."""

    kind: ClassVar[str] = "intervals"

    id: str
    title: str
    finding: str
    rows: tuple[Row, ...]
    table: Table
    unit: Unit = "points"
    limit: float | None = None
    bars: bool = False
    reach: float | None = None
    """A value that the scale holds besides the rows, for example what was promised."""

    @property
    def stacked(self) -> bool:
        """Whether the intervals' words get a line of their own, because beside some label they would not fit a narrow screen."""
        return any(len(r.short) + len(self.words(r)) > LINE_LIMIT for r in self.rows)

    @property
    def row_height(self) -> int:
        """In pixels."""
        return 66 if self.stacked else 48

    @property
    def lift(self) -> int:
        """How far below a row's top its interval lies."""
        return 46 if self.stacked else 30

    @property
    def scale(self) -> Scale:
        """Holds every interval, zero and the limits."""
        values = [v for r in self.rows for v in (r.low, r.high, r.point) if v is not None]
        if self.limit is not None:
            values += [-self.limit * 1.2, self.limit * 1.2]
        if self.reach is not None:
            values.append(self.reach)
        return scale_over(values)

    @property
    def height(self) -> int:
        """In pixels."""
        return len(self.rows) * self.row_height + 30

    def tick(self, value: float) -> str:
        """A label under the axis."""
        steps = self.scale.ticks
        step = steps[1] - steps[0] if len(steps) > 1 else 1.0
        hundredfold = step * (100 if self.unit in ("points", "percent") else 1)
        places = 0 if hundredfold >= 1 else min(2, -math.floor(math.log10(hundredfold)))
        return in_unit(value, self.unit, places)

    def words(self, row: Row) -> str:
        """The interval beside the label."""
        if row.mark is Mark.SUPPRESSED:
            return "too noisy to show"
        if row.mark is Mark.MISSING or row.low is None or row.high is None:
            return "no figures yet"
        if self.bars:
            return f"ε {loss(row.high)}" if self.unit == "epsilon" else in_unit(row.high, self.unit)
        if self.unit in ("points", "percent"):
            places = point_places(row.low, row.high)
            texts = [plain(v * 100, places, signed=self.unit == "points") for v in (row.low, row.high)]
            return f"{texts[0]} to {texts[1]}{' %' if self.unit == 'percent' else ''}"
        places = min(0, place_of((row.high - row.low) / 2))
        return f"{plain(row.low, places)} to {plain(row.high, places)}"

    @property
    def description(self) -> str:
        """What a reader who cannot see the drawing is told; the table has every row."""
        lines = [f"{r.label}: {self.words(r)}{f', {r.verdict.value}' if r.verdict else ''}" for r in self.rows[:12]]
        rest = len(self.rows) - 12
        return "; ".join(lines) + (f"; and {rest} more in the table" if rest > 0 else "") + "."


@dataclass(frozen=True, slots=True)
class Series:
    """One line: times and values, None where nothing was released; `band` has each value's interval."""

    name: str
    values: tuple[float | None, ...]
    band: tuple[tuple[float, float] | None, ...] = ()
    leading: bool = False


@dataclass(frozen=True, slots=True)
class LineChart:
    """Lines over time, with bands where values are uncertain. A gap stays a gap."""

    kind: ClassVar[str] = "lines"
    height: ClassVar[int] = 232
    plot: ClassVar[int] = 180

    id: str
    title: str
    finding: str
    times: tuple[int, ...]
    series: tuple[Series, ...]
    table: Table
    unit: Unit = "percent"
    daily: bool = False

    @property
    def scale(self) -> Scale:
        """Vertical; shares are always seen against the whole."""
        values = [v for s in self.series for v in s.values if v is not None]
        values += [v for s in self.series for pair in s.band if pair for v in pair]
        if self.unit == "percent":
            values.append(1.0)
        return scale_over(values, about=3)

    def x(self, ms: int) -> float:
        """Horizontal position of a time in per cent."""
        return Scale(self.times[0], self.times[-1], ()).at(ms)

    def runs(self, series: Series) -> list[str]:
        """Points of each unbroken stretch in a square of 100 x 100."""
        found: list[list[str]] = [[]]
        for at, value in zip(self.times, series.values, strict=True):
            if value is None:
                found.append([])
            else:
                found[-1].append(f"{self.x(at):g},{100 - self.scale.at(value):g}")
        return [" ".join(run if len(run) > 1 else run * 2) for run in found if run]

    def bands(self, series: Series) -> list[str]:
        """Outlines of the band around each unbroken stretch."""
        found: list[tuple[list[str], list[str]]] = [([], [])]
        for at, pair in zip(self.times, series.band, strict=False):
            if pair is None:
                found.append(([], []))
                continue
            for side, value in zip(found[-1], pair, strict=True):
                side.append(f"{self.x(at):g},{100 - self.scale.at(value):g}")
        return [" ".join(lows + highs[::-1]) for lows, highs in found if len(lows) > 1]

    def tick(self, value: float) -> str:
        """A label beside the axis."""
        return in_unit(value, self.unit)

    @property
    def ends(self) -> tuple[str, str]:
        """The first and the last time."""
        name = day if self.daily else when
        return name(self.times[0]), name(self.times[-1])

    @property
    def description(self) -> str:
        """First and last value of each line."""
        parts = []
        for one in self.series:
            known = [v for v in one.values if v is not None]
            parts.append(f"{one.name} from {self.tick(known[0])} to {self.tick(known[-1])}" if known else f"{one.name} without figures")
        return f"From {self.ends[0]} to {self.ends[1]}: {'; '.join(parts)}."


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a meter, as a fraction of the whole."""

    label: str
    fraction: float


@dataclass(frozen=True, slots=True)
class MeterChart:
    """How much of a fixed amount is taken, and by what."""

    kind: ClassVar[str] = "meter"
    height: ClassVar[int] = 74

    id: str
    title: str
    finding: str
    segments: tuple[Segment, ...]
    table: Table
    whole: str = "promised"

    @property
    def taken(self) -> float:
        """Fraction taken by all parts."""
        return sum(s.fraction for s in self.segments)

    def placed(self) -> Sequence[tuple[Segment, float, float]]:
        """Each part with its start and width in per cent; more than the whole is drawn up to the end."""
        found, start = [], 0.0
        for segment in self.segments:
            width = max(0.0, min(100 * segment.fraction, 100 - start))
            found.append((segment, round(start, 3), round(width, 3)))
            start += width
        return found

    @property
    def description(self) -> str:
        """The parts in words."""
        parts = "; ".join(f"{s.label} {percent(s.fraction)}" for s in self.segments[:12])
        return f"{percent(self.taken)} is taken. {parts}."


Chart = IntervalChart | LineChart | MeterChart
