"""Strategies are checked against dense linear algebra and against exact integer streams; nothing here draws noise."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import toeplitz

from privacy.choosing import choose, norm, slack
from privacy.strategy import Strategy, coefficients, inverse, spread
from privacy.stream import State, advance
from tacit.core.evidence import canonical

LENGTH = 24
SHAPES = ("prefix", "sliding:2", "sliding:7")


def strategy_for(over_time: str, *, windows: int = 1, length: int = LENGTH, bits: int = 20) -> Strategy:
    strategy = choose(over_time, windows=windows, length=length, bits=bits).strategy
    assert strategy is not None
    return strategy


def dense(strategy: Strategy) -> npt.NDArray[np.float64]:
    return np.tril(toeplitz(np.array(coefficients(strategy))))


def lower_bound(over_time: str, length: int) -> float:
    """Nuclear norm over T: no factorisation has a smaller root mean square error (Edmonds, Nikolov and Ullman 2020)."""
    sums = np.tril(np.ones((length, length)))
    if over_time != "prefix":
        sums -= np.tril(np.ones((length, length)), -int(over_time.partition(":")[2]))
    return float(np.linalg.svd(sums, compute_uv=False).sum()) / length


@pytest.mark.parametrize(("over_time", "length", "limit"), [("prefix", 1024, 1.07), ("sliding:7", 512, 1.03), ("sliding:30", 512, 1.03)])
def test_the_error_is_close_to_the_least_possible(over_time: str, length: int, limit: float) -> None:
    choice = choose(over_time, windows=1, length=length, bits=20)
    strategy = choice.strategy
    assert strategy is not None
    weights = np.linalg.inv(dense(strategy))
    sums = np.tril(np.ones((length, length))) - (
        0 if over_time == "prefix" else np.tril(np.ones((length, length)), -int(over_time.partition(":")[2]))
    )
    root_mean_square = math.sqrt(((sums @ weights) ** 2).sum() / length) * norm(strategy, 1)
    assert root_mean_square == pytest.approx(choice.error, rel=1e-6)
    assert choice.error <= limit * lower_bound(over_time, length)


def test_prefix_sums_are_at_least_2_3_times_better_than_with_a_binary_tree() -> None:
    """The tree of 1,024 leaves: a person is in 11 nodes, prefix t adds as many nodes as t has bits."""
    tree = math.sqrt(11 * sum(t.bit_count() for t in range(1, 1025)) / 1024)
    assert tree >= 2.3 * choose("prefix", windows=1, length=1024, bits=20).error


@pytest.mark.parametrize("over_time", SHAPES)
def test_inverse_and_spread_agree_with_dense_algebra(over_time: str) -> None:
    strategy = strategy_for(over_time)
    weights = np.linalg.inv(dense(strategy))
    assert np.allclose(weights[:, 0], inverse(strategy), atol=1e-9)
    for positions in ([0], [5], range(LENGTH), range(3, 9), [1, 4, 20]):
        assert spread(strategy, positions) == pytest.approx(float(np.linalg.norm(weights[list(positions)].sum(0))), rel=1e-9)


@pytest.mark.parametrize("over_time", SHAPES)
@pytest.mark.parametrize("windows", [1, 2, 3])
def test_no_choice_of_windows_moves_the_rows_by_more_than_the_norm(over_time: str, windows: int) -> None:
    strategy = strategy_for("prefix" if windows > 2 else over_time, windows=min(windows, 1), length=12)
    columns = np.abs(dense(strategy))
    worst = max(float(np.linalg.norm(columns[:, list(c)].sum(1))) for c in itertools.combinations(range(12), windows))
    assert worst <= norm(strategy, windows) <= worst * 1.02


@pytest.mark.parametrize("over_time", SHAPES)
def test_windows_cost_no_more_than_their_part_of_the_budget_in_whichever_blocks_they_lie(over_time: str) -> None:
    """With noise for n windows, k of them in a block cost norm(k)² / norm(n)² of the budget: never above k / n, so parts add up to 1."""
    strategy = strategy_for(over_time, length=12)
    squares = [norm(strategy, k) ** 2 / k for k in range(1, 40)]
    assert all(later >= earlier * (1 - 1e-12) for earlier, later in itertools.pairwise(squares))
    assert norm(strategy, 30) == pytest.approx(math.sqrt(30 / 12) * norm(strategy, 12))


@pytest.mark.parametrize(("over_time", "windows"), [("sliding:7", 7), ("sliding:7", 30), ("sliding:30", 60), ("prefix", 5_000)])
def test_independent_noise_is_chosen_where_people_appear_in_too_many_windows(over_time: str, windows: int) -> None:
    choice = choose(over_time, windows=windows, length=1024, bits=20)
    assert choice.strategy is None
    assert choice.error == choice.independent
    assert "independent" in choice.reason


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SHAPES), st.integers(1, 3), st.data())
def test_removing_a_person_moves_all_rows_by_at_most_norm_and_slack(over_time: str, windows: int, data: st.DataObject) -> None:
    """Exact integers throughout: the claim is about the numbers that noise is added to, rounding included."""
    strategy = strategy_for("prefix" if windows > 1 else over_time, windows=1, length=16, bits=data.draw(st.sampled_from([8, 20])))
    others = np.array(data.draw(st.lists(st.integers(-(10**9), 10**9), min_size=16, max_size=16)))[:, None] * np.ones(2, dtype=int)
    person = np.zeros((16, 2), dtype=np.int64)
    for window in data.draw(st.sets(st.integers(0, 15), min_size=1, max_size=windows)):
        person[window] = data.draw(st.sampled_from([(1, 0), (0, 1), (1, 1), (-1, 1)]))
    rows = [np.array(_rows(strategy, stream)) for stream in (others, others + person)]
    moved = math.sqrt(float(((rows[1] - rows[0]).astype(float) ** 2).sum())) / strategy.unit
    size = max(float(np.linalg.norm(vector)) for vector in person)
    assert moved <= norm(strategy, windows) * size + slack(strategy, windows=windows, touched=2)


@pytest.mark.parametrize("over_time", SHAPES)
def test_the_rows_are_the_weighted_sums_that_the_strategy_says(over_time: str) -> None:
    strategy = strategy_for(over_time)
    stream = np.arange(LENGTH * 3).reshape(LENGTH, 3) ** 2
    rows = np.array(_rows(strategy, stream)) / strategy.unit
    assert np.allclose(rows, dense(strategy) @ stream, atol=2 * slack(strategy, windows=1, touched=1) + 1e-9)


def test_a_state_survives_custody_and_damage_counts_as_loss() -> None:
    strategy = strategy_for("prefix")
    _, state = advance(strategy, State.empty(strategy, 3), np.array([10**12, -5, 0]))
    again = State.unpacked(state.packed())
    assert again is not None
    assert np.array_equal(again.kept, state.kept)
    assert again.fits(strategy, 3)
    assert not again.fits(strategy, 4)
    for damaged in (b"", state.packed()[:-1], b"XXXX" + state.packed()[4:], state.packed() + b"\0"):
        assert State.unpacked(damaged) is None


def test_a_state_is_small() -> None:
    """A buffered block of 1,024 windows remembers five vectors, a sliding one three times as many windows as it sums."""
    assert strategy_for("prefix", length=1024).remembers == 5
    assert strategy_for("sliding:7", length=1024).remembers == 20


def test_rows_beyond_64_bits_are_clipped_and_not_wrapped() -> None:
    strategy = strategy_for("prefix")
    row, _ = advance(strategy, State.empty(strategy, 2), np.array([2**50, -(2**50)]))
    assert row.tolist() == [2**62, -(2**62)]


@pytest.mark.parametrize("over_time", SHAPES)
def test_a_strategy_survives_storage_as_json(over_time: str) -> None:
    strategy = strategy_for(over_time)
    assert Strategy.from_json(json.loads(canonical(strategy.to_json()))) == strategy


def _rows(strategy: Strategy, stream: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    state, found = State.empty(strategy, stream.shape[1]), []
    for vector in stream:
        row, state = advance(strategy, state, vector)
        found.append(row)
    return found
