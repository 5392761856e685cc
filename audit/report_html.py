"""A report as one HTML page that needs nothing else: no script, no foreign host, readable on paper and by screen readers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from audit.document import Chart, document_of
from audit.reporting import Report

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The page's own style sheet stands in it, because the file is also kept and sent."""

_LEFT, _RIGHT = 180.0, 690.0


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
    return round(_LEFT + (_RIGHT - _LEFT) * (value + chart.reach) / (2 * chart.reach), 2)
