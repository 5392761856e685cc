"""What a report is drawn from: paragraphs, tables and interval charts in reading order. The page and the PDF draw exactly this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; the first column names the row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One interval of a chart, in percentage points; without `low` it is not assessable."""

    label: str
    verdict: str
    low: float | None
    high: float | None
    point: float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """Intervals against zero and the accepted band, in percentage points."""

    caption: str
    limit: float
    reach: float
    """Both ends of the axis, from zero."""
    bars: tuple[Bar, ...]

    @property
    def longest(self) -> int:
        """Characters of the longest label."""
        return max((len(bar.label) for bar in self.bars), default=0)

    @property
    def alternative(self) -> str:
        """The chart in words, for who does not see it."""
        parts = [
            f"{bar.label}: not assessable" if bar.low is None or bar.high is None else f"{bar.label}: {bar.low:+.1f} to {bar.high:+.1f}"
            for bar in self.bars
        ]
        return f"{self.caption}. Accepted: within {self.limit:.1f} points of zero. " + "; ".join(parts) + "."


Block = Text | Table | Chart


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report."""

    title: str
    subtitle: str
    verdict: str
    sentence: str
    sections: tuple[Section, ...]
