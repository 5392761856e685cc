"""Lift: intervals that hold what they promise, noise included."""

from __future__ import annotations

import json

import numpy as np

from adjust.experiments import Lift, lift
from tacit.core.declaration import policy_measure
from tests.adjust.support import draw, policy, release

POLICY = policy()
MEASURE = policy_measure("newsroom", POLICY)
CELLS = ("mobile|morning", "desktop|evening")
RATES = {"mobile|morning": [0.03, 0.05, 0.03, 0.03], "desktop|evening": [0.05, 0.07, 0.05, 0.05]}
SHARES = {"mobile|morning": [0.1, 0.7, 0.1, 0.1], "desktop|evening": [0.4, 0.1, 0.4, 0.1]}
"""Arm `bigger` is mostly shown where rates are low: a comparison in total would find no difference, within cells it is 0.02."""


def _found(rng: np.random.Generator, *, people: int = 2_000, windows: int = 4, scale: float = 6.0) -> Lift:
    releases = [
        draw(
            MEASURE,
            RATES,
            {cell: rng.multinomial(people, SHARES[cell]).tolist() for cell in CELLS},
            rng,
            number=t,
            scale=scale,
        )
        for t in range(windows)
    ]
    found = lift(MEASURE, releases)
    assert found is not None
    return found


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """400 worlds; at 95 % the number of intervals that hold the truth is below 348 or above 399 with a chance below 1e-6 (binomial).

    Intervals that leave the noise out hold the truth in 48 to 63 % of these worlds.
    """
    rng = np.random.default_rng()
    treated = [0.05 * sum(SHARES[c][:3]) for c in CELLS]
    truth_policy = sum(SHARES[c][a] * RATES[c][a] for c in CELLS for a in range(3)) / (sum(treated) / 0.05) - 0.04
    truths = {"policy": truth_policy, "bigger": 0.02, "a_biggest": 0.0}
    hits = dict.fromkeys(truths, 0)
    for _ in range(400):
        for one in _found(rng, people=1_000, windows=8).comparisons:
            assert one.low is not None
            assert one.high is not None
            hits[one.name] += one.low <= truths[one.name] <= one.high
    assert all(348 <= hit <= 399 for hit in hits.values()), hits


def test_a_real_lift_is_found_and_said() -> None:
    """People enough for 8 standard deviations."""
    found = _found(np.random.default_rng(), people=40_000)
    assert found.sentence.startswith("The policy raises the reward rate by ")
    bigger = next(c for c in found.comparisons if c.name == "bigger")
    assert bigger.against == "control"
    assert bigger.low is not None
    assert bigger.low > 0
    assert [a.arm for a in found.arms] == ["control", "bigger", "a_biggest", "holdout"]
    for arm in found.arms:
        assert arm.rate is not None
        assert arm.low is not None
        assert arm.high is not None
        assert 0 <= arm.low < arm.rate < arm.high <= 1
    assert json.loads(json.dumps(found.to_json()))["as_of"] == "1970-01-01T04:00:00.000Z"


def test_noise_alone_is_not_assessed() -> None:
    found = lift(MEASURE, [release(MEASURE, [0] * MEASURE.cells)])
    assert found is not None
    assert found.sentence.startswith("Cannot tell yet")
    assert all(c.difference is None for c in found.comparisons)
    assert all(a.rate is None and a.trials_sd >= 0 for a in found.arms)


def test_without_a_usable_release_there_is_nothing_to_say() -> None:
    assert lift(MEASURE, []) is None
    assert lift(MEASURE, [release(MEASURE, [1_000] * MEASURE.cells, usable=False)]) is None
    assert lift(MEASURE, [release(MEASURE, [1_000] * MEASURE.cells, usable=None)]) is None


def test_a_policy_without_holdout_says_that_its_lift_is_not_measured() -> None:
    measure = policy_measure("newsroom", policy(holdout=0.0))
    found = lift(measure, [release(measure, [1_000] * measure.cells)])
    assert found is not None
    assert "no holdout" in found.sentence
    assert {c.against for c in found.comparisons} == {"control"}
