"""Every kind against a plain reading of the rules in Python, and the promise itself: what one person can move."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accounting import plan_window
from privacy.bounding import PERSON, Bounded, bounded_counts
from privacy.centring import centre
from privacy.ports import COLUMNS, Contributions
from tacit.core.declaration import CELL_LIMIT, Bounds, Dimension, Keys, Kind, Measure, ValueRange
from tests.privacy.world import Row, contributions, count, nobody

CELLS = 3
VALUES = ValueRange("seconds", -3, 20)
START = 1_764_000_000_000
PEOPLE = [(0, 0), (0, 1), (1, 0), (2**63, 7), (2**64 - 1, 2**64 - 1)]
"""Also two who agree in half of their pseudonym, at both ends of the range."""

Person = tuple[int, int]


@dataclass(frozen=True)
class Event:
    person: Person
    h: int
    m: int
    measure: int
    """Its place in the list of measures; beyond the end, a measure that nobody declared."""
    cell: int
    value: int


def measure_of(kind: Kind, bounds: Bounds, name: str = "measured") -> Measure:
    labels = tuple(f"c{i}" for i in range(CELLS))
    dimensions = {
        Kind.KEYS: (),
        Kind.TRANSITIONS: tuple(Dimension(end, labels[:-1]) for end in ("from", "to")),
    }.get(kind, (Dimension("cell", labels, closed=True),))
    return Measure(
        site="shop",
        name=name,
        kind=kind,
        event="page",
        purpose="measurement",
        dimensions=dimensions,
        share=Decimal("0.1"),
        bounds=replace(bounds, per_cell=1) if kind is Kind.PEOPLE else bounds,
        value=VALUES if kind is Kind.SUM else None,
        keys=Keys("term", Decimal("0.1")) if kind is Kind.KEYS else None,
    )


bounds_of = st.builds(lambda w, n, c: Bounds(w, n, min(n, c)), st.integers(1, 2), st.integers(1, 4), st.integers(1, 3))
kinds = st.sampled_from(Kind)
measures_of = st.lists(st.tuples(kinds, bounds_of), min_size=1, max_size=3).map(
    lambda drawn: [measure_of(kind, bounds, f"measured{i}") for i, (kind, bounds) in enumerate(drawn)]
)
order_key = st.integers(-3, 3) | st.integers(-3, 3).map(lambda n: n << 17) | st.integers(-(2**63), 2**63 - 1)
message = st.integers(0, 5) | st.integers(0, 2**64 - 1)
cell = st.integers(0, CELLS + 1) | st.just(2**32 - 1)
value = st.integers(-100, 100) | st.integers(-(2**31), 2**31 - 1) | st.integers(-5, 5).map(lambda n: (START // 100 + n) % 2**31)
event = st.builds(Event, st.sampled_from(PEOPLE), order_key, message, st.integers(0, 3), cell, value)
used_of = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(PEOPLE)), max_size=6)
Used = list[tuple[int, Person]]


def columns(events: Sequence[Event], measures: Sequence[Measure]) -> Contributions:
    ids = [m.id for m in measures]
    rows = [(*e.person, e.h, e.m, ids[e.measure] if e.measure < len(ids) else 1, e.cell, e.value) for e in events]
    return Contributions({name: np.array([row[i] for row in rows], dtype=kind) for i, (name, kind) in enumerate(COLUMNS.items())})


def used_columns(used: Used, measures: Sequence[Measure]) -> dict[str, npt.NDArray[np.generic]]:
    known = [(measures[i].id, *person) for i, person in used if i < len(measures)]
    kinds = {"measure": np.int64, "p1": np.uint64, "p2": np.uint64}
    return {name: np.array([row[i] for row in known], dtype=kind) for i, (name, kind) in enumerate(kinds.items())}


def bounded(events: Sequence[Event], measures: Sequence[Measure], used: Used, rows_at_once: int = 10**6) -> Bounded:
    return bounded_counts(columns(events, measures), measures, used_columns(used, measures), start_ms=START, rows_at_once=rows_at_once)


def by_the_rules(events: Sequence[Event], measures: Sequence[Measure], used: Used) -> Bounded:
    """The same as the rules say it, person by person."""
    vectors = {m.id: np.zeros(m.length, dtype=np.int64) for m in measures}
    keyed: dict[int, dict[int, int]] = {m.id: defaultdict(int) for m in measures if m.kind is Kind.KEYS}
    people: dict[int, list[Person]] = {m.id: [] for m in measures}
    times_used = Counter(used)
    for number, measure in enumerate(measures):
        for person in sorted(PEOPLE):
            if times_used[number, person] >= measure.bounds.windows:
                continue
            survivors = survivors_of([e for e in events if e.person == person and e.measure == number], measure)
            for at, amount in survivors:
                if measure.kind is Kind.KEYS:
                    keyed[measure.id][at] += 1
                else:
                    vectors[measure.id][at] += 1
                if measure.value is not None:
                    vectors[measure.id][measure.cells + at] += min(max(amount, VALUES.low), VALUES.high) - centre(VALUES)
            if survivors:
                people[measure.id].append(person)
    packed = {i: np.array(who, dtype=PERSON).tobytes() for i, who in people.items()}
    return Bounded(vectors, {i: dict(counts) for i, counts in keyed.items()}, packed)


def survivors_of(rows: list[Event], measure: Measure) -> list[tuple[int, int]]:
    states = CELLS if measure.kind is Kind.TRANSITIONS else measure.cells
    inside = [e for e in rows if measure.kind is Kind.KEYS or e.cell < states]
    first: dict[int, Event] = {}
    for e in sorted(inside, key=lambda e: (e.h, e.cell, e.value)):
        first.setdefault(e.m, e)
    messages = list(first.values())
    if measure.kind is Kind.KEYS:
        placed = [(e.h, e.m, e.cell + (e.value % 2**32 << 32), 0) for e in messages]
    elif measure.kind is Kind.TRANSITIONS:
        anchor = START // 100 - 25 * 36_000
        in_time = sorted(messages, key=lambda e: ((e.value - anchor) % 2**31, e.m))
        placed = [(to.h, to.m, origin.cell * states + to.cell, 0) for origin, to in itertools.pairwise(in_time)]
    else:
        placed = [(e.h, e.m, e.cell, e.value) for e in messages]
    filled: Counter[int] = Counter()
    kept = []
    for _, _, at, amount in sorted(placed):
        if filled[at] < measure.bounds.per_cell and len(kept) < measure.bounds.per_window:
            filled[at] += 1
            kept.append((at, amount))
    return kept


def assert_same(found: Bounded, expected: Bounded) -> None:
    assert {i: list(v) for i, v in found.vectors.items()} == {i: list(v) for i, v in expected.vectors.items()}
    assert (found.keyed, found.people) == (expected.keyed, expected.people)


@settings(max_examples=250, deadline=None)
@given(measures_of, st.lists(event, max_size=40), used_of, st.sampled_from([1, 7, 10**6]))
def test_every_kind_counts_what_the_rules_say(measures: list[Measure], events: list[Event], used: Used, rows_at_once: int) -> None:
    assert_same(bounded(events, measures, used, rows_at_once), by_the_rules(events, measures, used))


@settings(max_examples=250, deadline=None)
@given(kinds, bounds_of, st.lists(event, max_size=40), used_of, st.sampled_from(PEOPLE))
def test_removing_a_person_moves_only_that_persons_rows_and_at_most_the_sensitivity(
    kind: Kind, bounds: Bounds, events: list[Event], used: Used, person: Person
) -> None:
    measure = measure_of(kind, bounds)
    everybody = bounded(events, [measure], used)
    without = bounded([e for e in events if e.person != person], [measure], used)
    alone = by_the_rules([e for e in events if e.person == person], [measure], used)
    moved = everybody.vectors[measure.id] - without.vectors[measure.id]
    assert np.array_equal(moved, alone.vectors[measure.id]), "only the person's own rows changed"
    assert norm(moved[: measure.cells]) <= measure.bounds.l2(measure.cells)
    if measure.value is not None:
        plan = plan_window(measure, 10**9)
        assert plan is not None
        assert norm(moved[measure.cells :]) <= plan.sum_sensitivity
    if kind is Kind.KEYS:
        changed = Counter(everybody.keyed[measure.id])
        changed.subtract(without.keyed[measure.id])
        moved_keys = [n for n in changed.values() if n]
        assert len(moved_keys) <= measure.bounds.per_window
        assert all(0 < n <= measure.bounds.per_cell for n in moved_keys)
        assert norm(np.array(moved_keys)) <= measure.bounds.l2(2**64)
    assert people(everybody.people[measure.id]) - people(without.people[measure.id]) <= {person}
    assert people(without.people[measure.id]) <= people(everybody.people[measure.id])


def norm(vector: npt.NDArray[np.int64]) -> float:
    return math.sqrt(float((vector.astype(np.float64) ** 2).sum()))


def people(packed: bytes) -> set[Person]:
    return {(int(p["p1"]), int(p["p2"])) for p in np.frombuffer(packed, dtype=PERSON)}


@settings(max_examples=100, deadline=None)
@given(kinds, bounds_of, st.lists(event, min_size=2, max_size=30).flatmap(lambda e: st.tuples(st.just(e), st.permutations(e))))
def test_the_order_of_rows_does_not_matter(kind: Kind, bounds: Bounds, pair: tuple[list[Event], list[Event]]) -> None:
    measures = [measure_of(kind, bounds)]
    assert_same(*(bounded([replace(e, measure=0) for e in events], measures, []) for events in pair))


@pytest.mark.parametrize("bounds", [Bounds(1, 10, 1), Bounds(1, 10, 3), Bounds(1, 100, 2), Bounds(1, 2, 2)])
@pytest.mark.parametrize("kind", [Kind.COUNT, Kind.SUM, Kind.KEYS, Kind.TRANSITIONS])
def test_many_rows_and_cells_count_what_the_rules_say(kind: Kind, bounds: Bounds) -> None:
    """Enough rows for every person to reach every bound, with a few copies of messages among them."""
    random = np.random.default_rng()
    events = [
        Event(PEOPLE[p], int(h), int(m), 0, int(c), int(v))
        for p, h, m, c, v in zip(
            random.integers(0, len(PEOPLE), 3_000),
            random.integers(-(2**63), 2**63 - 1, 3_000),
            random.integers(0, 2**64, 3_000, dtype=np.uint64),
            random.integers(0, CELLS, 3_000),
            random.integers(0, 2**31, 3_000),
            strict=True,
        )
    ]
    events += [replace(e, h=e.h + 1, cell=0) for e in events[:2]]
    measures = [measure_of(kind, bounds)]
    assert_same(bounded(events, measures, [], rows_at_once=1_000), by_the_rules(events, measures, []))


def row(person: int, h: int, message: int, measure: Measure, cell: int, value: int = 0) -> Row:
    return person, h, message, measure.id, cell, value


def test_the_smallest_h_is_kept() -> None:
    measure = count(cells=CELLS)
    found = bounded_counts(
        contributions([row(1, 9, 1, measure, 0), row(1, -5, 2, measure, 2), row(1, 8, 3, measure, 1)]), [measure], nobody()
    )
    assert list(found.vectors[measure.id]) == [0, 0, 1]


def test_keys_that_differ_in_their_last_bit_only_are_kept_in_order() -> None:
    measure = count(cells=CELLS, bounds=Bounds(1, 2, 1))
    rows = [row(1, 2**40 + 2, 1, measure, 0), row(1, 2**40 + 1, 2, measure, 1), row(1, 2**40, 3, measure, 2)]
    assert list(bounded_counts(contributions(rows), [measure], nobody()).vectors[measure.id]) == [0, 1, 1]


def test_the_last_cell_of_the_largest_domain_is_counted() -> None:
    measure = count(cells=CELL_LIMIT, bounds=Bounds(1, 2, 1))
    found = bounded_counts(contributions([row(1, -1, 1, measure, CELL_LIMIT - 1), row(1, 0, 2, measure, 0)]), [measure], nobody())
    assert (found.vectors[measure.id][0], found.vectors[measure.id][-1], found.vectors[measure.id].sum()) == (1, 1, 2)


@pytest.mark.parametrize("kind", Kind)
def test_a_repeated_message_counts_once(kind: Kind) -> None:
    measure = measure_of(kind, Bounds(1, 3, 1 if kind is Kind.PEOPLE else 3))
    events = [Event(PEOPLE[0], 4, 7, 0, 1, 5)] * 3 + [Event(PEOPLE[1], 4, 7, 0, 1, 5)]
    found = bounded(events, [measure], [])
    if kind is Kind.KEYS:
        assert found.keyed[measure.id] == {1 + (5 << 32): 2}
    else:
        assert found.vectors[measure.id][: measure.cells].sum() == (0 if kind is Kind.TRANSITIONS else 2)


def test_one_message_in_two_cells_counts_in_the_smaller() -> None:
    measure = count(cells=CELLS, bounds=Bounds(1, 3, 1))
    rows = [row(1, 4, 7, measure, 2), row(1, 4, 7, measure, 1), row(1, 3, 8, measure, 1)]
    assert list(bounded_counts(contributions(rows), [measure], nobody()).vectors[measure.id]) == [0, 1, 0]


def test_steps_follow_the_clock_across_its_wrap_and_a_step_to_itself_counts() -> None:
    measure = measure_of(Kind.TRANSITIONS, Bounds(1, 9, 9))
    start = (2**31 - 10) * 100  # the clock of tenths begins again one second after this window
    times = [(2**31 - 20, 0), (2**31 - 1, 0), (0, 1), (30, 2)]
    rows = contributions([row(1, n, n, measure, cell, at) for n, (at, cell) in enumerate(reversed(times))])
    found = bounded_counts(rows, [measure], nobody(), start_ms=start)
    assert {divmod(int(at), CELLS) for at in np.flatnonzero(found.vectors[measure.id])} == {(0, 0), (0, 1), (1, 2)}


def test_who_made_one_step_is_present_and_who_made_none_is_not() -> None:
    measure = measure_of(Kind.TRANSITIONS, Bounds(1, 9, 9))
    rows = contributions([row(1, 0, 1, measure, 0, 1), row(1, 0, 2, measure, 1, 2), row(2, 0, 3, measure, 1, 2)])
    assert people(bounded_counts(rows, [measure], nobody()).people[measure.id]) == {(1, 0)}


def test_a_key_is_an_unsigned_number_of_64_bits() -> None:
    measure = measure_of(Kind.KEYS, Bounds(1, 2, 1))
    rows = contributions([row(1, 0, 1, measure, 2**32 - 1, -1), row(2, 0, 2, measure, 5, 3)])
    found = bounded_counts(rows, [measure], nobody())
    assert (found.keyed, len(found.vectors[measure.id])) == ({measure.id: {2**64 - 1: 1, 5 + (3 << 32): 1}}, 0)


def test_values_are_clipped_again_and_centred() -> None:
    measure = count(cells=CELLS, value=VALUES)
    rows = contributions([row(1, 0, 1, measure, 0, 10_000), row(2, 0, 2, measure, 1, -10_000)])
    found = bounded_counts(rows, [measure], nobody())
    assert list(found.vectors[measure.id][CELLS:]) == [20 - centre(VALUES), -3 - centre(VALUES), 0]


def test_measures_do_not_mix_and_unknown_ones_are_left_out() -> None:
    first, second = count("a", cells=CELLS), count("b", cells=CELLS)
    rows = [row(1, 0, 1, first, 0), row(1, 0, 1, second, 1), row(1, 0, 1, count("gone"), 1)]
    found = bounded_counts(contributions(rows), [first, second], nobody())
    assert (list(found.vectors[first.id]), list(found.vectors[second.id])) == ([1, 0, 0], [0, 1, 0])
    assert set(found.vectors) == set(found.people) == {first.id, second.id}


def test_no_rows_give_zeros() -> None:
    measure = count(cells=CELLS, value=VALUES)
    found = bounded_counts(contributions([]), [measure], nobody())
    assert list(found.vectors[measure.id]) == [0] * (2 * CELLS)
    assert found.people == {measure.id: b""}
