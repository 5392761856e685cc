"""Anybody's noisy tables, read strictly. A table that does not say how noisy it is is refused, never taken for exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from audit.differences import Tally
from audit.errors import TableRefused

EXACT = "none"
MECHANISMS = (EXACT, "discrete_gaussian", "discrete_laplace")
LARGEST = 1e15
"""Beyond this a float no longer counts people one by one. It also keeps infinities and NaN out."""


@dataclass(frozen=True, slots=True)
class ForeignTable:
    """One table of hits (`bin` 1) and misses (`bin` 0) by group, with equal noise in each cell."""

    id: str | int
    limit: float
    tallies: dict[str, Tally]


def read_table(line: object) -> ForeignTable:
    """The table in one JSON object. Raises `TableRefused` naming the place of the fault, never the value."""
    if not isinstance(line, Mapping):
        raise TableRefused("a table has to be an object")
    identifier, limit = line.get("id"), line.get("limit")
    if isinstance(identifier, bool) or not isinstance(identifier, str | int):
        raise TableRefused("/id: it has to be a text or a whole number")
    if not _is_number(limit) or not 0 <= limit <= 1:
        raise TableRefused("/limit: it has to be a number from 0 to 1")
    variance = _noise_sd(line.get("mechanism")) ** 2
    values = _cells(line.get("cells"))
    if variance and (incomplete := [i for i, group in enumerate(_groups(values)) if not {(group, "0"), (group, "1")} <= values.keys()]):
        raise TableRefused(f"/cells: {len(incomplete)} of the groups lack a bin, and a noisy table has to be complete")
    tallies = {g: Tally(values.get((g, "1"), 0.0), values.get((g, "0"), 0.0), variance, variance) for g in _groups(values)}
    return ForeignTable(identifier, float(limit), tallies)


def _noise_sd(mechanism: object) -> float:
    if not isinstance(mechanism, Mapping):
        raise TableRefused('/mechanism: it is missing; an exact table says {"name": "none"}')
    name, sd = mechanism.get("name"), mechanism.get("sd")
    if name not in MECHANISMS:
        raise TableRefused(f"/mechanism/name: it has to be one of {', '.join(MECHANISMS)}")
    if name == EXACT:
        if sd not in (None, 0):
            raise TableRefused("/mechanism/sd: a table without noise has none")
        return 0.0
    if not _is_number(sd) or not sd > 0:
        raise TableRefused("/mechanism/sd: it has to be a number above 0, the standard deviation of the noise in one cell")
    return float(sd)


def _cells(cells: object) -> dict[tuple[str, str], float]:
    if not isinstance(cells, list):
        raise TableRefused("/cells: it has to be a list")
    values: dict[tuple[str, str], float] = {}
    for index, cell in enumerate(cells):
        at = f"/cells/{index}"
        if not isinstance(cell, Mapping):
            raise TableRefused(f"{at}: it has to be an object")
        group, bin_, value = cell.get("group"), cell.get("bin"), cell.get("value")
        if not isinstance(group, str):
            raise TableRefused(f"{at}/group: it has to be a text")
        if isinstance(bin_, bool) or bin_ not in ("1", "0", 1, 0):
            raise TableRefused(f'{at}/bin: it has to be "1" or "0"')
        if not _is_number(value):
            raise TableRefused(f"{at}/value: it has to be a finite number")
        key = (group, str(bin_))
        if key in values:
            raise TableRefused(f"{at}: the cell stands twice")
        values[key] = float(value)
    return values


def _groups(values: Mapping[tuple[str, str], float]) -> list[str]:
    return list(dict.fromkeys(group for group, _ in values))


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
