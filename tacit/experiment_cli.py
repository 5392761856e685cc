"""`tacit experiment`: what a policy achieves, a sentence first and then numbers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.options import ConfigOption, DataOption, SiteOption, opened


class Form(StrEnum):
    """How an experiment is printed."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command to `tacit`."""
    app.command("experiment")(show_experiment)


def show_experiment(
    site: SiteOption,
    policy: Annotated[str, typer.Option("--policy", help="The policy's name in the declaration.")],
    form: Annotated[Form, typer.Option("--format", help="text or json.")] = Form.TEXT,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """What a policy achieves against its holdout and arm by arm, with intervals that hold however often one looks.

    Also its KPIs and guardrails, whether the shares of arms are as declared, and how long it may still take. Spends no budget.
    """
    from adjust.api import experiment_of
    from adjust.errors import UnknownPolicy
    from adjust.experiment_store import ExperimentStore
    from privacy.releases import ReleaseStore
    from tacit.tables import show

    settings, declaration = opened(config, data, site=site)
    declared = declaration.sites[site]
    if policy not in declared.policies:
        raise UnknownPolicy(next_step=f"The site declares {', '.join(declared.policies) or 'no policy'}.")
    engine = connect(settings.released_location)
    try:
        found = experiment_of(declared, policy, ReleaseStore(engine, SystemClock()), ExperimentStore(engine))
    finally:
        engine.dispose()
    if form is Form.JSON:
        show([found], "json", single=True)
        return
    for line in lines(found):
        typer.echo(line)


def lines(found: dict[str, Any]) -> list[str]:
    """The experiment in words and numbers."""
    said = [found["sentence"], ""]
    if found["as_of"] is None:
        return said[:1]
    said.append(f"Verdict: {found['verdict']}. {found['windows']} window{'' if found['windows'] == 1 else 's'} until {found['as_of']}.")
    for one in found.get("sequences", []):
        said.append(f"  {one['name']} against {one['against']}: {_points(one)}{_decided(one)}")
    for arm in found["arms"]:
        rate = "too few people" if arm["rate"] is None else f"{100 * arm['rate']:.2f} % ({100 * arm['low']:.2f} to {100 * arm['high']:.2f})"
        trials = f", {arm['trials']:,.0f} ± {1.96 * arm['trials_sd']:,.0f} trials" if arm["trials_sd"] else " in every cell"
        said.append(f"  arm {arm['arm']}: {rate}{trials}")
    for kpi in found.get("kpis", []):
        first = kpi["sequences"][0]
        between = "cannot tell" if first["low"] is None else f"{first['low']:+.3g} to {first['high']:+.3g}"
        mean = "" if kpi["mean"] is None else f" (mean {kpi['mean']:.3g})"
        said.append(f"  KPI {kpi['name']}{mean}, {first['name']} against {first['against']}: {between}; {kpi['verdict']}")
    for rail in found.get("guardrails", []):
        state = {True: "CROSSED", False: "kept", None: "cannot tell"}[rail["crossed"]]
        value = "" if rail["value"] is None else f" ({rail['value']:.4g}, bound {rail['bound']:g})"
        said.append(f"  guardrail {rail['name']}: {state}{value}")
    ratio = found.get("sample_ratio")
    if ratio is not None:
        words = {True: "as declared", False: "NOT AS DECLARED", None: "cannot tell yet"}
        said.append(f"  shares of arms: {words[ratio['matches']]}")
    for needed in found.get("needed", []):
        days = "more than ten years" if needed["days"] is None else f"{needed['days']:.1f} more days"
        said.append(f"  to find {needed['relative']:+.0%} of the rate: {days}")
    return said


def _points(one: dict[str, Any]) -> str:
    if one["low"] is None:
        return "too few people beside the noise"
    guess = min(max(one["difference"], one["low"]), one["high"])
    return f"{100 * one['low']:+.2f} to {100 * one['high']:+.2f} points (best guess {100 * guess:+.2f})"


def _decided(one: dict[str, Any]) -> str:
    return f", different from zero since {one['decided_at']}" if one["decided_at"] else ""
