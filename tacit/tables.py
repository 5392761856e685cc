"""Lists on the terminal: as a table for people, as JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def show(rows: Sequence[Mapping[str, Any]], form: str, *, single: bool = False) -> None:
    """Print rows in one of the forms `table`, `json`, `csv`; nested values become JSON in a table's or CSV's cell."""
    if form == "json":
        sys.stdout.write(json.dumps(rows[0] if single else list(rows), indent=2) + "\n")
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    texts = [[_text(row.get(name)) for name in columns] for row in rows]
    if form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows(texts)
        return
    table = Table()
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name == "id")
    for row in texts:
        table.add_row(*row)
    Console().print(table if rows else "Nothing yet.")


def weights(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A bundle's weights as rows: policy, cell, and the probability of each arm in per cent."""
    rows = []
    for name, policy in payload["policies"].items():
        arms = policy["order"]["arms"]
        for cell, cumulative in {"(default)": policy["default"], **policy["weights"]}.items():
            shares = [b - a for a, b in zip([0, *cumulative], cumulative, strict=False)]
            rows.append(
                {"policy": name, "cell": cell} | {arm: f"{100 * s / cumulative[-1]:.1f} %" for arm, s in zip(arms, shares, strict=True)}
            )
    return rows


def release_lines(release: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A release for people: one line a cell, narrow enough for a terminal. CSV has each dimension and the bin in columns of their own."""
    return [
        {
            "window (UTC)": release["window"]["start"][:16].replace("T", " "),
            "measure": release["measure"],
            "cell": ", ".join([*cell["by"].values(), *([] if cell["bin"] == "count" else [cell["bin"]])]),
            "value": f"{cell['value']:,.1f}",
            "sd": f"{cell['sd']:,.1f}",
        }
        for cell in release["cells"]
    ]


def epochs(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The budget for people: one line an epoch."""
    return [
        {
            "epoch": row["epoch"]["start"],
            "until": row["epoch"]["end"],
            "epsilon promised": row["epsilon"]["promised"],
            "epsilon spent": _rounded(row["epsilon"]["spent"]),
            "delta": row["delta"],
            "spent by": ", ".join(spend["measure"] for spend in row["spends"]),
            "refused": ", ".join(refusal["measure"] for refusal in row["refused"]),
        }
        for row in rows
    ]


def _rounded(number: float | None) -> str:
    return "" if number is None else f"{number:.3g}"


def _text(value: object) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, dict | list | tuple) else str(value)
