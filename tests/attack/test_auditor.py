"""The auditor is itself audited, with mechanisms whose loss is known. No seeds: each test states how often it fails by chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tests.attack.auditor import (
    Along,
    Answers,
    Auditor,
    Claim,
    Fisher,
    Floats,
    Shapes,
    at_least,
    at_most,
    losses,
    one_run_epsilon,
    one_run_p_value,
)

ANYTHING = Claim(1.0)


def draws() -> np.random.Generator:
    return np.random.default_rng()


def laplace(n: int, epsilon: float) -> tuple[Answers, Answers]:
    """Exactly epsilon-private for a change of 1."""
    noise = draws().laplace(0, 1 / epsilon, (2, n, 1))
    return Answers(noise[0] + 1), Answers(noise[1])


def gauss(n: int, rho: float, cells: int = 4) -> tuple[Answers, Answers]:
    """Exactly rho-zCDP for a change of norm 1 that is spread over all cells."""
    noise = draws().normal(0, (2 * rho) ** -0.5, (2, n, cells))
    return Answers(noise[0] + cells**-0.5), Answers(noise[1])


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (3, 40), (40, 40), (999, 1000)])
def test_bounds_on_probabilities_are_those_of_clopper_and_pearson(successes: int, trials: int) -> None:
    oracle = stats.binomtest(successes, trials).proportion_ci(0.9, method="exact")
    assert at_least(successes, trials, 0.05) == pytest.approx(oracle.low)
    assert at_most(successes, trials, 0.05) == pytest.approx(oracle.high)


def test_losses_of_a_coin_are_exact() -> None:
    """Randomised response at epsilon has loss epsilon; a coin that falls by chance delta more often has none at that delta."""
    p = 1 / (1 + math.exp(-1.5))
    assert losses(p, 1 - p, Claim(1.0))[0] == pytest.approx(1.5)
    assert losses(0.3 + 0.01, 0.3, Claim(1.0, delta=0.01))[0] == pytest.approx(0.0, abs=1e-12)
    assert losses(0.31, 0.3 * 0.99, Claim(1.0, rho=1.0, uncertain=0.01))[1] == 0.0
    assert losses(0.2, 0.4, Claim(1.0, rho=1.0)) == (0.0, 0.0)


@pytest.mark.parametrize("rho", [0.02, 0.5, 4.0])
def test_no_event_makes_a_gaussian_look_worse_than_its_rho_and_the_best_shows_more_than_half_of_it(rho: float) -> None:
    """Cutting a Gaussian in the middle keeps 2 / pi of a small loss; no threshold shows more than there is."""
    shift = math.sqrt(2 * rho)
    thresholds = np.linspace(-6, 6 + shift, 500)
    _, found = losses(stats.norm.sf(thresholds - shift), stats.norm.sf(thresholds), Claim(1.0, rho=rho))
    assert found.max() <= rho * (1 + 1e-9)
    assert found.max() > 0.5 * rho


@pytest.mark.parametrize("mechanism", ["laplace", "gauss"])
def test_sound_mechanisms_are_called_unsound_no_more_often_than_stated(mechanism: str) -> None:
    """At a stated rate of 5 % an audit, 200 audits alarm more than 34 times with probability below 1e-9."""
    auditor = Auditor(false_alarms=0.05 * 200, audits=200)
    alarms = 0
    for _ in range(200):
        if mechanism == "laplace":
            alarms += auditor.paired(*laplace(2_000, 1.0), Claim(1.0)).refutes(Claim(1.0))
        else:
            claim = Claim(math.inf, rho=0.5)
            alarms += auditor.paired(*gauss(2_000, 0.5), claim, attacks=[Fisher(), Along(np.ones(4))]).refutes(claim)
    assert alarms <= 34
    assert stats.binom.sf(34, 200, 0.05) < 1e-9


def test_what_is_found_comes_near_the_truth() -> None:
    """With 40,000 answers the bound on a Laplace mechanism's epsilon is off by some 10 %; below 0.7 it would be 20 standard errors low."""
    found = Auditor().paired(*laplace(40_000, 1.0), Claim(1.0))
    assert 0.7 < found.epsilon <= 1.0


def test_a_mechanism_of_twice_the_loss_is_found_out() -> None:
    """Gaussian noise of half the claimed scale, 4,000 answers: missed with probability below 1e-10 (see `test_release_function`)."""
    claim = Claim(math.inf, rho=1.0)
    found = Auditor().paired(*gauss(4_000, 4.0), claim)
    assert found.refutes(claim)
    assert found.rho <= 4.0


