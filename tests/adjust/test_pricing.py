"""Prices of orders: the numbers of a direct computation, honest errors, and two model versions held against each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adjust.errors import UnknownModel
from audit.ports import Cap, Equalise, Pause, RollBack
from tests.adjust.audited import AGES, MOBILE, RATES, Audited

SIGMAS = 5.5
"""A normal figure is further out once in 26 million."""

TRAFFIC = {"mobile": sum(MOBILE[age] for age in AGES) / 2, "desktop": 1 - sum(MOBILE[age] for age in AGES) / 2}


def reward(weights: dict[str, list[float]]) -> float:
    """What a person is truly expected to give."""
    return sum(TRAFFIC[cell] * sum(w * r for w, r in zip(weights[cell], RATES[cell], strict=True)) for cell in TRAFFIC)


def test_lifts_and_loss_are_those_of_the_true_rates_within_the_stated_error(tmp_path: Path) -> None:
    house = Audited(tmp_path)
    house.skewed()
    default, before = reward({cell: [1.0, 0.0] for cell in TRAFFIC}), house.weights()
    for change, key, value in (
        (Pause(), "paused", "x"),
        (Cap("larger", 0.3), "caps", {"larger": 0.3}),
        (Equalise(0.05), "within", 0.05),
        (RollBack(1), "pinned", 1),
    ):
        price = house.corrections.price("newsroom", "headline", change)
        assert price.lift_before is not None
        assert price.lift_after is not None
        assert price.sd is not None
        house.book.order(house.site, "headline", key, value, actor="k")
        house.step()
        loss = (reward(before) - reward(house.weights())) / default
        assert abs(price.lift_before - price.lift_after - loss) < SIGMAS * price.sd
        # 200,000 people, half a dozen noisy counts of standard deviation 4: the error is that of sampling, hardly more
        moved = {c: np.array(before[c]) - np.array(house.weights()[c]) for c in TRAFFIC}
        sampled = sum(
            (TRAFFIC[c] * m) ** 2 * r * (1 - r) / (20_000 * TRAFFIC[c]) for c in TRAFFIC for m, r in zip(moved[c], RATES[c], strict=True)
        )
        assert price.sd < 2 * sampled**0.5 / default
        before_again = house.corrections.price("newsroom", "headline", change)
        if key != "paused":
            assert before_again.lift_before == pytest.approx(price.lift_after, abs=1e-6)
            assert before_again.lift_after == pytest.approx(price.lift_after, abs=1e-6), "an order is not applied twice"
        house.book.order(house.site, "headline", key, None, actor="k")
        house.step()


def test_a_sentence_says_the_numbers_and_whether_they_are_more_than_error(tmp_path: Path) -> None:
    house = Audited(tmp_path)
    house.skewed()
    price = house.corrections.price("newsroom", "headline", Pause())
    assert price.lift_before is not None
    assert price.lift_after == 0
    assert price.sd is not None
    assert price.sentence == (
        f"Lift over the default arm {100 * price.lift_before:+.1f} % now, +0.0 % afterwards: costs {100 * price.lift_before:.1f} "
        f"± {196 * price.sd:.1f} points of lift."
    )
    nothing = house.corrections.price("newsroom", "headline", Cap("larger", 1.0))
    assert nothing.lift_before == nothing.lift_after
    assert nothing.sentence.endswith("the difference is within its error (± 0.0 points).")


def test_blending_that_stands_already_is_counted_once(tmp_path: Path) -> None:
    house = Audited(tmp_path)
    house.skewed()
    house.book.order(house.site, "headline", "blend", 0.5, actor="k")
    house.step()
    price = house.corrections.price("newsroom", "headline", Cap("larger", 1.0))
    assert price.lift_after == price.lift_before
    true = reward(house.weights()) / reward({cell: [1.0, 0.0] for cell in TRAFFIC}) - 1
    assert price.lift_before == pytest.approx(true, abs=0.1)
    assert true < 0.4


def test_a_stopped_policy_is_priced_as_it_will_run_again(tmp_path: Path) -> None:
    house = Audited(tmp_path)
    house.skewed()
    running = house.corrections.price("newsroom", "headline", Cap("larger", 0.2))
    house.book.order(house.site, "headline", "paused", "a finding", actor="k")
    house.step()
    stopped = house.corrections.price("newsroom", "headline", Cap("larger", 0.2))
    assert (stopped.lift_before, stopped.lift_after) == (running.lift_before, running.lift_after)
    assert stopped.sentence.endswith("The policy is stopped; these are figures for when it runs again.")
    again = house.corrections.price("newsroom", "headline", Pause())
    assert (again.lift_before, again.lift_after) == (0.0, 0.0)


def test_without_a_release_nobody_can_tell(tmp_path: Path) -> None:
    house = Audited(tmp_path)
    house.step()
    price = house.corrections.price("newsroom", "headline", Cap("larger", 0.2))
    assert (price.lift_before, price.lift_after, price.sd) == (None, None, None)
    assert price.sentence.startswith("Cannot tell")
    compared = house.pricing.compare(house.site, house.policy, 1, 1)
    assert (compared.difference, compared.sd) == (None, None)
    assert compared.sentence.startswith("Cannot tell")


def test_two_versions_are_compared_under_the_same_beliefs(tmp_path: Path) -> None:
    house = Audited(tmp_path)
    house.skewed()
    even, learned = house.weights() | {c: [0.5, 0.5] for c in TRAFFIC}, house.weights()
    found = house.pricing.compare(house.site, house.policy, 1, 2)
    assert found.reward_a is not None
    assert found.reward_b is not None
    assert found.difference is not None
    assert found.sd is not None
    assert abs(found.difference - (reward(learned) - reward(even))) < SIGMAS * found.sd
    assert found.difference == found.reward_b - found.reward_a
    assert found.sentence == (
        f"Version 1 is expected to give {100 * found.reward_a:.2f} rewards in 100 people, version 2 {100 * found.reward_b:.2f}: "
        f"{100 * found.difference:.2f} ± {196 * found.sd:.2f} more."
    )
    back = house.pricing.compare(house.site, house.policy, 2, 1)
    assert (back.difference, back.sd) == (-found.difference, found.sd)
    assert back.sentence.endswith(" fewer.")
    same = house.pricing.compare(house.site, house.policy, 2, 2)
    assert (same.difference, same.sd) == (0.0, 0.0)
    assert "within its error" in same.sentence
    with pytest.raises(UnknownModel):
        house.pricing.compare(house.site, house.policy, 1, 99)
