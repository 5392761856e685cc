"""Anybody's noisy tables, read strictly. A table that does not say how noisy it is is refused, never taken for exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from audit.differences import Level
from audit.errors import TableRefused
from audit.pairs import Tallies
from audit.questions import REWARD, Asked
from audit.randomised import randomised_groups

EXACT, RANDOMISED = "none", "randomised_response"
MECHANISMS = (EXACT, "discrete_gaussian", "discrete_laplace", RANDOMISED)
LARGEST = 1e15
"""Beyond this a float no longer counts people one by one. It also keeps infinities and NaN out."""

LARGEST_EPSILON = 50.0
"""Beyond this an answer is the truth as far as a float can tell."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What is known of a table's noise: that of each cell, and how groups were randomised before they were counted."""

    sd: float = 0.0
    epsilon: float | None = None
    reported: bool = False
    """Whether the cells are counts of reports, which are debiased here, or are debiased already."""


@dataclass(frozen=True, slots=True)
class ForeignTable:
    """One table of hits (`bin` 1) and misses (`bin` 0) by group."""

    id: str | int
    limit: float
    asked: Asked


def read_table(line: object) -> ForeignTable:
    """The table in one JSON object. Raises `TableRefused` naming the place of the fault, never the value."""
    if not isinstance(line, Mapping):
        raise TableRefused("a table has to be an object")
    identifier, limit = line.get("id"), line.get("limit")
    if isinstance(identifier, bool) or not isinstance(identifier, str | int):
        raise TableRefused("/id: it has to be a text or a whole number")
    if not _is_number(limit) or not 0 <= limit <= 1:
        raise TableRefused("/limit: it has to be a number from 0 to 1")
    noise = _noise(line.get("mechanism"))
    values = _cells(line.get("cells"))
    groups = list(dict.fromkeys(group for group, _ in values))
    noisy = noise.sd > 0 or noise.epsilon is not None
    if noisy and (incomplete := [group for group in groups if not {(group, "0"), (group, "1")} <= values.keys()]):
        raise TableRefused(f"/cells: {len(incomplete)} of the groups lack a bin, and a noisy table has to be complete")
    hits, misses = (np.array([values.get((g, bin_), 0.0) for g in groups]) for bin_ in ("1", "0"))
    return ForeignTable(identifier, float(limit), _asked(groups, hits, misses, noise))


def _asked(groups: list[str], hits: Any, misses: Any, noise: Noise) -> Asked:
    labels = tuple((group,) for group in groups)
    same = (REWARD,)
    if noise.epsilon is not None and len(groups) > 1:
        own, rest, probabilities = randomised_groups(hits, misses, noise.epsilon, noise.sd, reported=noise.reported)
        return Asked(Level.GROUPS, ("group",), labels, REWARD, own, rest, same, randomised=probabilities)
    tallies = Tallies.of(hits, misses, noise.sd**2, noise.sd**2)
    return Asked(Level.GROUPS, ("group",), labels, REWARD, tallies, tallies.rest(), same)


def _noise(mechanism: object) -> Noise:
    if not isinstance(mechanism, Mapping):
        raise TableRefused('/mechanism: it is missing; an exact table says {"name": "none"}')
    name, sd = mechanism.get("name"), mechanism.get("sd")
    if name not in MECHANISMS:
        raise TableRefused(f"/mechanism/name: it has to be one of {', '.join(MECHANISMS)}")
    if name == EXACT:
        if sd not in (None, 0):
            raise TableRefused("/mechanism/sd: a table without noise has none")
        return Noise()
    if name == RANDOMISED:
        return _randomised(mechanism)
    if not _is_number(sd) or not sd > 0:
        raise TableRefused("/mechanism/sd: it has to be a number above 0, the standard deviation of the noise in one cell")
    return Noise(float(sd))


def _randomised(mechanism: Mapping[str, Any]) -> Noise:
    epsilon, sd, counts = mechanism.get("epsilon"), mechanism.get("sd", 0), mechanism.get("counts", "debiased")
    if not _is_number(epsilon) or not 0 < epsilon <= LARGEST_EPSILON:
        raise TableRefused(f"/mechanism/epsilon: it has to be a number above 0, at most {LARGEST_EPSILON:g}: of the groups' randomisation")
    if not _is_number(sd) or not sd >= 0:
        raise TableRefused("/mechanism/sd: it has to be a number, the standard deviation of noise added to each count of reports")
    if counts not in ("debiased", "reported"):
        raise TableRefused('/mechanism/counts: it has to be "debiased" or "reported"')
    return Noise(float(sd), float(epsilon), counts == "reported")


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


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
