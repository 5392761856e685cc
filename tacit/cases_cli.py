"""`tacit cases …`: declarations that run in the demonstration, to copy."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from tacit import cases
from tacit.tables import show

cases_app = typer.Typer(no_args_is_help=True, help="Ready declarations to copy and change.")


class ListFormat(StrEnum):
    """How the list is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add these commands to `tacit`."""
    app.add_typer(cases_app, name="cases")


@cases_app.command("list")
def list_cases(form: Annotated[ListFormat, typer.Option("--format", help="table, json or csv.")] = ListFormat.TABLE) -> None:
    """What there is."""
    show([{"case": name, "what it does": about} for name, about in cases.CASES.items()], form)


@cases_app.command("show")
def show_case(name: Annotated[str, typer.Argument(help="As `tacit cases list` names it.")]) -> None:
    """The commented declaration, for `tacit cases show NAME > tacit.yaml`."""
    typer.echo(cases.text(name), nl=False)
