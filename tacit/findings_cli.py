"""`tacit findings …`: list, read and work on findings. Reading asks for no key; a step needs the key of the person who takes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Engine

from audit.service import Asking, Findings
from tacit.core.access import RESPONSIBLE, KeyStore
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.errors import Forbidden, Unauthenticated, UnknownSite
from tacit.options import ConfigOption, DataOption, opened

findings_app = typer.Typer(invoke_without_command=True, help="What bias scans found, and what is done about it.")


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


SiteOption = Annotated[str | None, typer.Option("--site", help="The site's name; may be left out where there is only one.")]
FindingArgument = Annotated[str, typer.Argument(help="The finding's id.")]
KeyOption = Annotated[str, typer.Option("--key", help="Your own officer's or admin's key.", envvar="TACIT_KEY", show_default=False)]
NoteOption = Annotated[str, typer.Option("--note", help="Why; kept in the history.")]
RemarkOption = Annotated[str | None, typer.Option("--note", help="A remark; kept in the history.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `tacit`."""
    app.add_typer(findings_app, name="findings")


@findings_app.callback()
def listed(
    context: typer.Context,
    site: SiteOption = None,
    form: Annotated[Format, typer.Option("--format", help="table, json or csv.")] = Format.TABLE,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """What bias scans found; without a command below, the list of all findings of a site."""
    if context.invoked_subcommand is not None:
        return
    from audit.store import AuditStore
    from tacit.tables import show

    with _opened(config, data, site) as (desk, named):
        found, _ = AuditStore(desk.engine).findings(named, limit=1000)
    show([finding.to_json() for finding in found], form)


@findings_app.command("show")
def show_one(finding: FindingArgument, site: SiteOption = None, config: ConfigOption = None, data: DataOption = None) -> None:
    """One finding with its history, as JSON."""
    with _opened(config, data, site) as (desk, named):
        _print(desk.findings.get(named, finding))


@findings_app.command()
def assign(
    finding: FindingArgument,
    to: Annotated[str | None, typer.Option("--to", help="The id of the key of whoever is to decide; yourself if left out.")] = None,
    due: Annotated[str | None, typer.Option("--due", help="Until when; ISO 8601 with a zone.")] = None,
    note: RemarkOption = None,
    key: KeyOption = "",
    site: SiteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make somebody responsible."""
    with _opened(config, data, site) as (desk, named):
        _print(desk.findings.assign(desk.asking(key, named), finding, assignee=to, due_ms=_moment(due, "due"), note=note))


@findings_app.command()
def accept(
    finding: FindingArgument,
    note: NoteOption,
    until: Annotated[str | None, typer.Option("--until", help="For how long; ISO 8601 with a zone. Ninety days if left out.")] = None,
    key: KeyOption = "",
    site: SiteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """The difference stands, for a stated time, and why."""
    with _opened(config, data, site) as (desk, named):
        _print(desk.findings.accept(desk.asking(key, named), finding, note=note, until_ms=_moment(until, "until")))


@findings_app.command()
def correct(
    finding: FindingArgument,
    change: Annotated[
        str, typer.Argument(help='What to change, as JSON: {"kind": "pause"}, {"kind": "cap", "arm": "larger", "most": 0.3} …')
    ],
    price: Annotated[bool, typer.Option("--price", help="Only say what it would cost.")] = False,
    note: RemarkOption = None,
    key: KeyOption = "",
    site: SiteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Have the policy changed; the next scan verifies."""
    from audit.errors import ChangeInvalid
    from audit.ports import change_from

    try:
        given = json.loads(change)
    except ValueError:
        raise ChangeInvalid("it is not JSON") from None
    wanted = change_from(given if isinstance(given, dict) else {})
    with _opened(config, data, site) as (desk, named):
        if price:
            _print(desk.findings.price(named, finding, wanted).to_json())
        else:
            _print(desk.findings.correct(desk.asking(key, named), finding, wanted, note=note))


@findings_app.command()
def dismiss(
    finding: FindingArgument,
    note: NoteOption,
    key: KeyOption = "",
    site: SiteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """It is no finding, and why."""
    with _opened(config, data, site) as (desk, named):
        _print(desk.findings.dismiss(desk.asking(key, named), finding, note=note))


@findings_app.command()
def comment(
    finding: FindingArgument,
    note: NoteOption,
    key: KeyOption = "",
    site: SiteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say something; the finding stays as it is."""
    with _opened(config, data, site) as (desk, named):
        _print(desk.findings.comment(desk.asking(key, named), finding, note=note))


@findings_app.command()
def sign(
    finding: FindingArgument,
    note: RemarkOption = None,
    key: KeyOption = "",
    site: SiteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Sign the decision off; two different keys have to."""
    with _opened(config, data, site) as (desk, named):
        _print(desk.findings.sign(desk.asking(key, named), finding, note=note))


@findings_app.command()
def close(
    finding: FindingArgument,
    note: RemarkOption = None,
    key: KeyOption = "",
    site: SiteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """End a finding that two people have signed."""
    with _opened(config, data, site) as (desk, named):
        _print(desk.findings.close(desk.asking(key, named), finding, note=note))


@findings_app.command()
def reopen(
    finding: FindingArgument,
    note: NoteOption,
    key: KeyOption = "",
    site: SiteOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Take a decision back, and why."""
    with _opened(config, data, site) as (desk, named):
        _print(desk.findings.reopen(desk.asking(key, named), finding, note=note))


class _Desk:
    """The released vault as an officer works on it from a terminal."""

    def __init__(self, engine: Engine, findings: Findings, keys: KeyStore) -> None:
        self.engine, self.findings, self._keys = engine, findings, keys

    def asking(self, key: str, site: str) -> Asking:
        """The person behind a key. Raises `Unauthenticated` and `Forbidden`."""
        if not key:
            raise Unauthenticated("a step is taken in somebody's name", next_step="Give your own key with --key or TACIT_KEY.")
        caller = self._keys.identify(key)
        if caller.role not in RESPONSIBLE:
            raise Forbidden(f"it needs one of the roles {', '.join(sorted(RESPONSIBLE))}")
        return Asking(caller, caller.site_for(site))


@contextmanager
def _opened(config: Path | None, data: Path | None, site: str | None) -> Iterator[tuple[_Desk, str]]:
    from tacit import wiring

    settings, declaration = opened(config, data)
    named = site or (next(iter(declaration.sites)) if len(declaration.sites) == 1 else "")
    if named not in declaration.sites:
        raise UnknownSite(f"the declaration has {', '.join(declaration.sites)}", next_step="Add --site NAME.")
    engine = connect(settings.released_location)
    try:
        desk = wiring.findings(engine, declaration, SystemClock())
        yield _Desk(engine, desk, KeyStore(engine)), named
    finally:
        engine.dispose()


def _moment(text: str | None, name: str) -> int | None:
    from audit.findings_api import moment_ms

    return moment_ms(text, name)


def _print(answer: dict[str, Any]) -> None:
    typer.echo(json.dumps(answer, indent=2))
