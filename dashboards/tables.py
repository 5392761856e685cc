"""The table behind every chart: one value object that becomes the HTML table, the CSV and the JSON, so that they cannot disagree.

A CSV opened in a spreadsheet must not run anything: a text that a spreadsheet would read as a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tacit.core.clock import iso

from .words import Mark, Verdict, loss, percent, plain, when

Kind = Literal["text", "count", "number", "percent", "points", "epsilon", "time", "verdict"]
Value = str | int | float | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
"""What starts a formula or a command in a spreadsheet (OWASP, CSV Injection), full-width forms included."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `kind` says how people see the value. JSON and CSV have it raw, times in ISO 8601."""

    key: str
    label: str
    kind: Kind = "text"
    places: int = 1

    @property
    def numeric(self) -> bool:
        """Whether the column is set flush right."""
        return self.kind in ("count", "number", "percent", "points", "epsilon")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns. The first column names the row. `href` may link each row's name to a page."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    empty: str = "Nothing yet."
    links: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of the table {self.id} has another length than its heading")

    def to_json(self) -> dict[str, Any]:
        """`{title, columns, rows}` with rows as objects; a mark is its word."""
        keys = [c.key for c in self.columns]
        return {
            "title": self.title,
            "columns": [{"key": c.key, "label": c.label, "kind": c.kind} for c in self.columns],
            "rows": [dict(zip(keys, self._raw(row), strict=True)) for row in self.rows],
        }

    def to_csv(self) -> str:
        """RFC 4180 text with a heading line of keys."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow([defuse(c.key) for c in self.columns])
        writer.writerows([defuse(v) if isinstance(v, str) else v for v in self._raw(row)] for row in self.rows)
        return out.getvalue()

    def _raw(self, row: Sequence[Value]) -> list[Value]:
        return [
            iso(v) if c.kind == "time" and isinstance(v, int) else str(v) if isinstance(v, Mark | Verdict) else v
            for c, v in zip(self.columns, row, strict=True)
        ]


def defuse(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would run it.

    >>> defuse("=1+1"), defuse(" @SUM(A1)"), defuse("larger")
    ("'=1+1", "' @SUM(A1)", 'larger')
    """
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def shown(column: Column, value: Value) -> str:
    """A value as people see it; marks and verdicts are drawn by the template."""
    if value is None or isinstance(value, str):
        return value or "—"
    match column.kind:
        case "count":
            return plain(value)
        case "number":
            return plain(value, column.places)
        case "percent":
            return percent(value, column.places)
        case "points":
            return plain(value * 100, column.places, signed=True)
        case "epsilon":
            return loss(value)
        case "time":
            return when(int(value))
        case _:
            return str(value)
