"""Commands for notices, and why the gate answers as it does. Identifiers come from standard input, never from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tacit.core.errors import InvalidRequest, Problem
from tacit.officers_cli import consent_app
from tacit.options import ConfigOption, DataOption, SiteOption, opened

notices_app = typer.Typer(no_args_is_help=True, help="Notices: the texts under which people choose.")


def register(app: typer.Typer) -> None:
    """Add these commands to `tacit`."""
    app.add_typer(notices_app, name="notices")
    consent_app.command("explain")(explain)


def explain(site: SiteOption, config: ConfigOption = None, data: DataOption = None) -> None:
    """Say why the gate admits somebody or not. Reads {"subject", "id_type"?, "purposes"?, "signals"?} as JSON from standard input."""
    from pydantic import ValidationError

    from consent.schemas import ExplainBody
    from tacit import wiring

    settings, declaration = opened(config, data, site=site)
    try:
        body = ExplainBody.model_validate_json(sys.stdin.buffer.read(64 * 1024))
    except ValidationError:
        raise InvalidRequest("standard input is not as expected", next_step='Send {"subject": "…"} as JSON.') from None
    services = wiring.web(settings, declaration)
    signals = body.signals.value(header=False)
    typer.echo(json.dumps(services.explanations.explain(site, body.id_type, body.subject, body.purposes, signals=signals), indent=2))
    services.close()


@notices_app.command("list")
def list_notices(site: SiteOption, config: ConfigOption = None, data: DataOption = None) -> None:
    """Print every notice with its versions, one JSON object a line."""
    from tacit import wiring

    settings, declaration = opened(config, data, site=site)
    services, after = wiring.web(settings, declaration), ""
    while True:
        page = services.notices.list(site, after=after)
        for notice in page["notices"]:
            typer.echo(json.dumps(notice))
        if page["next"] is None:
            break
        after = page["next"]
    services.close()


@notices_app.command("add")
def add(
    notice: Annotated[str, typer.Argument(help="The notice's name.")],
    file: Annotated[Path, typer.Argument(help="The text, in UTF-8.")],
    site: SiteOption,
    version: Annotated[str, typer.Option(help="The version's name; new for every change of the text.")],
    locale: Annotated[str, typer.Option(help="For example en-GB.")],
    material: Annotated[bool, typer.Option("--material", help="Grants under earlier versions become stale at once.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Register one locale of one version of a notice, and print the notice."""
    import re

    from pydantic import ValidationError

    from consent.notices import Text
    from consent.schemas import LABEL, NoticeTextBody
    from tacit import wiring

    try:
        text = file.read_bytes().decode()
        body = NoticeTextBody(version=version, locale=locale, text=text, material=material)
    except (OSError, UnicodeDecodeError) as error:
        raise Problem("the text cannot be read", next_step="Check the file's name and that it is UTF-8.") from error
    except ValidationError as error:
        places = sorted({str(fault["loc"][0]) for fault in error.errors() if fault["loc"]})
        raise InvalidRequest(f"see {', '.join(places)}", next_step="`tacit notices add --help` shows what each option may be.") from None
    if not re.fullmatch(LABEL, notice):
        raise InvalidRequest("the notice's name is not a plain label", next_step="Use letters, digits and '_.+-', at most 64.")
    settings, declaration = opened(config, data, site=site)
    services = wiring.web(settings, declaration)
    given = Text(body.version, body.locale, text=body.text, material=body.material)
    typer.echo(json.dumps(services.notices.put(site, notice, given, by="command line"), indent=2))
    services.close()
