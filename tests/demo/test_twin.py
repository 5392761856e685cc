"""The twin measures lift on identical people: a uniform split has none, a perfect choice has all there is.

False failures of the statistical tests: below 1e-6 for each run (5.5 standard errors of means over thousands of people).
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from numpy.random import Generator

from privacy.models import Release
from tacit.core.declaration import HOLDOUT, Measure, Policy
from tacit.demo import arrivals as module
from tacit.demo.arrivals import Arrivals, arrive
from tacit.demo.run import declared
from tacit.demo.twin import Allocation, context_of, lift, replay, twin, uniform

SITE = declared()
POLICY = SITE.policies["headline"]
ERRORS = 5.5


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Arrivals:
    monkeypatch.setattr(module, "DEFAULT_DATA", tmp_path / "nothing")
    return arrive(8_000, seed=secrets.randbits(32))


def only(arm: str) -> Allocation:
    return Allocation({}, [float(name == arm) for name in POLICY.arms])


def test_a_uniform_split_has_no_lift_within_its_error(people: Arrivals) -> None:
    decisions = replay(people, SITE, POLICY, learner=uniform, windows=4, seed=secrets.randbits(32), fair=True, holdout=0.0)
    found = lift(decisions, people, default_arm=POLICY.default_arm)
    assert abs(found.expected) < ERRORS * found.error


def test_the_best_arm_for_everybody_has_all_the_lift(people: Arrivals) -> None:
    best = max(people.rates, key=lambda arm: people.rates[arm])
    decisions = replay(people, SITE, POLICY, learner=lambda *_: only(best), windows=2, seed=1, fair=False, holdout=0.0)
    assert lift(decisions, people, default_arm=POLICY.default_arm).expected == pytest.approx(people.rates[best] / people.uniform_rate - 1)


def test_held_out_people_count_with_the_default_arms_rate(people: Arrivals) -> None:
    decisions = [(v, HOLDOUT) for v in people.visitors]
    found = lift(decisions, people, default_arm=POLICY.default_arm)
    assert found.expected == pytest.approx(people.rates[POLICY.default_arm] / people.uniform_rate - 1)


def test_only_people_who_allow_it_are_counted_exactly_once_with_what_they_were_shown(people: Arrivals) -> None:
    seen: list[Release] = []

    def watching(_policy: Policy, _measure: Measure, releases: Sequence[Release], _generator: Generator) -> Allocation:
        seen[:] = releases
        return only("bold")

    replay(people, SITE, POLICY, learner=watching, windows=5, seed=1, fair=False, holdout=0.0)
    assert [r.mechanism.scale for r in seen] == [0.0] * 4
    first = [v for part in people.in_windows(5)[:4] for v in part if v.counts_for_policy]
    counted: Counter[tuple[str, ...]] = Counter()
    for release in seen:
        for labels, value in zip(release.measure.all_labels, release.vector, strict=True):
            counted[tuple(labels.values())] += value
    expected: Counter[tuple[str, ...]] = Counter()
    for v in first:
        arm = v.shown("bold", fair=False)
        expected[(*context_of(v, POLICY).values(), arm, str(int(v.clicks(people.rates[arm]))))] += 1
    assert +counted == expected


def test_the_front_ends_fault_leaves_the_decisions_alone(people: Arrivals) -> None:
    decisions = [replay(people, SITE, POLICY, learner=uniform, windows=4, seed=5, fair=fair) for fair in (False, True)]
    assert decisions[0] == decisions[1]


def test_the_products_learner_gains_on_exact_counts(people: Arrivals) -> None:
    found = twin(people, SITE, POLICY, windows=4, seed=secrets.randbits(32), fair=True, replays=3)
    assert found.expected > ERRORS * found.error > 0
