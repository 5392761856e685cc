"""A plan on the terminal: a sentence on each site's promise, a table of the noise, what it takes to see through it, and advice."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from privacy.plan_words import count, percent, span
from privacy.plans import brief

WIDTH = 100
LONGEST_NAME = 24

LEGEND = "sd: standard deviation of the noise in a cell of one window; ±: its 95 % half-width, in a window and in an epoch's sum; "
LEGEND += "error: noise over the count that a cell is expected to have in an epoch."

Plan = Mapping[str, Any]
Row = Mapping[str, Any]


def show_plans(plans: Sequence[Plan]) -> None:
    """Print plans, one site after the other; no line is longer than `WIDTH`."""
    console = Console(width=WIDTH, highlight=False, soft_wrap=False)
    for plan in plans:
        _say(console, promise(plan))
        console.print(_table(plan["measures"]))
        _say(console, LEGEND)
        for heading, lines in (("What it takes", takes(plan)), ("Advice", advised(plan))):
            if found := list(lines):
                console.print(f"\n{heading}", markup=False)
                for line in found:
                    _say(console, line, bullet="- ")
        console.print()


def flat(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line a measure with its main numbers, unrounded, for spreadsheets."""
    return [
        {
            "site": row["site"],
            "measure": row["measure"],
            "kind": row["kind"],
            "share": row["share"],
            "rho_pico": row["rho_pico"],
            "delta_atto": row["delta_atto"],
            "cells": row["cells"],
            "mechanism": row["mechanism"],
            "over_time": row["over_time"],
            "sigma": row.get("sigma"),
            "window_sd": row.get("window_sd"),
            "half_width_95": row.get("half_width_95"),
            "half_width_95_epoch": row.get("half_width_95_epoch"),
            "relative_error_window": row.get("relative_error", {}).get("window"),
            "relative_error_epoch": row.get("relative_error", {}).get("epoch"),
            "what it takes": " ".join(_needs(row)),
            "advice": " ".join(line["code"] for line in row["advice"]),
        }
        for row in rows
    ]


def promise(plan: Plan) -> str:
    """What is promised to a person, what adds up, and what is left."""
    terms, traffic = plan["promise"], plan["traffic"]
    adds = ", ".join(f"{epsilon:g} over {epochs}" for epochs, epsilon in terms["accumulated"].items())
    keys = f" Of delta {terms['delta_for_keys']} is for undeclared values." if terms["keys_atto"] else ""
    each = f"{traffic['contributions']:g} contribution" + ("" if traffic["contributions"] == 1 else "s")
    return (
        f"{plan['site']}: whatever is published about one person in an epoch of {span(terms['epoch_ms'])} is differentially private with "
        f"epsilon {terms['epsilon']:g} and delta {terms['delta']:g}; somebody present in every epoch accumulates epsilon {adds} epochs. "
        f"Share of the budget left: {terms['share_left']}.{keys} Reckoned with {traffic['people']:,} people a day, spread evenly over "
        f"windows and cells, {each} each."
    )


def takes(plan: Plan) -> Iterator[str]:
    """A sentence for each thing that a measure needs, measure by measure."""
    for row in plan["measures"]:
        for sentence in _needs(row):
            yield f"{row['measure']}: {sentence}"


def advised(plan: Plan) -> Iterator[str]:
    """The advice, each line with the place in the declaration."""
    for line in plan["advice"]:
        yield f"{line['path']} ({line['code']}): {line['text']}"


def _needs(row: Row) -> Iterator[str]:
    if warning := row.get("warning"):
        yield f"{warning}."
    if "error" in row:
        yield _mechanism_of(row)
    if "sum_sigma" in row:
        window, epoch = row["sum_half_width_95"], row["sums"][0]["sum_half_width_95"]
        yield f"its sums are known within {count(window)} in a window and {count(epoch)} in an epoch."
    if needs := row.get("needs"):
        yield _learns(needs)
    if detects := row.get("detects"):
        yield _detects(detects)
    if shown := row.get("shown"):
        yield (
            f"a value is published where its noisy count reaches {shown['threshold']:,}: in half of the windows in which "
            f"{shown['people_for_even_odds']:,} people send it once, nearly always from {shown['people_for_near_certainty']:,} people on."
        )
    if local := row.get("local"):
        sds = local["epoch"]
        yield (
            f"randomised on the device with epsilon {local['epsilon']}: an epoch's cell has a standard deviation of {count(sds['sd'])} "
            f"instead of {count(sds['central_sd'])} and needs {count(sds['people_times'])} times the people for the same relative error. "
            f"One person tells anybody, this service included, at most epsilon {local['epsilon_in_an_epoch']} in an epoch."
        )


def _mechanism_of(row: Row) -> str:
    strategy = row["strategy"]
    if strategy is None:
        return f"{row['why']}."
    kept = strategy["remembers"]
    return (
        f"{row['why']}; {kept['numbers']:,} secret numbers are kept until a block of {strategy['block_windows']:,} windows "
        f"({span(strategy['block_ms'])}) ends."
    )


def _learns(needs: Mapping[str, Any]) -> str:
    people = " or ".join(
        f"{number:,} people at a reward rate of {percent(float(rate))}" for rate, number in needs["people_per_epoch"].items()
    )
    factors, later = (" or ".join(map(count, over["noise_factor"].values())) for over in (needs, needs["horizon"]))
    block = "" if factors == later else f", and over a whole block {later} times"
    return (
        f"{needs['rewards_per_cell_and_epoch']:,} rewards a cell and epoch for noise under 10 %: {people}. At this traffic noise costs "
        f"{factors} times the data of an epoch{block}."
    )


def _detects(detects: Mapping[str, Any]) -> str:
    if not detects["difference"]:
        return "there are no two groups to compare."
    people, rate = f"{detects['people']:,.0f} people", percent(detects["reward_rate"])
    if min(detects["difference"].values()) > 1:
        return f"an epoch of {people} is too short to show any difference."
    found = ", ".join(f"{100 * gap:.1f} points by {name}" for name, gap in detects["difference"].items())
    after = ", ".join(f"{epochs:,} by {name}" for name, epochs in detects.get("epochs_to_limit", {}).items())
    limit = f" Its limit of {100 * detects['limit']:g} points takes about so many epochs: {after}." if after else ""
    return (
        f"an epoch of {people} shows a difference of {found} around a reward rate of {rate}, four times in five, with "
        f"{detects['comparisons']} comparisons.{limit}"
    )


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("measure", max_width=LONGEST_NAME, overflow="fold")
    for name in ("share", "cells", "sd", "± window", "± epoch", "error"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("noise", no_wrap=True)
    for row in rows:
        line = brief(row)
        numbers = ["-" if line[name] is None else count(line[name]) for name in ("sd", "window", "epoch")]
        cells, error = f"{row['cells']:,}" if row["cells"] else "-", "-" if line["error"] is None else percent(line["error"])
        table.add_row(row["measure"], f"{row['share']:g}", cells, *numbers, error, line["noise"])
    return table


def _say(console: Console, text: str, bullet: str = "") -> None:
    filled = textwrap.fill(text, WIDTH, initial_indent=bullet, subsequent_indent=" " * len(bullet), break_on_hyphens=False)
    console.print(filled, markup=False)
