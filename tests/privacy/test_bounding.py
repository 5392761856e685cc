from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accounting import centre, plan_window
from privacy.bounding import PERSON, bounded_counts
from tacit.core.declaration import Bounds, Measure, ValueRange
from tests.privacy.world import Row, contributions, count, nobody

CELLS = 3
VALUES = ValueRange("seconds", -3, 20)


def row(person: int, h: int, message: int, measure: Measure, cell: int, value: int = 0) -> Row:
    return person, h, message, measure.id, cell, value


bounds_of = st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 3)).filter(lambda b: b[2] <= b[1]).map(lambda b: Bounds(*b))
event = st.tuples(st.integers(0, 4), st.integers(-3, 3), st.integers(0, 5), st.integers(0, CELLS + 1), st.integers(-100, 100))


@settings(max_examples=150, deadline=None)
@given(bounds_of, st.booleans(), st.lists(event, max_size=40), st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=8))
def test_removing_a_person_moves_the_vector_by_at_most_the_sensitivity(
    bounds: Bounds, summed: bool, events: list[tuple[int, int, int, int, int]], before: list[tuple[int, bool]]
) -> None:
    measure = count(cells=CELLS, bounds=bounds, value=VALUES if summed else None)
    rows = [row(p, h, m, measure, cell, value) for p, h, m, cell, value in events]
    used = nobody() | {
        "measure": np.array([measure.id] * len(before), np.int64),
        "p1": np.array([p for p, _ in before], np.uint64),
        "p2": np.zeros(len(before), np.uint64),
    }
    everybody, present = bounded_counts(contributions(rows), [measure], used)
    plan = plan_window(measure, 10**9)
    assert plan is not None
    for person in range(5):
        others = [r for r in rows if r[0] != person]
        without, present_without = bounded_counts(contributions(others), [measure], used)
        alone, _ = bounded_counts(contributions([r for r in rows if r[0] == person]), [measure], used)
        moved = everybody[measure.id] - without[measure.id]
        assert np.array_equal(moved, alone[measure.id]), "only the person's own rows changed"
        assert math.sqrt(float((moved[:CELLS] ** 2).sum())) <= plan.count_sensitivity
        if summed:
            assert math.sqrt(float((moved[CELLS:] ** 2).sum())) <= plan.sum_sensitivity
        assert people(present[measure.id]) - people(present_without[measure.id]) <= {person}


def people(packed: bytes) -> set[int]:
    return {int(p) for p in np.frombuffer(packed, dtype=PERSON)["p1"]}


@settings(max_examples=50, deadline=None)
@given(st.lists(event, min_size=1, max_size=30).flatmap(lambda e: st.tuples(st.just(e), st.permutations(e))))
def test_the_order_of_rows_does_not_matter(pair: tuple[list[tuple[int, ...]], list[tuple[int, ...]]]) -> None:
    measure = count(cells=CELLS, bounds=Bounds(1, 2, 1), value=VALUES)
    given_, shuffled = ([(p, h, m, measure.id, c, v) for p, h, m, c, v in rows] for rows in pair)
    one, who = bounded_counts(contributions(given_), [measure], nobody())
    other, who_else = bounded_counts(contributions(shuffled), [measure], nobody())
    assert np.array_equal(one[measure.id], other[measure.id])
    assert who == who_else


def test_the_smallest_h_is_kept() -> None:
    measure = count(cells=CELLS)
    vectors, _ = bounded_counts(contributions([row(1, 9, 1, measure, 0), row(1, -5, 2, measure, 2)]), [measure], nobody())
    assert list(vectors[measure.id]) == [0, 0, 1]


def test_a_repeated_message_counts_once() -> None:
    measure = count(cells=CELLS, bounds=Bounds(1, 3, 3))
    vectors, _ = bounded_counts(contributions([row(1, 4, 7, measure, 1)] * 3 + [row(2, 4, 7, measure, 1)]), [measure], nobody())
    assert list(vectors[measure.id]) == [0, 2, 0]


def test_values_are_clipped_again_and_centred() -> None:
    measure = count(cells=CELLS, value=VALUES)
    vectors, _ = bounded_counts(contributions([row(1, 0, 1, measure, 0, 10_000), row(2, 0, 2, measure, 1, -10_000)]), [measure], nobody())
    assert list(vectors[measure.id][CELLS:]) == [20 - centre(VALUES), -3 - centre(VALUES), 0]


def test_measures_do_not_mix_and_unknown_ones_are_left_out() -> None:
    first, second = count("a", cells=CELLS), count("b", cells=CELLS)
    rows = [row(1, 0, 1, first, 0), row(1, 0, 1, second, 1), row(1, 0, 1, count("gone"), 1)]
    vectors, present = bounded_counts(contributions(rows), [first, second], nobody())
    assert (list(vectors[first.id]), list(vectors[second.id])) == ([1, 0, 0], [0, 1, 0])
    assert set(vectors) == set(present) == {first.id, second.id}


def test_no_rows_give_zeros() -> None:
    measure = count(cells=CELLS, value=VALUES)
    vectors, present = bounded_counts(contributions([]), [measure], nobody())
    assert list(vectors[measure.id]) == [0] * (2 * CELLS)
    assert present == {measure.id: b""}
