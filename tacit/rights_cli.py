"""Commands for rights requests and lookup keys. An identifier is read from standard input and never stands on a command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from consent.rights import PAGE, Rights
from consent.rights_models import Kind, Refusal, Status
from consent.rights_schemas import BODIES
from consent.rotation import DESTROY_AFTER_DAYS, Rotation
from consent.subjects import Subjects
from tacit.core import rootkey
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.errors import InvalidRequest
from tacit.options import ConfigOption, DataOption, SiteOption, opened

rights_app = typer.Typer(no_args_is_help=True, help="Rights requests: access, export, erase, object, restrict, lift.")

RequestArgument = Annotated[str, typer.Argument(help="The request's id, rights_…")]


def register(app: typer.Typer, keys_app: typer.Typer) -> None:
    """Add these commands to `tacit` and `tacit keys`."""
    app.add_typer(rights_app, name="rights")
    keys_app.command("rotate-subjects")(rotate_subjects)


@rights_app.command("ask")
def ask(
    site: SiteOption,
    kind: Annotated[Kind, typer.Option("--kind", help="Which right.")],
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make a request from a JSON object on standard input, the body of POST /v1/rights/KIND, and print the answer."""
    rights = _rights(site, config, data)
    try:
        request = BODIES[kind].model_validate_json(sys.stdin.read()).value(kind)
    except ValidationError as error:
        places = sorted({str(fault["loc"][0]) for fault in error.errors() if fault["loc"] and fault["type"] != "extra_forbidden"})
        raise InvalidRequest(f"standard input is not such a request{': see ' + ', '.join(places) if places else ''}") from None
    _print(rights.ask(site, request))


@rights_app.command("list")
def show(
    site: SiteOption,
    status: Annotated[Status | None, typer.Option("--status", help="Only these.")] = None,
    cursor: Annotated[str | None, typer.Option("--cursor", help="`next` of the page before.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print requests in the order they came, without anything of a person."""
    _print(_rights(site, config, data).requests(site, status=status, limit=PAGE, cursor=cursor))


@rights_app.command("query")
def query(request_id: RequestArgument, site: SiteOption, config: ConfigOption = None, data: DataOption = None) -> None:
    """Print how a request stands, with its proof."""
    _print(_rights(site, config, data).query(site, request_id))


@rights_app.command("reject")
def reject(
    request_id: RequestArgument,
    site: SiteOption,
    reason: Annotated[Refusal, typer.Option("--reason", help="Why.")],
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Reject an open request."""
    _print(_rights(site, config, data).reject(site, request_id, reason))


@rights_app.command("extend")
def extend(request_id: RequestArgument, site: SiteOption, config: ConfigOption = None, data: DataOption = None) -> None:
    """Give an open request two more months, once."""
    _print(_rights(site, config, data).extend(site, request_id))


def rotate_subjects(
    site: SiteOption,
    destroy_after: Annotated[int, typer.Option("--destroy-after", help="Days until the older keys are destroyed.")] = DESTROY_AFTER_DAYS,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Replace the key that finds people's consent. People move to the new one when they are next seen; then the older one is destroyed."""
    settings, _ = opened(config, data, site=site)
    clock, engine = SystemClock(), connect(settings.intake_location)
    rotation = Rotation(engine, Subjects(engine, rootkey.load(settings), clock), clock)
    _print({**rotation.rotate(site, destroy_after_days=destroy_after), "versions": rotation.standing(site)})


def _rights(site: str, config: Path | None, data: Path | None) -> Rights:
    from tacit import wiring

    return wiring.web(*opened(config, data, site=site)).rights


def _print(answer: dict[str, Any]) -> None:
    typer.echo(json.dumps(answer, indent=2))
