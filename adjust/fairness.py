"""Fairness-constrained weights: the least change of allocation that brings differences within a limit, solved on context cells.

Two kinds of limit. `within`: no arm's share differs between any two cells by more; then no two groups of people can differ by more either,
whatever cells their members are in. `mixes`: where it is known how groups are spread over cells (a released audit with context strata), an
arm's share differs between two mixes of cells by at most their limit, which moves fewer people. The change is measured as the share of
people who are answered differently (total variation distance, weighted by traffic). A linear program, solved by HiGHS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from adjust.controls import Mix
from adjust.errors import Unfair

Floats = NDArray[np.float64]

GENERAL_PART = 1e-6
"""Traffic of cells that nobody is in yet: they follow the others for next to nothing."""


def spread(weights: Mapping[str, Sequence[float]]) -> float:
    """The largest difference of an arm's share between two cells.

    >>> round(spread({"mobile": [0.7, 0.3], "desktop": [0.4, 0.6]}), 3)
    0.3
    """
    table = np.array(list(weights.values()))
    return float((table.max(0) - table.min(0)).max()) if len(table) else 0.0


def difference(weights: Mapping[str, Sequence[float]], mix: Mix) -> float:
    """The largest difference of an arm's share between the two groups of a mix."""
    one, other = (_exposure(weights, part) for part in (mix.one, mix.other))
    return float(np.abs(one - other).max())


def constrained(
    weights: Mapping[str, Sequence[float]],
    traffic: Mapping[str, float],
    *,
    within: float | None = None,
    mixes: Sequence[Mix] = (),
    most: Sequence[float] | None = None,
) -> dict[str, list[float]]:
    """Weights by cell, changed as little as the limits allow; unchanged where they are kept already. Raises `Unfair`.

    `traffic` is people by cell; the lists of `weights` follow the arms and sum to 1; `most` is the largest share of each arm in any cell,
    which `weights` keep already.
    """
    kept = (within is None or spread(weights) <= within) and all(difference(weights, mix) <= mix.limit for mix in mixes)
    if kept or len(weights) < 2:
        return {cell: list(shares) for cell, shares in weights.items()}
    return _solved(weights, traffic, within, mixes, most)


def changed(before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]], traffic: Mapping[str, float]) -> float:
    """The share of people who are answered differently."""
    total = sum(max(traffic.get(cell, 0.0), 0.0) for cell in before) or 1.0
    moved = (max(traffic.get(c, 0.0), 0.0) * sum(abs(a - b) for a, b in zip(after[c], before[c], strict=True)) / 2 for c in before)
    return sum(moved) / total


def _exposure(weights: Mapping[str, Sequence[float]], part: Mapping[str, float]) -> Floats:
    known = {cell: share for cell, share in part.items() if cell in weights and share > 0}
    total = sum(known.values())
    if total <= 0:
        return np.zeros(len(next(iter(weights.values()))))
    found: Floats = sum(
        (share / total * np.array(weights[cell]) for cell, share in known.items()), np.zeros(len(weights[next(iter(known))]))
    )
    return found


def _solved(
    weights: Mapping[str, Sequence[float]],
    traffic: Mapping[str, float],
    within: float | None,
    mixes: Sequence[Mix],
    most: Sequence[float] | None,
) -> dict[str, list[float]]:
    """Variables: new shares, absolute changes (both cells x arms), and each arm's lowest share."""
    from scipy.optimize import linprog
    from scipy.sparse import bmat, coo_array, csr_array, eye_array, kron

    cells, table = list(weights), np.array(list(weights.values()))
    count, arms = table.shape
    size = count * arms
    whole = sum(max(traffic.get(cell, 0.0), 0.0) for cell in cells) or 1.0
    part = np.array([max(traffic.get(cell, 0.0), 0.0) / whole for cell in cells]) + GENERAL_PART
    same, none = eye_array(size, format="csr"), csr_array((size, arms))
    rows = [[same, -same, none], [-same, -same, none]]
    limits = [table.ravel(), -table.ravel()]
    if within is not None:
        lowest = kron(np.ones((count, 1)), eye_array(arms), format="csr")
        rows += [[-same, None, lowest], [same, None, -lowest]]
        limits += [np.zeros(size), np.full(size, within)]
    for mix in mixes:
        lean = _lean(cells, mix)
        if lean is not None:
            apart = kron(coo_array(lean[None, :]), eye_array(arms), format="csr")
            rows += [[apart, None, None], [-apart, None, None]]
            limits += [np.full(arms, mix.limit)] * 2
    whole_people = kron(eye_array(count), np.ones((1, arms)), format="csr")
    solved = linprog(
        c=np.concatenate([np.zeros(size), np.repeat(part / 2, arms), np.zeros(arms)]),
        A_ub=bmat(_filled(rows, size, arms), format="csr"),
        b_ub=np.concatenate(limits),
        A_eq=bmat([[whole_people, csr_array((count, size)), csr_array((count, arms))]], format="csr"),
        b_eq=np.ones(count),
        bounds=[(0, limit) for limit in (most or [1.0] * arms)] * count + [(0, 1)] * (size + arms),
        method="highs",
    )
    if not solved.success:
        raise Unfair("no weights keep all these limits together")
    found = np.clip(solved.x[:size].reshape(count, arms), 0.0, 1.0)
    found /= found.sum(1, keepdims=True)
    return dict(zip(cells, found.tolist(), strict=True))


def _filled(rows: Sequence[Sequence[object]], size: int, arms: int) -> list[list[object]]:
    """`None` as zeros of the right shape: a column block must not be empty throughout."""
    from scipy.sparse import csr_array

    widths = (size, size, arms)
    filled = []
    for row in rows:
        height = next(block.shape[0] for block in row if block is not None)  # type: ignore[attr-defined]
        filled.append([csr_array((height, width)) if block is None else block for block, width in zip(row, widths, strict=True)])
    return filled


def _lean(cells: Sequence[str], mix: Mix) -> Floats | None:
    """How much more of each cell the first group has; None where one of them is in no cell."""
    one, other = (np.array([max(part.get(cell, 0.0), 0.0) for cell in cells]) for part in (mix.one, mix.other))
    if one.sum() <= 0 or other.sum() <= 0:
        return None
    found: Floats = one / one.sum() - other / other.sum()
    return found
