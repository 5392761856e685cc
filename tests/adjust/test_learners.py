"""Each learner finds what it is for, and falls back to what is simpler where there is nothing to find."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from adjust import markov
from adjust.best import chances
from adjust.learn import Learned, learn
from privacy.models import Release
from tacit.core.declaration import Dimension, Kind, Measure, Policy, policy_measure
from tests.adjust.support import CONTEXT, draw, policy, release, streamed

CELLS = ("mobile|morning", "mobile|evening", "desktop|morning", "desktop|evening")
DESIGN = {f"{c}.{s}": {"colour": c, "size": s} for c in ("red", "blue") for s in ("small", "large")}
STEPS = Measure(
    "newsroom",
    "steps",
    Kind.TRANSITIONS,
    "page",
    "measurement",
    (Dimension("section.from", ("news", "sport")), Dimension("section.to", ("news", "sport"))),
    Decimal("0.1"),
)


def _learned(one: Policy, rates: dict[str, list[float]], *, people: int = 800, windows: int = 8) -> Learned:
    """Noisy windows of that many people in each arm and cell, nobody in the holdout."""
    rng = np.random.default_rng()
    measure = policy_measure("newsroom", one)
    shown = {cell: [people] * len(one.arms) + [0] for cell in rates}
    padded = {cell: [*row, 0.0] for cell, row in rates.items()}
    return learn(one, measure, [draw(measure, padded, shown, rng, number=t) for t in range(windows)])


def test_the_chance_of_being_best_is_that_of_many_draws() -> None:
    """Against 100,000 draws, whose error is below 0.0095 at 6 standard errors; the quadrature's own is below 0.01."""
    rng = np.random.default_rng()
    mean, sd = rng.normal(0, 0.3, 6), rng.uniform(0.05, 0.4, 6)
    drawn = np.bincount((mean + sd * rng.standard_normal((100_000, 6))).argmax(1), minlength=6) / 100_000
    assert np.abs(chances(mean, sd) - drawn).max() < 0.0195


@pytest.mark.parametrize("learner", ["fixed", "thompson", "top_two", "factorial", "gbt", "markov"])
def test_every_learner_gives_probabilities_from_pure_noise(learner: str) -> None:
    one = policy(arms=DESIGN, learner=learner, factors=("colour", "size"))
    measure = policy_measure("newsroom", one)
    noise = np.rint(np.random.default_rng().normal(0, 5, (6, measure.cells))).astype(int)
    found = learn(one, measure, [release(measure, row.tolist(), number=t) for t, row in enumerate(noise)])
    for weights in (*found.weights.values(), found.general, found.marginal):
        assert sum(weights) == pytest.approx(1)
        assert min(weights) >= 0


def test_top_two_gives_a_clear_winner_about_half_of_the_people_and_goes_on_comparing() -> None:
    """The best arm is 40 % ahead over 25,000 people an arm: more than 10 standard deviations. Half of the draws give the runner-up."""
    found = _learned(policy(learner="top_two", explore=0.0), {cell: [0.05, 0.05, 0.07] for cell in CELLS})
    assert 0.45 < found.marginal[2] < 0.75


def test_a_factorial_design_tells_main_effects_and_prefers_a_combination_that_was_never_shown() -> None:
    """Blue is 50 % better and large 40 %, of 0.04: over 25,600 people a factor's level, above 12 standard deviations each.

    The combination of both was shown to nobody; only the design tells that it is the best.
    """
    one = policy(arms=DESIGN, learner="factorial", factors=("colour", "size"))
    measure, rng = policy_measure("newsroom", one), np.random.default_rng()
    rates = {cell: [0.04, 0.056, 0.06, 0.084, 0.0] for cell in CELLS}
    people = {cell: [800, 800, 800, 0, 0] for cell in CELLS}
    found = learn(one, measure, [draw(measure, rates, people, rng, number=t) for t in range(8)])
    told = found.parameters["effects"]
    assert told["colour=blue"]["effect"] > told["colour=red"]["effect"]
    assert told["size=large"]["effect"] > told["size=small"]["effect"]
    assert "colour=blue and size=large" in told
    assert max(range(4), key=found.marginal.__getitem__) == 3


