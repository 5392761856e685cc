"""Commands for officers: exports and imports of consent, the record of processing activities, and evidence for an impact assessment."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from consent.exports import ExportFormat
from consent.importers import Kind
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.errors import Problem
from tacit.options import ConfigOption, DataOption, SiteOption, opened

consent_app = typer.Typer(no_args_is_help=True, help="Consent records: export them, or bring in another manager's.")


class RecordFormat(StrEnum):
    """How the record of processing is printed."""

    JSON = "json"
    CSV = "csv"
    MARKDOWN = "md"


def register(app: typer.Typer) -> None:
    """Add these commands to `tacit`."""
    app.add_typer(consent_app, name="consent")
    app.command("ropa")(show_ropa)
    app.command("dpia")(write_dpia)


@consent_app.command("export")
def export(
    site: SiteOption,
    form: Annotated[ExportFormat, typer.Option("--format", help="ndjson or csv.")] = ExportFormat.NDJSON,
    purpose: Annotated[str | None, typer.Option(help="Only this purpose.")] = None,
    notice: Annotated[str | None, typer.Option(help="Only choices under this notice.")] = None,
    notice_version: Annotated[str | None, typer.Option(help="Only this version of a notice.")] = None,
    jurisdiction: Annotated[str | None, typer.Option(help="Only this jurisdiction.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="ISO 8601 with a zone; included.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="ISO 8601 with a zone; excluded.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print consent records; people have random numbers that mean nothing elsewhere. The export itself is put on record."""
    from audit.log import Log
    from consent.exports import Exports
    from consent.exports_store import Filters
    from tacit.core.queries import milliseconds

    settings, _ = opened(config, data, site=site)
    clock = SystemClock()
    filters = Filters(purpose, notice, notice_version, jurisdiction, milliseconds(since, "from"), milliseconds(until, "to"))
    exports = Exports(connect(settings.intake_location), Log(connect(settings.released_location), clock), clock)
    for piece in exports.start(site, filters, form=form, by="command line"):
        sys.stdout.write(piece)


@consent_app.command("import")
def bring_in(
    file: Annotated[Path, typer.Argument(help='One JSON object a line: {"subject", "cookie", "at"?, "id_type"?}.')],
    site: SiteOption,
    kind: Annotated[Kind, typer.Option("--from", help="klaro or cookieconsent.")],
    how: Annotated[Path, typer.Option("--map", help="Which services or categories stand for which purpose, as YAML.")],
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Bring in answers from another consent manager. Repeating it adds nothing, and nothing said here is overruled."""
    from consent import importers
    from tacit import wiring

    settings, declaration = opened(config, data, site=site)
    try:
        mapping = importers.read_map(how.read_text(encoding="utf-8"))
        with file.open("rb") as lines:
            services = wiring.web(settings, declaration)
            outcome = importers.bring_in(services.consent, site, lines, kind=kind, how=mapping, clock=SystemClock())
    except (OSError, UnicodeDecodeError) as error:
        raise Problem("a file cannot be read", next_step="Check both names; repeating an import is safe.") from error
    typer.echo(json.dumps(outcome.to_json()))


def show_ropa(
    site: SiteOption,
    form: Annotated[RecordFormat, typer.Option("--format", help="json, csv or md.")] = RecordFormat.MARKDOWN,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """The record of processing activities (Art. 30 GDPR), from what is declared and has run."""
    from tacit.records import readers
    from tacit.ropa import as_csv, as_markdown

    settings, declaration = opened(config, data, site=site)
    record = readers(declaration, connect(settings.released_location), SystemClock())[0](site)
    texts = {RecordFormat.CSV: as_csv, RecordFormat.MARKDOWN: as_markdown}
    typer.echo(texts[form](record) if form in texts else json.dumps(record, indent=2))


def write_dpia(
    folder: Annotated[Path, typer.Argument(help="An empty folder for the pack.")],
    site: SiteOption,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write evidence for an impact assessment: parameters, plan, ledger, audits, destructions, record of processing, and their hashes."""
    from tacit import dpia
    from tacit.records import readers

    settings, declaration = opened(config, data, site=site)
    parts = readers(declaration, connect(settings.released_location), SystemClock())[1](site)
    for name in dpia.write(parts, folder):
        typer.echo(str(folder / name))
