"""Experiments as the sanitiser looks at them: stored assessments, KPIs, and guardrails that pause."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection

from adjust.assessor import Assessor
from adjust.experiment_store import ExperimentStore
from adjust.guardrails import of_measure
from adjust.policies import ENGINE, PolicyBook
from adjust.sequential import sequences
from privacy.releases import ReleaseStore
from tacit.core.declaration import HOLDOUT, Guardrail, Kind, Kpi, Measure, Site, kpi_measure
from tacit.core.policies import policy_from
from tacit.core.schema import PolicyConfig
from tests.adjust.support import FixedClock, MemoryEvidence, policy, put, release, site, vault

CONFIG = {
    "zone": "front.headline",
    "arms": {"plain": {"scale": 1.0}, "large": {"scale": 1.2}},
    "reward": {"event": "click"},
    "learner": "fixed",
    "holdout": 0.2,
    "share": "0.4",
    "verdict_after": "2h",
    "kpis": {
        "bounce": {"kind": "rate", "better": "lower", "guardrail": 0.02, "share": "0.1"},
        "satisfaction": {"kind": "rating", "share": "0.1"},
        "seconds": {"kind": "number", "from": 0, "to": 100, "bins": 10, "share": "0.1"},
    },
}
ERRORS = Measure("newsroom", "errors", Kind.COUNT, "fault", "measurement", (), Decimal("0.1"))


class House:
    """A released vault with one policy, its KPIs and a site measure."""

    def __init__(self, place: Path) -> None:
        self.engine = vault(place)
        self.clock, self.evidence = FixedClock(), MemoryEvidence()
        declared = policy_from("headline", PolicyConfig.model_validate(CONFIG), {})
        whole = site(declared)
        self.kpis = {kpi.name: kpi_measure("newsroom", declared, kpi) for kpi in declared.kpis}
        self.site = Site(whole.name, whole.privacy, "eu", None, (*whole.measures, *self.kpis.values(), ERRORS), {"headline": declared})
        self.policy = declared
        self.book = PolicyBook(self.engine, self.evidence, self.clock)
        self.book.declare(self.site)
        self.store = ExperimentStore(self.engine)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.assessor = Assessor(ReleaseStore(self.engine), self.store, self.book, self.evidence, self._tell)
        self.rng = np.random.default_rng()

    def _tell(self, _site: str, kind: str, detail: dict[str, Any], _connection: Connection) -> None:
        self.told.append((kind, detail))

    def window(self, number: int, *, bounce: tuple[float, float, float], reward: float = 0.1, people: int = 4_000) -> None:
        """One window: bounce rates of plain, large and holdout."""
        shown = [int(people * part) for part in (0.4, 0.4, 0.2)]
        rewards = [self.rng.binomial(n, reward) for n in shown]
        trials = [value for n, k in zip(shown, rewards, strict=True) for value in (n - k, k)]
        self._put(self.site.policy_measure("headline"), number, trials)
        bounced = [self.rng.binomial(n, p) for n, p in zip(shown, bounce, strict=True)]
        self._put(self.kpis["bounce"], number, [value for n, k in zip(shown, bounced, strict=True) for value in (n - k, k, 0)])
        marks = [self.rng.multinomial(n, p) for n, p in zip(shown, ([0.2] * 5, [0.1, 0.1, 0.2, 0.2, 0.4], [0.2] * 5), strict=True)]
        self._put(self.kpis["satisfaction"], number, [int(v) for row in marks for v in (*row, 0)])
        spent = [self.rng.multinomial(n, np.ones(10) / 10) for n in shown]
        self._put(self.kpis["seconds"], number, [int(v) for row in spent for v in (*row, 0)])

    def _put(self, measure: Measure, number: int, counts: list[int]) -> None:
        noisy = np.array(counts) + np.rint(self.rng.normal(0, 3, len(counts)))
        put(self.engine, release(measure, noisy.astype(int).tolist(), number=number, scale=3.0))

    def errors(self, number: int, count: int) -> None:
        put(self.engine, release(ERRORS, [count], number=number, scale=3.0))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_nothing_is_assessed_before_a_release(house: House) -> None:
    assert house.assessor.step(house.site) == []
    assert house.store.latest("newsroom", "headline") is None


def test_kpis_are_compared_by_arm_with_their_own_scores(house: House) -> None:
    for number in range(4):
        house.window(number, bounce=(0.3, 0.3, 0.3))
    assert house.assessor.step(house.site) == []
    found = house.store.latest("newsroom", "headline")
    assert found is not None
    assert found["sample_ratio"]["matches"] is True
    kpis = {one["name"]: one for one in found["kpis"]}
    marks = {one["name"]: one for one in kpis["satisfaction"]["sequences"]}
    assert marks["large"]["low"] < 0.7 < marks["large"]["high"]
    assert marks["large"]["low"] > 0
    assert kpis["satisfaction"]["verdict"] == "raises"
    assert kpis["satisfaction"]["good"] is True
    seconds = kpis["seconds"]
    assert seconds["mean"] == pytest.approx(50, abs=2)
    assert seconds["sequences"][0]["low"] < 0 < seconds["sequences"][0]["high"]
    assert kpis["bounce"]["better"] == "lower"
    assert [g["crossed"] for g in found["guardrails"]] == [False]


def test_scores_have_unit_variance_for_marks_too(house: House) -> None:
    """400 differences in standard deviations: their standard deviation is 1 within 18 % (five of its own standard errors)."""
    kpi = next(k for k in house.policy.kpis if k.name == "satisfaction")
    measure, rng = house.kpis["satisfaction"], house.rng
    found = []
    for _ in range(400):
        rows = [(*rng.multinomial(n, [0.1, 0.2, 0.3, 0.3, 0.1]), 0) for n in (160, 160, 80)]
        counts = np.array(rows).ravel() + np.rint(rng.normal(0, 6, 18))
        one = sequences(measure, [release(measure, counts.astype(int).tolist(), scale=6.0)], kpi.scores)[0]
        assert one.difference is not None
        found.append(one.difference * one.information**0.5)
    assert 0.82 < np.std(found) < 1.18


def test_a_guardrail_pauses_the_policy_once_and_a_person_can_let_it_run_again(house: House) -> None:
    for number in range(3):
        house.window(number, bounce=(0.3, 0.5, 0.3))
    assert house.assessor.step(house.site) == ["headline"]
    effective = house.book.effective(house.site, "headline")
    assert effective.standing.state == "paused"
    assert effective.controls.paused == "guardrail bounce"
    assert house.told == [("guardrail.crossed", {"policy": "headline", "guardrail": "bounce"})]
    (order,) = [e for e in house.evidence.entries if e.kind == "policy.ordered"]
    assert order.body["by"] == ENGINE
    house.book.resume(house.site, "headline", actor="key_officer", note="we accept that")
    house.window(3, bounce=(0.3, 0.5, 0.3))
    assert house.assessor.step(house.site) == []
    assert house.book.effective(house.site, "headline").standing.state == "running"
    assert [g["crossed"] for g in house.store.latest("newsroom", "headline")["guardrails"]] == [True]  # type: ignore[index]
    house.clock.now += 1
    house.book.draft(house.site, "headline", {"explore": 0.1}, actor="key_one")
    house.book.approve(house.site, "headline", actor="key_two")
    house.book.declare(house.site)
    assert house.assessor.step(house.site) == ["headline"], "another version is watched anew"


def test_a_site_measure_s_guardrail_counts_its_noise(house: House) -> None:
    rail = Guardrail("errors", None, None, 10.0)
    store = ReleaseStore(house.engine)
    assert of_measure(rail, ERRORS, []).crossed is None
    for number, count in enumerate((12, 9, 14)):
        house.errors(number, count)
    seen = of_measure(rail, ERRORS, store.since("newsroom", ERRORS.id, -1))
    assert seen.value == pytest.approx(35 / 3)
    assert seen.crossed is False, "11.7 is not beyond 10 by three standard deviations of 1.7"
    for number in range(3, 9):
        house.errors(number, 40)
    assert of_measure(rail, ERRORS, store.since("newsroom", ERRORS.id, -1)).crossed is True
    assert of_measure(Guardrail("errors", None, 100.0, None), ERRORS, store.since("newsroom", ERRORS.id, -1)).crossed is True


def test_one_policy_s_fault_leaves_the_others_alone(house: House, tmp_path: Path) -> None:
    for number in range(2):
        house.window(number, bounce=(0.3, 0.3, 0.3))
    broken = Site(house.site.name, house.site.privacy, "eu", None, house.site.measures, {"broken": policy("broken"), **house.site.policies})
    assert house.assessor.step(broken) == []
    assert house.store.latest("newsroom", "headline") is not None


def test_a_kpi_survives_the_round_trip_through_a_version() -> None:
    from tacit.core.policies import config_of

    declared = policy_from("headline", PolicyConfig.model_validate(CONFIG), {})
    again = policy_from("headline", PolicyConfig.model_validate(config_of(declared)), {})
    assert again == declared
    assert [kpi.name for kpi in again.kpis] == ["bounce", "satisfaction", "seconds"]
    assert isinstance(again.kpis[0], Kpi)
    assert HOLDOUT in again.arm_dimension.labels
