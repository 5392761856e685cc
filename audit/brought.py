"""`tacit scan --tables`: the same inference on tables that anybody brings, one JSON object a line.

A line that cannot be read costs only itself. Tables are judged apart from each other; many are computed at once because that is faster.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from audit.comparisons import Comparison
from audit.differences import Verdict, worst
from audit.errors import TableRefused
from audit.foreign import ForeignTable, read_table
from audit.gaps import gaps_of, spread_of
from audit.judging import answer
from audit.randomised import randomised_spread

BATCH = 256
STATED = ("ratio", "ratio_to_highest", "detectable", "people", "people_sd", "rate", "rest_rate", "standard_error", "noise_error")


def infer_table(line: Mapping[str, Any]) -> dict[str, Any]:
    """Judge one table. Every group that it names is compared, also one called `other`. Raises `TableRefused`."""
    (answered,) = _judged([read_table(line)])
    return answered


def infer_lines(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """One answer for each line that is not empty, in order: a table's, or `{"line", "error"}` with what is wrong and what to do."""
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while batch := list(itertools.islice(numbered, BATCH)):
        read = [_read(number, line) for number, line in batch]
        judged = iter(_judged([one for one in read if isinstance(one, ForeignTable)]))
        yield from (next(judged) if isinstance(one, ForeignTable) else one for one in read)


def _read(number: int, line: bytes) -> ForeignTable | dict[str, Any]:
    try:
        return read_table(json.loads(line))
    except TableRefused as refused:
        fault = refused
    except (ValueError, RecursionError):
        fault = TableRefused("the line is not JSON")
    return {"line": number, "error": {"code": fault.type, "detail": fault.detail, "next_step": fault.next_step}}


def is_refused(answered: Mapping[str, Any]) -> bool:
    """Whether a line was refused instead of judged."""
    return "error" in answered


def _judged(tables: Sequence[ForeignTable]) -> list[dict[str, Any]]:
    every = answer([([table.asked], table.limit) for table in tables])
    return [_to_json(table, comparisons) for table, comparisons in zip(tables, every, strict=True)]


def _to_json(table: ForeignTable, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    asked = table.asked
    plain = asked.randomised == (1.0, 0.0)
    gap = gaps_of([spread_of(asked.groups) if plain else randomised_spread(asked.groups, asked.randomised)]) if comparisons else None
    return {
        "id": table.id,
        "verdict": worst([c.verdict for c in comparisons]).value,
        "groups": [_group(c) for c in comparisons],
        "largest_gap": None if gap is None else {"gap": gap[0], "p": gap[1]},
        "not_assessable": sum(c.interval is None for c in comparisons),
    }


def _group(one: Comparison) -> dict[str, Any]:
    return {
        "group": one.group,
        "difference": one.difference,
        "interval": list(one.interval) if one.interval else None,
        "p": one.p,
        "verdict": one.verdict.value,
        "reason": one.reason.value if one.reason else None,
        "ratio_interval": list(one.ratio_interval) if one.ratio_interval else None,
    } | {name: getattr(one, name) for name in STATED}


def is_breach(answered: Mapping[str, Any]) -> bool:
    """Whether a table was judged a breach."""
    return answered.get("verdict") == Verdict.BREACH
