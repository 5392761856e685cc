"""The plan on the page Privacy budget: what the noise of each measure was reckoned to be before anything was collected, and advice."""

from __future__ import annotations

from .ports import PlanRow
from .tables import Column, Table

NOT_YET = "The sanitiser plans at its first pass."


def plan_tables(plan: PlanRow | None) -> tuple[Table, Table]:
    """The noise of each measure, and what to change in the declaration."""
    people = f" at {plan['people']:,} people a day, spread evenly" if plan else ""
    rows = [(m["measure"], m["noise"], m["share"], m["sd"], m["window"], m["epoch"], m["error"]) for m in plan["measures"]] if plan else []
    noise = Table(
        "plan",
        f"Plan: the noise to expect{people}",
        (
            Column("measure", "Measure"),
            Column("noise", "Noise over time"),
            Column("share", "Share", "percent"),
            Column("sd", "Standard deviation in a window", "number"),
            Column("window", "95 % half-width of a cell in a window", "number"),
            Column("epoch", "in an epoch", "number"),
            Column("error", "Noise over an epoch's count", "percent"),
        ),
        tuple(rows),
        empty=NOT_YET,
    )
    advice = Table(
        "advice",
        "Plan: what would help",
        (Column("path", "In the declaration"), Column("text", "Advice")),
        tuple((line["path"], line["text"]) for line in plan["advice"]) if plan else (),
        empty="There is no advice." if plan else NOT_YET,
    )
    return noise, advice