def test_trees_find_what_a_context_has_in_common_and_say_so_on_held_out_windows() -> None:
    """On mobile the second arm is twice as good, on desktop the first: more than 20 standard deviations in each half of the cells."""
    rates = {cell: [0.03, 0.06, 0.03] if cell.startswith("mobile") else [0.06, 0.03, 0.03] for cell in CELLS}
    found = _learned(policy(learner="gbt"), rates, windows=10)
    assert found.metrics["trees"] > 0
    assert found.metrics["held_out"] > 0
    assert found.weights["mobile|morning"][1] > 0.8
    assert found.weights["desktop|evening"][0] > 0.8


def test_trees_are_given_up_where_there_are_too_few_windows_to_hold_any_out() -> None:
    found = _learned(policy(learner="gbt"), {cell: [0.03, 0.06, 0.03] for cell in CELLS}, windows=3)
    assert (found.metrics["trees"], found.metrics["held_out"]) == (0, None)


def test_trees_are_worth_no_more_on_paper_than_on_fresh_windows() -> None:
    """No arm differs. Over 12 worlds the mean held-out figure is 0 or below, up to 6 standard errors."""
    one = policy(learner="gbt")
    worth = [_learned(one, {cell: [0.05] * 3 for cell in CELLS}, people=200, windows=10).metrics["held_out"] for _ in range(12)]
    assert np.mean(worth) < 6 * max(float(np.std(worth)), 0.02) / 12**0.5


def test_trees_are_fitted_to_rows_of_correlated_noise_too() -> None:
    one = policy(learner="gbt")
    measure, rng = policy_measure("newsroom", one), np.random.default_rng()
    rates = {cell: [0.03, 0.09, 0.03, 0.0] for cell in CELLS}
    exact = [draw(measure, rates, {c: [800, 800, 800, 0] for c in CELLS}, rng, number=t, scale=0.0) for t in range(10)]
    found = learn(one, measure, streamed(exact, list(rng.normal(0, 5.0, (10, measure.cells))), scale=5.0))
    assert found.marginal[1] > 0.8


def _steps(counts: list[int], **changes: object) -> Release:
    return replace(release(STEPS, counts, scale=5.0), **changes)


def test_a_chain_tells_next_steps_hesitation_and_who_leaves() -> None:
    """From news 900 of 1,000 go to sport; sport keeps 300 of 400 steps, and 1,200 arrive there."""
    found = markov.chain([_steps([100, 900, 0, 100, 300, 0, 0, 0, 0])])
    assert found is not None
    told = found.to_json()
    assert told["next"]["news"]["sport"] == pytest.approx(0.9, abs=0.01)
    assert told["hesitation"]["sport"] == pytest.approx(0.75, abs=0.02)
    assert told["abandonment"]["sport"] == pytest.approx(1 - 400 / 1200, abs=0.01)
    assert sum(told["next"]["other"].values()) == pytest.approx(1, abs=1e-4)


def test_a_markov_policy_shows_what_people_do_next_where_they_are() -> None:
    arms = {"to_news": {"next": "news"}, "to_sport": {"next": "sport"}}
    one = policy(arms=arms, context=(Dimension("section", ("news", "sport")),), learner="markov", transitions="steps")
    measure = policy_measure("newsroom", one)
    trials = [release(measure, [50] * measure.cells)]
    found = learn(one, measure, trials, transitions=[_steps([100, 900, 0, 700, 100, 0, 0, 0, 0], usable=True)])
    assert found.weights["news"][1] > 0.9
    assert found.weights["sport"][0] > 0.9
    assert found.parameters["hesitation"]["news"] == pytest.approx(0.1, abs=0.02)


def test_steps_that_failed_their_quality_check_move_nothing() -> None:
    arms = {"to_news": {"next": "news"}, "to_sport": {"next": "sport"}}
    one = policy(arms=arms, context=CONTEXT, learner="markov", transitions="steps")
    measure = policy_measure("newsroom", one)
    found = learn(
        one, measure, [release(measure, [50] * measure.cells)], transitions=[_steps([100, 900, 0, 700, 100, 0, 0, 0, 0], usable=False)]
    )
    assert found.general == [0.5, 0.5]


def test_the_same_releases_give_the_same_weights() -> None:
    one = policy()
    measure = policy_measure("newsroom", one)
    releases = [release(measure, list(range(measure.cells)), number=t) for t in range(3)]
    assert learn(one, measure, releases) == learn(one, measure, releases[::-1])
