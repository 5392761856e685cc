"""Local mode: one report tells anybody, this service included, at most epsilon_0 about the answer. The device draws by the probabilities
of `privacy.local`; here they are drawn so, and whoever sees the plain reports is the attacker.
"""

from __future__ import annotations

import numpy as np
import pytest

from privacy.local import keep_probability, other_probability
from tests.attack.auditor import Answers, Auditor, Claim, Shapes

REPORTS = 60_000


def reports(answer: int, cells: int, keep: float) -> Answers:
    """What devices with one answer report."""
    draws = np.random.default_rng()
    elsewhere = (answer + draws.integers(1, cells, REPORTS)) % cells
    told = np.where(draws.random(REPORTS) < keep, answer, elsewhere)
    return Answers(np.zeros((REPORTS, 1)), told.astype(np.int64))


@pytest.mark.parametrize(("epsilon", "cells"), [(0.5, 2), (1.0, 5), (2.0, 40)])
def test_a_report_tells_what_its_epsilon_says_and_hardly_less(auditor: Auditor, epsilon: float, cells: int) -> None:
    """The bound comes within 0.5 of the truth but for a chance below 1e-9: the rarer cell is still reported some 900 times."""
    keep, claim = keep_probability(epsilon, cells), Claim(epsilon)
    assert keep + (cells - 1) * other_probability(epsilon, cells) == pytest.approx(1)
    found = auditor.paired(reports(0, cells, keep), reports(1, cells, keep), claim, attacks=[Shapes()])
    assert epsilon - 0.5 < found.epsilon <= epsilon


def test_a_device_that_keeps_the_truth_too_often_is_found_out(auditor: Auditor) -> None:
    """Epsilon 2 in the place of 1: 45,000 tested reports put the bound above 1.8, give or take 0.02."""
    keep = keep_probability(2.0, 5)
    found = auditor.paired(reports(0, 5, keep), reports(1, 5, keep), Claim(1.0), attacks=[Shapes()])
    assert found.epsilon > 1.0


def test_two_reports_tell_twice_as_much(auditor: Auditor) -> None:
    """Which is why a person's reports are bounded, and all of them are counted in what local mode promises for an epoch."""
    keep = keep_probability(1.0, 2)
    present, absent = (Answers(a.numbers, 2 * a.codes + b.codes) for a, b in (_two(0, keep), _two(1, keep)))  # type: ignore[operator]
    assert auditor.paired(present, absent, Claim(1.0), attacks=[Shapes()]).refutes(Claim(1.0))
    assert not auditor.paired(present, absent, Claim(2.0), attacks=[Shapes()]).refutes(Claim(2.0))


def _two(answer: int, keep: float) -> tuple[Answers, Answers]:
    return reports(answer, 2, keep), reports(answer, 2, keep)
