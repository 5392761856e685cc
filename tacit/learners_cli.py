"""Commands about learners: simulate a policy before it starts, and look at the models of a running one."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from adjust.errors import UnknownPolicy
from adjust.models_store import ModelStore
from adjust.policies import PolicyBook
from tacit.core.clock import SystemClock, iso
from tacit.core.db import connect
from tacit.core.declaration import Site
from tacit.core.errors import Problem
from tacit.options import ConfigOption, DataOption, SiteOption, opened


class Form(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Simulated(StrEnum):
    """The learners that need nothing but the policy's own trials."""

    FIXED = "fixed"
    THOMPSON = "thompson"
    TOP_TWO = "top_two"


models_app = typer.Typer(no_args_is_help=True, help="Model versions: what a policy's weights come from, and rolling back.")

PolicyOption = Annotated[str, typer.Option("--policy", help="The policy's name in the declaration.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `tacit`."""
    app.command("simulate")(simulate)
    app.add_typer(models_app, name="models")


@models_app.command("list")
def list_models(
    site: SiteOption,
    policy: PolicyOption,
    limit: Annotated[int, typer.Option(help="At most so many, newest first.", min=1)] = 20,
    form: Annotated[Form, typer.Option("--format", help="table, json or csv.")] = Form.TABLE,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """The versions of a policy's model, newest first; the one that was rolled back to is marked."""
    from tacit.tables import show

    store, book, _ = _registry(config, data, site, policy)
    pinned = book.controls.read(site, policy).pinned
    found = store.list(site, policy, limit=limit)
    if form is Form.JSON:
        show([{"pinned": pinned, "models": [m.to_json(whole=False) for m in found]}], form, single=True)
        return
    rows: list[dict[str, Any]] = [
        {
            "version": m.version,
            "at": iso(m.at_ms),
            "learner": m.learner,
            "windows": m.metrics.get("windows"),
            "trials": m.metrics.get("trials"),
            "sha256": m.sha256[:16],
            "stands": "rolled back to" if m.version == pinned else "",
        }
        for m in found
    ]
    show(rows, form)


@models_app.command("show")
def show_model(
    site: SiteOption,
    policy: PolicyOption,
    version: Annotated[int, typer.Argument(help="The version's number.", min=1)],
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """One version as JSON: its releases, parameters, metrics, weights and hash."""
    from tacit.tables import show

    store, _, _ = _registry(config, data, site, policy)
    show([store.get(site, policy, version).to_json()], "json", single=True)


@models_app.command("compare")
def compare_models(
    site: SiteOption,
    policy: PolicyOption,
    a: Annotated[int, typer.Argument(help="A version's number.", min=1)],
    b: Annotated[int, typer.Argument(help="The number of the version that is held against it.", min=1)],
    form: Annotated[Form, typer.Option("--format", help="table, json or csv.")] = Form.TABLE,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """What two versions are expected to give, from the same released figures, and whether the difference is more than its error."""
    from adjust.pricing import Pricing
    from privacy.releases import ReleaseStore
    from tacit.tables import show

    store, book, declared = _registry(config, data, site, policy)
    found = Pricing(ReleaseStore(store.engine), store, book).compare(declared, declared.policies[policy], a, b)
    if form is Form.JSON:
        show([found.to_json()], form, single=True)
        return
    show([{"version": found.a, "reward": found.reward_a}, {"version": found.b, "reward": found.reward_b}], form)
    typer.echo(found.sentence, err=form is Form.CSV)


@models_app.command("rollback")
def roll_back(
    site: SiteOption,
    policy: PolicyOption,
    version: Annotated[int | None, typer.Argument(help="The version that is to stand; left out, the newest again.", min=1)] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Let an earlier version's weights stand from the next bundle on. Learning goes on beside it."""
    store, book, declared = _registry(config, data, site, policy)
    if version is not None:
        store.servable(site, policy, version)
    book.order(declared, policy, "pinned", version, actor="command line")
    typer.echo(f"The next bundle serves {'the newest version' if version is None else f'version {version}'} of {policy}.")


def _registry(config: Path | None, data: Path | None, site: str, policy: str) -> tuple[ModelStore, PolicyBook, Site]:
    from audit.log import Log

    settings, declaration = opened(config, data, site=site)
    if policy not in declaration.sites[site].policies:
        raise UnknownPolicy(next_step=f"The site declares {', '.join(declaration.sites[site].policies) or 'no policy'}.")
    engine, clock = connect(settings.released_location), SystemClock()
    return ModelStore(engine), PolicyBook(engine, Log(engine, clock), clock), declaration.sites[site]


def simulate(
    file: Annotated[Path, typer.Argument(help="Supposed true rates as CSV: policy,cell,arm,rate,share,people.")],
    epsilon: Annotated[str, typer.Option(help="What a person may lose in an epoch; the policy has all of it.")] = "1",
    delta: Annotated[str, typer.Option(help="With which probability it may be more.")] = "1e-6",
    windows: Annotated[int, typer.Option(help="Windows over which the people arrive, each with its release.", min=1, max=10_000)] = 100,
    learner: Annotated[Simulated, typer.Option(help="The policy's learner.")] = Simulated.THOMPSON,
    seeds: Annotated[int, typer.Option(help="How often everything is repeated.", min=1, max=1_000)] = 3,
    explore: Annotated[float, typer.Option(help="This part of the traffic is always divided between all arms.", min=0, max=1)] = 0.03,
    drift: Annotated[float, typer.Option(help="Relative size of each rate's random step from window to window.", min=0, max=1)] = 0.0,
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
        _within(epsilon, "epsilon", most=20), _within(delta, "delta", most=Decimal("0.001")), windows, seeds, learner.value, explore, drift
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
    if form is Form.TABLE and found["kept_error"] is not None:
        typer.echo(f"kept is uncertain by {found['kept_error']:.3f} (standard error over policies)")


def _within(text: str, name: str, *, most: Decimal | int) -> Decimal:
    try:
        found = Decimal(text)
    except ArithmeticError:
        found = Decimal(0)
    if not found.is_finite() or not 0 < found <= most:
        raise Problem(f"--{name} is not a number above 0 and up to {most}", next_step="Give for example --epsilon 1 --delta 1e-6.")
    return found
