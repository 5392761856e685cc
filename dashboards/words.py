"""The few words and number forms that all pages share. A verdict is one of four; nothing is within limits unless somebody checked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from tacit.core.clock import from_iso

from .ports import Moment

DAY_MS = 86_400_000
Z95 = 1.959963984540054
"""Half-width of a two-sided 95 % interval in standard deviations."""

READABLE = 5.0
"""A noisy count below this many standard deviations of its noise is not divided by (audit/inference.py uses the same limit)."""


class Verdict(StrEnum):
    """The closed list, from `interfaces.md`."""

    WITHIN = "within limits"
    ATTENTION = "attention"
    BREACH = "breach"
    CANNOT_TELL = "cannot tell"


class Mark(StrEnum):
    """Why there is no number. Neither is ever shown as zero."""

    MISSING = "missing"
    SUPPRESSED = "suppressed"


_WORST_FIRST = (Verdict.BREACH, Verdict.ATTENTION, Verdict.CANNOT_TELL, Verdict.WITHIN)


@dataclass(frozen=True, slots=True)
class Finding:
    """The sentence a page opens with."""

    verdict: Verdict
    sentence: str


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that rules several; nothing at all cannot be told.

    >>> str(worst([Verdict.WITHIN, Verdict.CANNOT_TELL])), str(worst([]))
    ('cannot tell', 'cannot tell')
    """
    return min(verdicts, key=_WORST_FIRST.index, default=Verdict.CANNOT_TELL)


def verdict_of(text: str) -> Verdict:
    """A stored verdict; an unknown word cannot be told.

    >>> str(verdict_of("ok"))
    'cannot tell'
    """
    try:
        return Verdict(text)
    except ValueError:
        return Verdict.CANNOT_TELL


def ms_of(moment: Moment) -> int:
    """Milliseconds of a moment. Raises `ValueError` for a time without a zone."""
    return moment if isinstance(moment, int) else from_iso(moment)


def when(ms: int) -> str:
    """A time for people, always with its zone.

    >>> when(0), when(1_500)
    ('1 Jan 1970, 00:00 UTC', '1 Jan 1970, 00:00:01 UTC')
    """
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    clock = "%H:%M:%S" if ms % 60_000 else "%H:%M"
    return f"{moment.day} {moment.strftime(f'%b %Y, {clock}')} UTC"


def day(ms: int) -> str:
    """A day in UTC.

    >>> day(0)
    '1 Jan 1970'
    """
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment.day} {moment.strftime('%b %Y')}"


def lasting(ms: int) -> str:
    """A length of time in its largest fitting unit.

    >>> lasting(60_000), lasting(7_200_000), lasting(90_000)
    ('1 minute', '2 hours', '90 seconds')
    """
    for unit, size in (("day", DAY_MS), ("hour", 3_600_000), ("minute", 60_000)):
        if ms >= size and ms % size == 0:
            return counted(ms // size, unit)
    return counted(round(ms / 1000), "second")


def roughly(ms: int) -> str:
    """A length of time rounded down to one unit.

    >>> roughly(3_700_000), roughly(200)
    ('1 hour', 'less than a minute')
    """
    for unit, size in (("day", DAY_MS), ("hour", 3_600_000), ("minute", 60_000)):
        if ms >= size:
            return counted(ms // size, unit)
    return "less than a minute"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun.

    >>> counted(1, "policy", "policies"), counted(2, "policy", "policies"), counted(0, "arm")
    ('1 policy', '2 policies', 'no arms')
    """
    return f"{f'{number:,}' if number else 'no'} {noun if number == 1 else plural or noun + 's'}"


def place_of(half_width: float) -> int:
    """Decimal places worth showing when a number is uncertain by `half_width`: two digits of the uncertainty, at most three places.

    >>> place_of(180), place_of(0.7), place_of(0.003)
    (-1, 2, 3)
    """
    if half_width <= 0 or not math.isfinite(half_width):
        return 0
    return min(3, 1 - math.floor(math.log10(half_width)))


def plain(number: float, places: int = 0, *, signed: bool = False) -> str:
    """A number with a real minus sign and thin groups.

    >>> plain(-1234.5), plain(0.0, 1, signed=True), plain(2.25, 1, signed=True)
    ('−1,234', '0.0', '+2.2')
    """
    rounded = round(number, places)
    text = f"{abs(rounded):,.{max(places, 0)}f}"
    if float(text.replace(",", "")) == 0:
        return text
    return f"{'−' if rounded < 0 else '+' if signed else ''}{text}"


def noisy(value: float, sd: float) -> str:
    """A noisy count with its 95 % half-width, to no more digits than the noise supports.

    >>> noisy(1243.0, 90.0), noisy(-12.0, 20.0)
    ('1,240 ± 180', '−12 ± 39')
    """
    half = Z95 * sd
    places = min(place_of(half), 0)
    return f"{plain(value, places)} ± {plain(half, places)}" if sd > 0 else plain(value)


def percent(share: float, places: int = 1) -> str:
    """A share of one as per cent.

    >>> percent(0.123)
    '12.3 %'
    """
    return f"{plain(share * 100, places)} %"


def point_places(low: float, high: float) -> int:
    """Decimal places for an interval of shares or differences shown in hundredths."""
    return max(1, min(2, place_of((high - low) * 50) - 1))


def loss(epsilon: str | float) -> str:
    """An epsilon to three digits, rounded up: a loss is never shown smaller than it is.

    >>> loss("0.99912"), loss("1.0"), loss(0.0501)
    ('1', '1', '0.0501')
    """
    value = Decimal(str(epsilon))
    if not value:
        return "0"
    step = Decimal(1).scaleb(value.adjusted() - 2)
    rounded = (value / step).to_integral_value(rounding="ROUND_CEILING") * step
    return f"{rounded.normalize():f}"


def between_points(low: float, high: float) -> str:
    """An interval of differences in percentage points.

    >>> between_points(0.004, 0.021)
    'between +0.4 and +2.1 points'
    """
    places = point_places(low, high)
    return f"between {plain(low * 100, places, signed=True)} and {plain(high * 100, places, signed=True)} points"
