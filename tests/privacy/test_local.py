"""Randomised response: what a report tells at most is exact arithmetic; what readers make of reports is tested by statistics."""

from __future__ import annotations

import json
import math
import secrets
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from privacy.local import RANGE, debiased, keep_probability, other_probability, randomised, weights
from privacy.models import Mechanism, Release, noisy
from tests.privacy.world import count, window

CASES = json.loads((Path(__file__).parents[1] / "cases" / "local.json").read_text())


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 1.0, 2.0, 8.0, 20.0])
@pytest.mark.parametrize("cells", [2, 3, 10, 1_000, 100_000])
def test_no_report_tells_more_than_epsilon(epsilon: float, cells: int) -> None:
    """The ratio of two reports' probabilities is keep : other, exactly; it is compared with e^ε from above, at 30 digits."""
    keep, other = weights(epsilon, cells)
    assert keep + (cells - 1) * other == RANGE
    bound = Fraction(Decimal(epsilon).exp() * (1 + Decimal("1e-25")))
    assert 1 <= Fraction(keep, other) <= bound
    assert keep / RANGE == pytest.approx(keep_probability(epsilon, cells), rel=1e-6)
    assert other / RANGE == pytest.approx(other_probability(epsilon, cells), rel=1e-6)


@pytest.mark.parametrize("case", CASES["draws"], ids=lambda c: f"{c['cells']}-{c['epsilon']}-{c['number']}")
def test_every_device_draws_alike_from_the_same_number(case: dict) -> None:
    assert randomised(case["cell"], case["cells"], case["epsilon"], int(case["number"])) == case["reported"]


def test_every_cell_is_reported_as_often_as_it_should_be() -> None:
    """Chi-squared of 100,000 draws in 4 cells: false failure 1e-7."""
    keep, other = weights(1.0, 4)
    seen = Counter(randomised(2, 4, 1.0) for _ in range(100_000))
    expected = [100_000 * (keep if cell == 2 else other) / RANGE for cell in range(4)]
    assert sum((seen[c] - e) ** 2 / e for c, e in enumerate(expected)) < 35.0


def test_a_cell_that_is_not_there_is_refused() -> None:
    for cell in (-1, 3):
        with pytest.raises(ValueError, match="no such cell"):
            randomised(cell, 3, 1.0)


def test_debiased_numbers_are_unbiased_with_the_stated_deviation() -> None:
    """Mean and variance of 4,000 repetitions, each within 6.5 standard errors; a wrong p or a forgotten part of the variance fails."""
    truth, epsilon, sd, repeats = np.array([3_000, 500, 0, 1_500]), 1.0, 40.0, 4_000
    rng = np.random.default_rng(secrets.randbits(64))
    p, q = keep_probability(epsilon, 4), other_probability(epsilon, 4)
    odds = np.full((4, 4), q) + np.eye(4) * (p - q)
    reports = sum(rng.multinomial(n, odds[cell], size=repeats) for cell, n in enumerate(truth)) + rng.normal(0, sd, (repeats, 4))
    found = np.array([debiased(r.tolist(), epsilon, sd) for r in reports])
    deviation = found[..., 0] - truth
    stated = np.sqrt((found[..., 1] ** 2).mean(0))
    assert np.all(np.abs(deviation.mean(0)) < 6.5 * stated / math.sqrt(repeats))
    assert np.all(np.abs(deviation.var(0) / stated**2 - 1) < 6.5 * math.sqrt(2 / repeats) + 0.02)


def test_a_release_shows_people_and_what_was_reported() -> None:
    measure = replace(count(cells=3), local_epsilon=Decimal(2))
    release = Release("rel_1", "shop", measure, window(0), Mechanism(scale=4.5), 10**9, noisy((700, 200, 100)), 0)
    cells = release.cells()
    assert [c["reported"] for c in cells] == [700, 200, 100]
    assert [c["value"] for c in cells] == pytest.approx([v for v, _ in debiased([700, 200, 100], 2.0, 4.5)])
    assert sum(c["value"] for c in cells) == pytest.approx(1_000)
    assert all(c["sd"] > 4.5 for c in cells)
