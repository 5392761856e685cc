"""What each page says, as values: the sentence, the charts, the tables. HTML, JSON and CSV are made from the same object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tacit.core.clock import iso

from .charts import Chart, IntervalChart, LineChart, MeterChart
from .errors import NoSuchTable
from .tables import Table
from .words import Finding, Verdict


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the few key numbers under the sentence."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Empty:
    """What stands where figures will be: what will appear, and how to make it appear."""

    what: str
    how: str


@dataclass(frozen=True, slots=True)
class Area:
    """One line of the overview: a verdict on one part of the installation, and the page with the reasons."""

    name: str
    verdict: Verdict
    sentence: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What all pages have. `tables` are those that belong to no chart; the first table of a page is its plain CSV."""

    template: ClassVar[str] = ""

    path: str
    title: str
    site: str
    finding: Finding
    made_ms: int
    as_of_ms: int | None = None
    """The newest figure on the page."""
    figures: tuple[Figure, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    empty: Empty | None = None

    def all_tables(self) -> Iterator[Table]:
        """Charts' tables first, in the order of the page."""
        for chart in self.charts:
            yield chart.table
        yield from self.tables

    def table(self, name: str | None) -> Table:
        """The table a CSV was asked for. Raises `NoSuchTable`."""
        for table in self.all_tables():
            if name is None or table.id == name:
                return table
        raise NoSuchTable("the name after `table=` is not one of this page's")

    def to_json(self) -> dict[str, Any]:
        """The whole page; times in ISO 8601."""
        return {
            "page": self.path,
            "title": self.title,
            "site": self.site,
            "finding": {"verdict": self.finding.verdict.value, "sentence": self.finding.sentence},
            "made_at": iso(self.made_ms),
            "as_of": None if self.as_of_ms is None else iso(self.as_of_ms),
            "figures": [{"label": f.label, "value": f.value, "note": f.note} for f in self.figures],
            "charts": [{"id": c.id, "title": c.title, "finding": c.finding, "table": c.table.id} for c in self.charts],
            "tables": {t.id: t.to_json() for t in self.all_tables()},
            "empty": None if self.empty is None else {"what": self.empty.what, "how": self.empty.how},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewPage(Page):
    """Are we all right today, and what must I do?"""

    template: ClassVar[str] = "overview.html"

    areas: tuple[Area, ...]

    def to_json(self) -> dict[str, Any]:
        """The page with its areas."""
        areas = [{"name": a.name, "verdict": a.verdict.value, "sentence": a.sentence, "page": a.path} for a in self.areas]
        return {**Page.to_json(self), "areas": areas}


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPage(Page):
    """How much is left, who spent it, and what does it add up to?"""

    template: ClassVar[str] = "budget.html"

    epsilon: str
    delta: str
    epoch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoliciesPage(Page):
    """What is live, and is any of it better than doing nothing?"""

    template: ClassVar[str] = "policies.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPage(Page):
    """Who sees what now, is it better, and how sure is that?"""

    template: ClassVar[str] = "policy.html"

    name: str
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSection:
    """One audit with its verdict."""

    name: str
    finding: Finding
    chart: IntervalChart | None
    empty: Empty | None = None
    scan: str | None = None
    """Id of the scan that is shown; its report is linked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditsPage(Page):
    """Is any group treated worse, and are we sure?"""

    template: ClassVar[str] = "audits.html"

    sections: tuple[AuditSection, ...]

    def all_tables(self) -> Iterator[Table]:
        """The summary, then each audit's comparisons."""
        yield from self.tables
        for section in self.sections:
            if section.chart is not None:
                yield section.chart.table


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsPage(Page):
    """What is open, and when is it due?"""

    template: ClassVar[str] = "findings.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPage(Page):
    """What may we use, for which purpose, and is it shrinking?"""

    template: ClassVar[str] = "consent.html"

    days: int
    choices: tuple[int, ...] = field(default=(7, 30, 90))


__all__ = [
    "Area",
    "AuditSection",
    "AuditsPage",
    "BudgetPage",
    "ConsentPage",
    "Empty",
    "Figure",
    "FindingsPage",
    "IntervalChart",
    "LineChart",
    "MeterChart",
    "OverviewPage",
    "Page",
    "PoliciesPage",
    "PolicyPage",
]
