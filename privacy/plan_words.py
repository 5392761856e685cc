"""How the planner writes numbers, lengths of time and lines of advice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

Advice = dict[str, Any]
"""`{code, measure, path, text}`; `measure` is None for the site's own."""

NORMAL_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""


def advice(code: str, path: str, text: str, *, measure: str | None = None) -> Advice:
    """One line of advice; `path` is below the site."""
    return {"code": code, "measure": measure, "path": path.rstrip("."), "text": text}


def cells(number: int) -> str:
    """A number of cells.

    >>> cells(1), cells(1200)
    ('1 cell', '1,200 cells')
    """
    return f"{number:,} cell" + ("" if number == 1 else "s")


def count(value: float) -> str:
    """A count: three figures, or whole with thousands.

    >>> count(3.4722), count(7112552.0)
    ('3.47', '7,112,552')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def exact(number: Decimal) -> str:
    """A decimal in all its digits, and no more.

    >>> exact(Decimal("0.0500")), exact(Decimal("1E-7"))
    ('0.05', '0.0000001')
    """
    return f"{number.normalize():f}"


def percent(part: float) -> str:
    """A part of a whole in up to three figures.

    >>> percent(0.05), percent(12.5)
    ('5 %', '1,250 %')
    """
    return f"{count(100 * part)} %"


def span(ms: int) -> str:
    """A length of time for people, in at most two units.

    >>> span(86_400_000), span(61_440_000), span(90_000)
    ('1d', '17h 4m', '1m 30s')
    """
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        number, ms = divmod(ms, size)
        parts += [f"{number}{unit}"] if number else []
    return " ".join(parts[:2])


def lasting(ms: int) -> str:
    """A length of time as `tacit.yaml` writes it.

    >>> lasting(86_400_000), lasting(5_400_000), lasting(90_000)
    ('1d', '90m', '90s')
    """
    unit, size = next(((u, s) for u, s in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)) if ms % s == 0), ("s", 1_000))
    return f"{ms // size}{unit}"
