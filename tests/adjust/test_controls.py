"""Standing orders: what they do to weights, and that the newest of each key stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from adjust.control_store import ControlStore
from adjust.controls import Controls, apply, capped, stepped
from tacit.core.errors import InvalidRequest
from tests.adjust.support import FixedClock, vault

ARMS = ["a", "b", "c"]
SIMPLEX = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(lambda w: [x / sum(w) for x in w] if sum(w) > 1e-6 else [1.0, 0.0, 0.0])
SHARES = st.lists(st.floats(0, 1), min_size=3, max_size=3)


def distance(one: list[float], other: list[float]) -> float:
    return sum(abs(x - y) for x, y in zip(one, other, strict=True)) / 2


@given(SIMPLEX, SHARES)
def test_no_arm_is_above_its_cap_and_the_weights_still_sum_to_one(weights: list[float], caps: list[float]) -> None:
    found = capped(weights, caps)
    assert sum(found) == pytest.approx(1)
    assert min(found) >= 0
    if sum(caps) >= 1:
        assert all(w <= cap + 1e-9 for w, cap in zip(found, caps, strict=True))


def test_the_excess_goes_to_the_others_in_proportion() -> None:
    assert capped([0.6, 0.3, 0.1], [0.2, 1, 1]) == pytest.approx([0.2, 0.6, 0.2])
    assert capped([0.6, 0.3, 0.1], [0.2, 0.5, 1]) == pytest.approx([0.2, 0.5, 0.3])
    assert capped([1.0, 0.0, 0.0], [0.4, 1, 1]) == pytest.approx([0.4, 0.3, 0.3])
    assert capped([0.6, 0.3, 0.1], [0.2, 0.2, 0.1]) == pytest.approx([0.4, 0.4, 0.2])
    assert capped([0.6, 0.3, 0.1], [1, 1, 1]) == [0.6, 0.3, 0.1]


@given(SIMPLEX, SIMPLEX, st.floats(0.01, 1))
def test_a_step_is_at_most_as_long_as_allowed_and_goes_the_right_way(wanted: list[float], last: list[float], most: float) -> None:
    found = stepped(wanted, last, most)
    assert distance(found, last) == pytest.approx(min(most, distance(wanted, last)), abs=1e-9)
    assert distance(found, wanted) == pytest.approx(max(0.0, distance(wanted, last) - most), abs=1e-9)


def test_blending_brings_cells_together_to_the_marginal_weights() -> None:
    cells = {"x": [1.0, 0.0, 0.0], "y": [0.0, 1.0, 0.0]}
    marginal = [0.5, 0.3, 0.2]
    half, general = apply(cells, [0.0, 0.0, 1.0], marginal, Controls(blend=0.5), arms=ARMS)
    assert half["x"] == pytest.approx([0.75, 0.15, 0.1])
    assert general == pytest.approx([0.25, 0.15, 0.6])
    whole, _ = apply(cells, [0.0, 0.0, 1.0], marginal, Controls(blend=1.0), arms=ARMS)
    assert whole["x"] == whole["y"] == pytest.approx(marginal)


def test_a_cap_acts_at_once_and_learning_step_by_step() -> None:
    before = {"x": [0.8, 0.1, 0.1]}
    controls = Controls(caps={"a": 0.5}, max_step=0.05)
    cells, _ = apply({"x": [0.0, 0.0, 1.0]}, [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], controls, before, arms=ARMS)
    assert cells["x"][0] == pytest.approx(0.5)
    cells, general = apply({"x": [0.0, 0.0, 1.0]}, [0.4, 0.3, 0.3], [1.0, 0.0, 0.0], Controls(max_step=0.05), before, arms=ARMS)
    assert distance(cells["x"], before["x"]) == pytest.approx(0.05)
    assert general == [0.4, 0.3, 0.3]


def test_without_orders_nothing_is_changed() -> None:
    cells = {"x": [0.7, 0.2, 0.1]}
    assert apply(cells, [0.2, 0.3, 0.5], [0.4, 0.3, 0.3], Controls(), {"x": [0.0, 0.0, 1.0]}, arms=ARMS) == (cells, [0.2, 0.3, 0.5])


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    found = vault(tmp_path)
    yield found
    found.dispose()


def test_the_newest_order_of_each_key_stands_and_none_is_lost(database: Engine) -> None:
    store = ControlStore(database, FixedClock())
    assert store.read("newsroom", "headline") == Controls()
    for key, value in (
        ("blend", 0.3),
        ("caps", {"bigger": 0.4}),
        ("blend", 0.6),
        ("paused", "a finding"),
        ("paused", None),
        ("kill", True),
    ):
        store.put("newsroom", "headline", key, value, actor="key_1", reason="because")
    assert store.read("newsroom", "headline") == Controls(caps={"bigger": 0.4}, blend=0.6, killed=True)
    assert store.read("newsroom", "teaser") == Controls()
    assert store.killed("newsroom") == {"headline"}
    assert store.killed("elsewhere") == frozenset()
    store.put("newsroom", "headline", "kill", False, actor="key_2")
    assert store.killed("newsroom") == frozenset()
    assert [(o["key"], o["actor"]) for o in store.history("newsroom", "headline")][:2] == [("kill", "key_2"), ("kill", "key_1")]
    assert store.revision("newsroom", "headline") == 7


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("speed", 1),
        ("blend", 1.1),
        ("blend", True),
        ("caps", {"a": 2}),
        ("caps", [1]),
        ("paused", ""),
        ("kill", 1),
        ("pinned", 0),
        ("max_step", 0),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(database: Engine, key: str, value: Any) -> None:
    store = ControlStore(database, FixedClock())
    with pytest.raises(InvalidRequest):
        store.put("newsroom", "headline", key, value, actor="key_1")
    assert store.revision("newsroom", "headline") == 0
