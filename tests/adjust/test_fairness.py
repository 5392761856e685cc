"""Constrained weights: limits are kept, nothing more is moved than needed, and what cannot be kept is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adjust.controls import Mix
from adjust.errors import Unfair
from adjust.fairness import changed, constrained, difference, spread

TRAFFIC = {"mobile": 700.0, "desktop": 300.0}


def drawn(rng: np.random.Generator, cells: int, arms: int) -> dict[str, list[float]]:
    return {f"c{i}": rng.dirichlet(np.ones(arms)).tolist() for i in range(cells)}


@settings(max_examples=60)
@given(st.integers(2, 12), st.integers(2, 6), st.floats(0.0, 0.5), st.integers(0, 2**32 - 1))
def test_no_two_cells_differ_by_more_than_allowed(cells: int, arms: int, within: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = drawn(rng, cells, arms)
    found = constrained(weights, dict.fromkeys(weights, 1.0) | {"c0": 9.0}, within=within)
    assert spread(found) <= within + 1e-7
    for shares in found.values():
        assert sum(shares) == pytest.approx(1.0)
        assert min(shares) >= 0


@settings(max_examples=60)
@given(st.integers(2, 8), st.integers(2, 5), st.floats(0.01, 0.5), st.integers(0, 2**32 - 1))
def test_the_least_change_moves_no_more_people_than_blending_does(cells: int, arms: int, within: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = drawn(rng, cells, arms)
    traffic = {cell: float(people) for cell, people in zip(weights, rng.integers(1, 100, cells), strict=True)}
    whole = sum(traffic.values())
    middle = sum(traffic[c] / whole * np.array(w) for c, w in weights.items())
    blend = max(0.0, 1 - within / spread(weights))
    blended = {c: ((1 - blend) * np.array(w) + blend * middle).tolist() for c, w in weights.items()}
    found = constrained(weights, traffic, within=within)
    assert changed(weights, found, traffic) <= changed(weights, blended, traffic) + 1e-4


def test_weights_that_keep_the_limits_stay_as_they_are() -> None:
    weights = {"mobile": [0.6, 0.4], "desktop": [0.5, 0.5]}
    assert constrained(weights, TRAFFIC, within=0.2) == weights
    assert constrained(weights, TRAFFIC) == weights
    assert constrained({"": [0.9, 0.1]}, {}, within=0.0) == {"": [0.9, 0.1]}


def test_groups_of_known_mixes_are_brought_together_with_less_change() -> None:
    weights = {"mobile": [0.9, 0.1], "desktop": [0.3, 0.7]}
    mix = Mix({"mobile": 0.8, "desktop": 0.2}, {"mobile": 0.5, "desktop": 0.5}, 0.05)
    assert difference(weights, mix) == pytest.approx(0.18)
    found = constrained(weights, TRAFFIC, mixes=[mix])
    assert difference(found, mix) == pytest.approx(0.05, abs=1e-6)
    strict = constrained(weights, TRAFFIC, within=0.05)
    assert difference(strict, mix) <= 0.05
    assert 0 < changed(weights, found, TRAFFIC) < changed(weights, strict, TRAFFIC)


def test_a_group_that_is_in_no_cell_limits_nothing() -> None:
    weights = {"mobile": [0.9, 0.1], "desktop": [0.3, 0.7]}
    assert constrained(weights, TRAFFIC, mixes=[Mix({}, {"mobile": 1.0}, 1.0)]) == weights


def test_limits_that_exclude_each_other_are_refused() -> None:
    weights = {"mobile": [1.0, 0.0], "desktop": [0.0, 1.0]}
    with pytest.raises(Unfair):
        constrained(weights, TRAFFIC, mixes=[Mix({"mobile": 1.0}, {"desktop": 1.0}, -0.1)])
