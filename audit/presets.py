"""Shapes that some readers expect of a report. A preset adds tables and words; it never says that a law applies or is complied with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from audit.errors import UnknownPreset

SMALL_PART = 0.02
"""Categories below this part of the data may be left out of a summary by an independent auditor: NYC DCWP rule 5-301(d)."""

FOUR_FIFTHS = 0.8
"""Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4 D."""

DISCLAIMER = "The shape of this section follows what readers of {what} expect. It does not say that a law applies or is complied with."


def preset_section(name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """`{title, statement, tables: [{title, columns, rows}], notes}`. Raises `UnknownPreset`."""
    if name not in PRESETS:
        raise UnknownPreset(f"the presets are {', '.join(sorted(PRESETS))}")
    return PRESETS[name](result)


def _local_law_144(result: Mapping[str, Any]) -> dict[str, Any]:
    rows = _ratios(result)
    people = sum(max(row["people"], 0.0) for row in rows[: _groups_of_one(rows)]) or 1.0
    notes = [
        f"{row['dimension']}={row['group']} is below {SMALL_PART:.0%} of the people; an auditor may leave it out of a summary."
        for row in rows
        if row["people"] < SMALL_PART * people
    ]
    unknown = [{"columns": [u["dimension"], "" if u["share"] is None else f"{100 * u['share']:.1f} %"]} for u in result.get("unknown", [])]
    return {
        "title": "Selection rates and impact ratios",
        "statement": DISCLAIMER.format(what="New York City's Local Law 144"),
        "tables": [
            _table("Rate of each category, and its ratio to the highest rate", rows),
            {"title": "People whose category is not known", "columns": ["dimension", "share"], "rows": [u["columns"] for u in unknown]},
        ],
        "notes": notes,
    }


def _four_fifths(result: Mapping[str, Any]) -> dict[str, Any]:
    rows = _ratios(result)
    below = [
        f"{row['dimension']}={row['group']} ({row['what']})" for row in rows if row["ratio"] is not None and row["ratio"] < FOUR_FIFTHS
    ]
    found = f"Below four fifths: {', '.join(below)}." if below else "No ratio is below four fifths."
    return {
        "title": "The four-fifths screen",
        "statement": DISCLAIMER.format(what="the EEOC's Uniform Guidelines"),
        "tables": [_table("Ratio of each group's rate to the highest rate", rows)],
        "notes": [found, "A ratio is a screen, not a test: with few people or much noise it falls below four fifths by chance."],
    }


def _ai_act(result: Mapping[str, Any]) -> dict[str, Any]:
    window = result.get("window") or {"start": "", "end": ""}
    rows = [
        ["period of use that was looked at", f"{window['start']} to {window['end']}"],
        ["releases behind the figures", str(result["releases"])],
        ["what was compared", f"{len(result['comparisons'])} comparisons, simultaneous {result['confidence']:.0%}"],
        ["verdict", str(result["verdict"])],
        ["data about groups", "counts under differential privacy, separate purpose and key, deleted with the epoch; no record of a person"],
        ["who may see it", "officers and auditors of the site; the engine that adjusts has no access to group tables"],
    ]
    return {
        "title": "Events for logging and post-market monitoring",
        "statement": DISCLAIMER.format(what="Articles 12 and 72 of Regulation (EU) 2024/1689"),
        "tables": [{"title": "What was recorded automatically", "columns": ["event", "record"], "rows": rows}],
        "notes": ["Each scan, finding, correction and sign-off is an entry of the evidence log with its time and place in the log."],
    }


PRESETS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "nyc_ll144": _local_law_144,
    "eeoc_four_fifths": _four_fifths,
    "eu_ai_act": _ai_act,
}


def _ratios(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each group's rate and its ratio to the highest of the same question; no ratio where a rate is not assessable."""
    highest: dict[tuple[str, str, str | None], float] = {}
    for c in result["comparisons"]:
        if c["rate"] is not None and c["reason"] is None:
            key = (c["dimension"], c["statistic"], c["arm"])
            highest[key] = max(highest.get(key, 0.0), c["rate"])
    found = []
    for c in result["comparisons"]:
        top = highest.get((c["dimension"], c["statistic"], c["arm"]), 0.0)
        assessed = c["rate"] is not None and c["reason"] is None and top > 0
        what = c["statistic"] + (f" {c['arm']}" if c["arm"] else "")
        rate = c["rate"] if assessed else None
        found.append(
            {"dimension": c["dimension"], "group": c["group"], "what": what, "people": c["people"]}
            | {"rate": rate, "ratio": rate / top if rate is not None else None}
        )
    return found


def _groups_of_one(rows: list[dict[str, Any]]) -> int:
    first = rows[0] if rows else {}
    return sum(row["dimension"] == first.get("dimension") and row["what"] == first.get("what") for row in rows)


def _table(title: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    cells = [
        [
            row["dimension"],
            row["group"],
            row["what"],
            f"{max(row['people'], 0):,.0f}",
            "not assessable" if row["rate"] is None else f"{100 * row['rate']:.1f} %",
            "" if row["ratio"] is None else f"{row['ratio']:.2f}",
        ]
        for row in rows
    ]
    return {"title": title, "columns": ["dimension", "category", "what", "people (noisy)", "rate", "impact ratio"], "rows": cells}
