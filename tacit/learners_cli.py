"""Commands about learners: simulate a policy before it starts, and look at the models of a running one."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tacit.core.errors import Problem


class Form(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Simulated(StrEnum):
    """The learners that need nothing but the policy's own trials."""

    FIXED = "fixed"
    THOMPSON = "thompson"


def register(app: typer.Typer) -> None:
    """Add these commands to `tacit`."""
    app.command("simulate")(simulate)


def simulate(
    file: Annotated[Path, typer.Argument(help="Supposed true rates as CSV: policy,cell,arm,rate,share,people.")],
    epsilon: Annotated[str, typer.Option(help="What a person may lose in an epoch; the policy has all of it.")] = "1",
    delta: Annotated[str, typer.Option(help="With which probability it may be more.")] = "1e-6",
    windows: Annotated[int, typer.Option(help="Windows over which the people arrive, each with its release.", min=1, max=10_000)] = 100,
    learner: Annotated[Simulated, typer.Option(help="The policy's learner.")] = Simulated.THOMPSON,
    seeds: Annotated[int, typer.Option(help="How often everything is repeated.", min=1, max=1_000)] = 3,
    explore: Annotated[float, typer.Option(help="This part of the traffic is always divided between all arms.", min=0, max=1)] = 0.03,
    form: Annotated[Form, typer.Option("--format", help="table, json or csv.")] = Form.TABLE,
) -> None:
    """What a given epsilon costs, before a policy starts: the real sanitiser and learner against supposed true rates.

    Lifts are relative to an even split over all people. `kept` is the part of the lift without privacy that is kept with it.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TimeRemainingColumn

    from tacit.simulation import Terms, read
    from tacit.simulation import simulate as run
    from tacit.tables import show

    terms = Terms(
        _within(epsilon, "epsilon", most=20), _within(delta, "delta", most=Decimal("0.001")), windows, seeds, learner.value, explore
    )
    worlds = read(file)
    columns = ("[progress.description]{task.description}", BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Windows", total=None)
        found = run(worlds, terms, progress=lambda done, total: bar.update(task, completed=done, total=total))
    if form is Form.JSON:
        show([found], form, single=True)
        return
    rows: list[dict[str, Any]] = [{"policy": one["policy"], "people": one["people"], **one["lift"]} for one in found["policies"]]
    show([*rows, {"policy": "(mean)", "people": "", **found["lift"]}], form)


def _within(text: str, name: str, *, most: Decimal | int) -> Decimal:
    try:
        found = Decimal(text)
    except ArithmeticError:
        found = Decimal(0)
    if not found.is_finite() or not 0 < found <= most:
        raise Problem(f"--{name} is not a number above 0 and up to {most}", next_step="Give for example --epsilon 1 --delta 1e-6.")
    return found
