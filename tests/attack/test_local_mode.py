"""Local mode: one report tells anybody, this service included, at most epsilon_0 about the answer. Whoever sees the plain reports is the
attacker; they are drawn as a device draws them.
"""

from __future__ import annotations

import numpy as np
import pytest

from privacy.local import randomised
from tests.attack.auditor import Answers, Auditor, Claim, Shapes

REPORTS = 30_000


def reports(answer: int, cells: int, epsilon: float) -> Answers:
    """What devices with one answer report."""
    told = np.array([randomised(answer, cells, epsilon) for _ in range(REPORTS)], dtype=np.int64)
    return Answers(np.zeros((REPORTS, 1)), told)


@pytest.mark.parametrize(("epsilon", "cells"), [(0.5, 2), (1.0, 5), (2.0, 20)])
def test_a_report_tells_what_its_epsilon_says_and_hardly_less(auditor: Auditor, epsilon: float, cells: int) -> None:
    """The bound comes within 0.5 of the truth but for a chance below 1e-9: the rarer cell is still reported some 800 times."""
    found = auditor.paired(reports(0, cells, epsilon), reports(1, cells, epsilon), Claim(epsilon), attacks=[Shapes()])
    assert epsilon - 0.5 < found.epsilon <= epsilon


def test_a_device_that_keeps_the_truth_too_often_is_found_out(auditor: Auditor) -> None:
    """Epsilon 2 in the place of 1: 22,500 tested reports put the bound above 1.75, give or take 0.03."""
    found = auditor.paired(reports(0, 5, 2.0), reports(1, 5, 2.0), Claim(1.0), attacks=[Shapes()])
    assert found.refutes(Claim(1.0))


def test_two_reports_tell_twice_as_much(auditor: Auditor) -> None:
    """Which is why a person's reports are bounded, and all of them are counted in what local mode promises for an epoch."""
    present, absent = (_two(answer) for answer in (0, 1))
    assert auditor.paired(present, absent, Claim(1.0), attacks=[Shapes()]).refutes(Claim(1.0))
    assert not auditor.paired(present, absent, Claim(2.0), attacks=[Shapes()]).refutes(Claim(2.0))


def _two(answer: int) -> Answers:
    one, other = (reports(answer, 2, 1.0).codes for _ in range(2))
    assert one is not None
    assert other is not None
    return Answers(np.zeros((REPORTS, 1)), 2 * one + other)
