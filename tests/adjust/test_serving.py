"""Which model version serves: the newest, one that was rolled back to, or two side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from adjust.published import weighed
from tests.adjust.audited import Audited

CLOSE = 3 / 65535


@pytest.fixture
def house(tmp_path: Path) -> Audited:
    found = Audited(tmp_path)
    found.skewed()
    return found


def model(house: Audited, version: int) -> dict[str, list[float]]:
    stored = house.models.get("newsroom", "headline", version)
    return {cell: list(shares) for cell, shares in weighed(house.policy, stored.weights).weights.items()}


def test_two_versions_side_by_side_answer_their_share_of_everybody(house: Audited) -> None:
    house.book.order(house.site, "headline", "versus", {"version": 1, "share": 0.25}, actor="k")
    house.step()
    newest = house.models.list("newsroom", "headline", limit=1)[0].version
    assert house.entry()["model"] == newest
    one, other = model(house, newest), model(house, 1)
    for cell, shares in house.weights().items():
        assert shares == pytest.approx([0.75 * a + 0.25 * b for a, b in zip(one[cell], other[cell], strict=True)], abs=CLOSE)
    house.book.order(house.site, "headline", "versus", None, actor="k")
    house.step()
    assert house.weights()["mobile"] == pytest.approx(one["mobile"], abs=CLOSE)


def test_a_rival_stands_beside_the_version_that_was_rolled_back_to(house: Audited) -> None:
    house.window()
    house.step()
    versions = [m.version for m in house.models.list("newsroom", "headline")]
    assert len(versions) >= 3
    house.book.order(house.site, "headline", "pinned", 1, actor="k")
    house.book.order(house.site, "headline", "versus", {"version": versions[0], "share": 0.5}, actor="k")
    house.step()
    assert house.entry()["model"] == 1
    one, other = model(house, 1), model(house, versions[0])
    expected = [(a + b) / 2 for a, b in zip(one["mobile"], other["mobile"], strict=True)]
    assert house.weights()["mobile"] == pytest.approx(expected, abs=CLOSE)


def test_a_rolled_back_version_stands_while_learning_goes_on_and_ends_when_it_is_lifted(house: Audited) -> None:
    learned = house.weights()
    house.book.order(house.site, "headline", "pinned", 1, actor="k")
    house.window()
    house.step()
    assert house.entry()["model"] == 1
    assert house.weights()["mobile"] == pytest.approx([0.5, 0.5], abs=CLOSE)
    newest = house.models.list("newsroom", "headline", limit=1)[0]
    assert newest.version > 2, "a new version is kept, not served"
    house.book.order(house.site, "headline", "pinned", None, actor="k")
    house.step()
    assert house.entry()["model"] == newest.version
    assert house.weights()["mobile"] == pytest.approx(learned["mobile"], abs=0.05)


def test_a_version_for_other_arms_serves_nobody(house: Audited, tmp_path: Path) -> None:
    newer = Audited(tmp_path, arms={"control": {}, "larger": {}, "largest": {}})
    for key, value in (("pinned", 1), ("versus", {"version": 1, "share": 0.5})):
        newer.book.order(newer.site, "headline", key, value, actor="k")
    newer.step()
    assert newer.entry()["model"] > 1
    assert newer.weights()["mobile"] == pytest.approx([1 / 3] * 3, abs=CLOSE)
