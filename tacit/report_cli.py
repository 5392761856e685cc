"""`tacit report`: an audit's report as JSON, as a page or as PDF."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.options import ConfigOption, DataOption, SiteOption, opened

BY = "command line"
"""Who asked, in the evidence log."""


class ReportFormat(StrEnum):
    """What a report is written as."""

    JSON = "json"
    HTML = "html"
    PDF = "pdf"


class Preset(StrEnum):
    """Shapes that some readers expect."""

    NYC = "nyc_ll144"
    EEOC = "eeoc_four_fifths"
    EU = "eu_ai_act"


def register(app: typer.Typer) -> None:
    """Add the command to `tacit`."""
    app.command("report")(write_report)


def write_report(
    site: SiteOption,
    audit: Annotated[str | None, typer.Option(help="The audit; needed where the site has several and no scan is named.")] = None,
    scan: Annotated[str | None, typer.Option(help="A scan's id; the newest one when left out.")] = None,
    form: Annotated[ReportFormat, typer.Option("--format", help="json, html or pdf.")] = ReportFormat.HTML,
    preset: Annotated[Preset | None, typer.Option(help="Tables that some readers expect; claims nothing about any law.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="A file; standard output when left out.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write the report of a bias scan. The same scan gives the same bytes; each making is an entry of the evidence log."""
    from audit import report_html, report_pdf
    from audit.log import Log
    from audit.reporting import Reports
    from audit.store import AuditStore
    from privacy.releases import ReleaseStore

    settings, declaration = opened(config, data, site=site)
    engine, clock = connect(settings.released_location), SystemClock()
    try:
        reports = Reports(ReleaseStore(engine, clock), AuditStore(engine), Log(engine, clock))
        report = reports.make(declaration.sites[site], audit=audit, scan=scan, preset=preset and preset.value, by=BY)
    finally:
        engine.dispose()
    match form:
        case ReportFormat.JSON:
            content = report.body
        case ReportFormat.HTML:
            content = report_html.render(report)
        case ReportFormat.PDF:
            content = report_pdf.render(report)
    if out is None:
        sys.stdout.buffer.write(content)
    else:
        out.write_bytes(content)
        typer.echo(f"{out}: {len(content):,} bytes, report {report.sha256}", err=True)
