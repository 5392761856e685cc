"""`tacit policies …`: what there is, and approving, pausing, resuming and archiving from the operator's own shell."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from adjust.policies import PolicyBook
from adjust.policies_api import detail, summary
from audit.log import Log
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.declaration import Site
from tacit.options import ConfigOption, DataOption, SiteOption, opened
from tacit.tables import show


class ListFormat(StrEnum):
    """How lists are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


policies_app = typer.Typer(no_args_is_help=True, help="Policies: what runs, who changed it, and stopping or approving it.")

FormatOption = Annotated[ListFormat, typer.Option("--format", help="json, csv or table.")]
NameArgument = Annotated[str, typer.Argument(help="The policy's name.")]
NoteOption = Annotated[str, typer.Option("--note", help="Why; kept in the history and the evidence log.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `tacit`."""
    app.add_typer(policies_app, name="policies")


@policies_app.command("list")
def list_policies(site: SiteOption, form: FormatOption = ListFormat.TABLE, config: ConfigOption = None, data: DataOption = None) -> None:
    """Every policy with its state and current version."""
    with _book(site, config, data) as (book, declared):
        show([summary(book, declared, name) for name in declared.policies], form)


@policies_app.command("show")
def show_policy(policy: NameArgument, site: SiteOption, config: ConfigOption = None, data: DataOption = None) -> None:
    """One policy with every version, event and standing order, as JSON."""
    with _book(site, config, data) as (book, declared):
        typer.echo(json.dumps(detail(book, declared, policy), indent=2))


@policies_app.command("history")
def history(
    policy: NameArgument, site: SiteOption, form: FormatOption = ListFormat.TABLE, config: ConfigOption = None, data: DataOption = None
) -> None:
    """What happened to a policy, newest first."""
    with _book(site, config, data) as (book, declared):
        show(detail(book, declared, policy)["events"], form)


@policies_app.command("approve")
def approve(
    policy: NameArgument,
    site: SiteOption,
    version: Annotated[int | None, typer.Option(help="The draft; the newest one when left out.")] = None,
    note: NoteOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Let a draft run from the next bundle on."""
    with _book(site, config, data) as (book, declared):
        found = book.approve(declared, policy, actor=_actor(), version=version, note=note)
        typer.echo(f"Version {found.version} of {policy} runs from the next bundle on.")


@policies_app.command("pause")
def pause(policy: NameArgument, site: SiteOption, note: NoteOption = "", config: ConfigOption = None, data: DataOption = None) -> None:
    """Show everybody the default arm."""
    with _book(site, config, data) as (book, declared):
        book.pause(declared, policy, actor=_actor(), note=note)
        typer.echo(f"{policy} is paused from the next bundle on.")


@policies_app.command("resume")
def resume(policy: NameArgument, site: SiteOption, note: NoteOption = "", config: ConfigOption = None, data: DataOption = None) -> None:
    """Let a paused policy run again."""
    with _book(site, config, data) as (book, declared):
        book.resume(declared, policy, actor=_actor(), note=note)
        typer.echo(f"{policy} runs from the next bundle on.")


@policies_app.command("archive")
def archive(policy: NameArgument, site: SiteOption, note: NoteOption = "", config: ConfigOption = None, data: DataOption = None) -> None:
    """Take a policy out of service."""
    with _book(site, config, data) as (book, declared):
        book.archive(declared, policy, actor=_actor(), note=note)
        typer.echo(f"{policy} is archived.")


def _actor() -> str:
    """Who works at this shell: the history names the account, as keys are named by their id."""
    return f"shell:{getpass.getuser()}"[:64]


@contextmanager
def _book(site: str, config: Path | None, data: Path | None) -> Iterator[tuple[PolicyBook, Site]]:
    settings, declaration = opened(config, data, site=site)
    engine, clock = connect(settings.released_location), SystemClock()
    try:
        book = PolicyBook(engine, Log(engine, clock), clock)
        book.declare(declaration.sites[site])
        yield book, declaration.sites[site]
    finally:
        engine.dispose()
