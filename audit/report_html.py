"""A report as one HTML page that needs nothing else: no script, no foreign host, readable on paper and by screen readers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from audit.blocks import Chart
from audit.document import document_of
from audit.reporting import Report

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The page's own style sheet stands in it, because the file is also kept and sent."""

_LEFT, _RIGHT, _WIDEST = 180.0, 690.0, 360.0
_CHARACTER = 7.0
"""Width of one at the size of labels, rather too much than too little."""


def render(report: Report) -> bytes:
    """The page, in UTF-8; the same bytes for the same report."""
    return _environment().get_template("report.html").render(document=document_of(report.content, sha256=report.sha256)).encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"kind": lambda block: type(block).__name__, "place": _place}
    return environment


def _place(chart: Chart, value: float) -> float:
    """Horizontal place of a value in percentage points."""
    left = min(max(_LEFT, _CHARACTER * chart.longest + 10), _WIDEST)
    return round(left + (_RIGHT - left) * (value + chart.reach) / (2 * chart.reach), 2)