def test_a_direction_without_noise_is_learnt() -> None:
    """Two numbers that share their noise: only their difference tells, and it tells all. False failure below 1e-100."""
    noise = draws().normal(0, 50, (2, 400, 1))
    present, absent = Answers(np.hstack([noise[0] + 1, noise[0]])), Answers(np.hstack([noise[1], noise[1]]))
    claim = Claim(2.0, rho=1.0)
    assert Auditor().paired(present, absent, claim).refutes(claim)


def test_shapes_are_compared_and_delta_is_given_its_due() -> None:
    """A key that shows the person with probability 0.2, 4,000 answers: allowed by a delta of 0.25, not by one of 0.1 (below 1e-10)."""
    shown = (draws().random(4_000) < 0.2).astype(np.int64)
    present, absent = Answers(np.zeros((4_000, 1)), shown), Answers(np.zeros((4_000, 1)), np.zeros(4_000, np.int64))
    for delta, refuted in ((0.25, False), (0.1, True)):
        claim = Claim(1.0, delta, rho=0.02, uncertain=delta)
        found = Auditor().paired(present, absent, claim, attacks=[Shapes()])
        assert (found.epsilon > 1.0, found.rho > 0.02) == (refuted, refuted)


def test_an_auditor_makes_no_more_audits_than_share_its_false_alarms() -> None:
    auditor = Auditor(audits=1)
    auditor.paired(*laplace(40, 1.0), ANYTHING)
    with pytest.raises(RuntimeError):
        auditor.paired(*laplace(40, 1.0), ANYTHING)


def test_the_p_value_without_delta_is_the_binomial_tail_and_with_it_theorem_5_2() -> None:
    success = 1 / (1 + math.exp(-0.7))
    tail = float(stats.binom.sf(59, 90, success))
    assert one_run_p_value(500, 90, 60, epsilon=0.7, delta=0) == pytest.approx(tail)

    def between(i: int) -> float:
        return float(stats.binom.cdf(59, 90, success) - stats.binom.cdf(59 - i, 90, success))

    worst = max(between(i) / i for i in range(1, 61))
    assert one_run_p_value(500, 90, 60, epsilon=0.7, delta=1e-5) == pytest.approx(tail + 2 * 500 * 1e-5 * worst)
    assert one_run_p_value(500, 90, 90, epsilon=0.7, delta=1.0) == 1.0


def randomised_response(canaries: int, epsilon: float) -> tuple[np.ndarray, Floats]:
    """Each canary's presence, and that presence told truly with probability 1 / (1 + exp(-epsilon)): exactly epsilon-private."""
    included = draws().random(canaries) < 0.5
    true = draws().random(canaries) < 1 / (1 + math.exp(-epsilon))
    told = np.where(true, included, ~included).astype(np.float64)
    return included, told + draws().random(canaries) / 2


def test_one_run_of_randomised_response_is_judged_no_more_often_wrongly_than_stated_and_nearly_exactly() -> None:
    """5 % of 400 runs may be judged too severely: more than 54 with probability below 1e-9. For randomised response every guess counts
    and the test is exact, so with 20,000 canaries the bound at level 5 % comes within 10 % of the truth (12 standard errors)."""
    wrong = 0
    for _ in range(400):
        included, scores = randomised_response(1_000, 1.0)
        wrong += Auditor(false_alarms=0.05, audits=1).one_run(included, scores, Claim(1.0), guesses=400).refutes(Claim(1.0))
    assert wrong <= 54
    assert stats.binom.sf(54, 400, 0.05) < 1e-9
    included, scores = randomised_response(20_000, 1.0)
    assert Auditor(false_alarms=0.05, audits=1).one_run(included, scores, Claim(1.0), guesses=18_000).epsilon > 0.9


def test_one_run_of_a_gaussian_release_stays_below_its_epsilon() -> None:
    """2,000 canaries, each in a cell of its own, shift 2.4 (about epsilon 20 at delta 1e-12). A guess is wrong less than once in a hundred;
    above 2 rests on 577 of 600, missed with probability below 1e-6."""
    included = draws().random(2_000) < 0.5
    found = Auditor().one_run(included, included + draws().normal(0, 1 / 2.4, 2_000), Claim(20.0, 1e-12), guesses=600)
    assert 2 < found.epsilon < 20


def test_guesses_at_random_rule_out_nothing() -> None:
    assert one_run_epsilon(1_000, 300, 150, delta=1e-12, alpha=1e-8) == 0.0
    assert one_run_epsilon(1_000, 300, 0, delta=1e-12, alpha=1e-8) == 0.0
