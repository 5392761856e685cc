"""What the door makes of numbers in bins, people, steps from place to place, and cells that a device has randomised."""

from __future__ import annotations

import pytest

from tests.ingest.test_door import ALL, code
from tests.ingest.world import MINUTE, START, measure_id


def cells(world, name: str) -> list[tuple[str, ...]]:
    """The labels of the rows of one measure, in the order they were staged."""
    world.later()
    return [labels for n, labels, _ in world.labelled() if n == name]


@pytest.mark.parametrize(
    ("depth", "label"),
    [
        (0, "0..25"),
        (24.999, "0..25"),
        (25, "25..50"),
        (25.0, "25..50"),
        (74, "50..75"),
        (75, "75..100"),
        (100, "75..100"),
        (-3, "0..25"),
        (10**300, "75..100"),
        (-1e300, "0..25"),
        ("25", "other"),
        ("25..50", "other"),
        ("other", "other"),
        (True, "other"),
        (None, "other"),
        ([25], "other"),
    ],
)
def test_a_number_falls_into_its_bin_and_anything_else_into_other(world, depth, label):
    world.grant("ada")
    assert world.send(world.event("1", "scroll", depth=depth, section="top"))["accepted"] == 1
    assert cells(world, "depth") == [("top", label)]


def test_a_missing_number_is_other_beside_a_label(world):
    world.grant("ada")
    world.send(world.event("1", "scroll", section="elsewhere"), world.event("2", "scroll", section="top", depth=60))
    assert cells(world, "depth") == [("other", "other"), ("top", "50..75")]


def test_people_are_staged_like_events(world):
    world.grant("ada")
    world.send(world.event("1", "scroll", category="tech"), world.event("2", "scroll", category="tech"), world.event("3", "scroll"))
    assert cells(world, "reach") == [("tech",), ("tech",), ("other",)]
    assert {r["value"] for r in world.rows() if r["measure"] == measure_id("reach")} == {1}


def test_a_step_is_staged_as_a_place_and_a_moment(world):
    world.grant("ada")
    sent = [("front", "2023-11-15T02:10:00.57+02:00"), ("shop", "2023-11-15T00:09:59.999Z"), ("cellar", "2023-11-14T23:59:59Z")]
    events = [world.event(str(n), "move", place=place) | {"at": at} for n, (place, at) in enumerate(sent)]
    assert world.send(*events, world.event("4", "move") | {"at": "2023-11-15T00:10:00Z"})["accepted"] == 4
    world.later()
    found = [(r["cell"], r["value"]) for r in world.rows()]
    tenths = [(START + 10 * MINUTE + 570) // 100, (START + 10 * MINUTE - 1) // 100, START // 100 - 10, (START + 10 * MINUTE) // 100]
    assert found == [(cell, tenth % 2**31) for cell, tenth in zip((0, 2, 3, 3), tenths, strict=True)]
    assert {r["measure"] for r in world.rows()} == {measure_id("moves")}


def test_moments_stay_inside_a_row_when_they_begin_again(world):
    world.grant("ada")
    turn = 8 * 2**31 * 100  # milliseconds; 2**31 tenths of a second for the eighth time
    world.clock.at_ms = turn - 100
    world.grant("ada")
    world.send(world.event("1", "move", place="front"))
    world.clock.at_ms = turn
    world.send(world.event("2", "move", place="front"))
    world.later()
    assert [r["value"] for r in world.rows()] == [2**31 - 1, 0]


def test_a_randomised_cell_counts_only_at_the_declared_epsilon(world):
    world.grant("ada")
    good = world.event("1", "mood", answer="good", randomised=0.1)
    assert world.send(good, world.event("2", "mood", answer="other", randomised=0.1))["accepted"] == 2
    assert world.send(world.event("3", "mood", answer="bad", randomised=0.10))["accepted"] == 1
    for wrong in (0.2, 0.1000000001, 1, 0, "0.1", None, True, [0.1], 10**300):
        assert code(world, world.event("4", "mood", answer="good", randomised=wrong)) == "not_randomised", wrong
    assert code(world, world.event("5", "mood", answer="good")) == "not_randomised"
    assert cells(world, "mood") == [("good",), ("other",), ("bad",)]


def test_a_randomised_bin_is_named_by_its_label(world):
    world.grant("ada")
    said: list[object] = ["10..50", "0..10", "other", 20, "20"]
    world.send(*(world.event(str(n), "slide", depth=depth, randomised=2 + n % 2 * 0.0) for n, depth in enumerate(said)))
    assert cells(world, "slide") == [("10..50",), ("0..10",), ("other",), ("10..50",), ("other",)]


def test_nothing_else_may_call_itself_randomised(world):
    world.grant("ada", **ALL)
    for claim in (0.1, 0, None, False):
        assert code(world, world.event("1", category="news", randomised=claim)) == "bad_value"
        assert code(world, world.trial("1", randomised=claim)) == "bad_value"
        assert code(world, world.event("1", "search", term="tax", results=1, randomised=claim)) == "bad_value"
    assert world.send(world.event("1", "zoom", randomised=0.1))["refused"] == {"not_measured": 1}
    assert world.segments() == []


def test_where_one_measure_refuses_an_event_none_counts_it(world):
    world.grant("ada")
    answer = world.send(
        world.event("1", "search", term="tax", results="many"),
        world.event("2", "search", term=5, results=3),
        world.event("3", "search", term="rent", results=3),
    )
    assert answer == {"accepted": 1, "refused": {}, "rejected": [{"index": 0, "code": "bad_value"}, {"index": 1, "code": "bad_value"}]}
    world.later()
    assert world.texts() == [("terms", "rent")]
    assert [n for n, _, _ in world.labelled()] == ["terms", "results"]
    assert "tax" not in world.source.contributions(world.windows()[0]).names[measure_id("terms")].values()
