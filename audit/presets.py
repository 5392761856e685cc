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
    whole = {key: sum(max(row["people"], 0.0) for row in rows if _question(row) == key) or 1.0 for key in map(_question, rows)}
    small = [(row["dimension"], row["group"]) for row in rows if row["people"] < SMALL_PART * whole[_question(row)]]
    notes = [
        f"{dimension}={group} is below {SMALL_PART:.0%} of the people; an auditor may leave it out of a summary."
        for dimension, group in dict.fromkeys(small)
    ]
    crossed = [row for row in rows if row["level"] == "intersections"]
    if not crossed:
        notes.append("No intersections are declared for this audit (`intersections` in tacit.yaml).")
    return {
        "title": "Selection rates and impact ratios",
        "statement": DISCLAIMER.format(what="New York City's Local Law 144"),
        "tables": [
            _table("Rate of each category, and its ratio to the highest rate", [row for row in rows if row["level"] == "groups"]),
            _table("The same for intersections of categories", crossed),
            {
                "title": "People whose category is not known",
                "columns": ["dimension", "share"],
                "rows": list(map(_unknown, result.get("unknown", []))),
            },
        ],
        "notes": notes,
    }


def _unknown(one: Mapping[str, Any]) -> list[str]:
    share = "cannot be told beside the noise" if one["share"] is None else f"{100 * one['share']:.1f} % ± {196 * one['sd']:.1f}"
    return [one["dimension"], share]


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
        ["trend", _trend(result.get("trend"))],
        ["data about groups", "counts under differential privacy, separate purpose and key, deleted with the epoch; no record of a person"],
        ["who may see it", "officers and auditors of the site; the engine that adjusts has no access to group tables"],
    ]
    return {
        "title": "Events for logging and post-market monitoring",
        "statement": DISCLAIMER.format(what="Articles 12 and 72 of Regulation (EU) 2024/1689"),
        "tables": [{"title": "What was recorded automatically", "columns": ["event", "record"], "rows": rows}],
        "notes": ["Each scan, finding, correction and sign-off is an entry of the evidence log with its time and place in the log."],
    }


def _trend(trend: Mapping[str, Any] | None) -> str:
    if not trend:
        return "not followed"
    alarms = [s["subject"] for s in trend["subjects"] if s["alarm"]]
    return f"scans so far: {trend['scans']}; " + (f"alarm: {', '.join(alarms)}" if alarms else "no alarm")


PRESETS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "nyc_ll144": _local_law_144,
    "eeoc_four_fifths": _four_fifths,
    "eu_ai_act": _ai_act,
}


def _ratios(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each group's and intersection's rate and its ratio to the highest of the same question; none where a rate is not assessable."""
    asked = [c for c in result["comparisons"] if c.get("level", "groups") in ("groups", "intersections")]
    found = [
        {
            "level": c.get("level", "groups"),
            "dimension": c["dimension"],
            "group": c["group"],
            "what": c["statistic"] + (f" {c['arm']}" if c["arm"] else ""),
            "people": c["people"],
            "rate": c["rate"] if c["reason"] is None else None,
        }
        for c in asked
    ]
    highest = {
        key: max((row["rate"] for row in found if _question(row) == key and row["rate"] is not None), default=0.0)
        for key in map(_question, found)
    }
    for row in found:
        top = highest[_question(row)]
        row["ratio"] = max(row["rate"], 0.0) / top if row["rate"] is not None and top > 0 else None
    return found


def _question(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["dimension"], row["what"]


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
