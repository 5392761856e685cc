"""Policies as versions: who may make one run, what a version may change, and what the engine publishes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine as Database

from adjust.current import Deciders
from adjust.decide import Decider
from adjust.errors import FourEyes, PolicyState, Unchangeable, UnknownPolicy
from adjust.models_store import ModelStore
from adjust.policies import PolicyBook
from adjust.service import Engine
from adjust.store import BundleStore, PolicyHistory
from privacy.releases import ReleaseStore
from tacit.core.declaration import Dimension, Guardrail, Namespace, Policy, Schedule, Site
from tacit.core.errors import InvalidRequest
from tacit.core.policies import changed, config_of
from tests.adjust.support import CONTEXT, ROOT, FixedClock, MemoryEvidence, policy, site, vault


class House:
    def __init__(self, database: Database) -> None:
        self.database, self.evidence, self.clock = database, MemoryEvidence(), FixedClock()
        self.bundles = BundleStore(database, ROOT)
        self.book = PolicyBook(database, self.evidence, self.clock)
        self.engine = Engine(
            ReleaseStore(database), self.bundles, PolicyHistory(database), self.evidence, ROOT, self.clock, ModelStore(database), self.book
        )

    def publish(self, declared: Site) -> dict[str, Any]:
        """The headline's entry in the newest bundle, after a step."""
        self.engine.step(declared)
        payload = self.bundles.latest_payload("newsroom")
        assert payload is not None
        found: dict[str, Any] = payload["policies"]["headline"]
        return found

    def decision(self, **question: Any) -> dict[str, Any]:
        payload = self.bundles.latest_payload("newsroom")
        assert payload is not None
        return Decider.from_bundle(payload).decide("headline", unit="u", **question)

    def actions(self, name: str = "headline") -> list[tuple[str, str, int]]:
        return [(e["actor"], e["action"], e["version"]) for e in reversed(self.book.store.events("newsroom", name))]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = vault(tmp_path)
    yield House(database)
    database.dispose()


SITE = site(policy())


def test_what_stands_in_the_file_runs_and_is_a_version_once(house: House) -> None:
    assert house.publish(SITE)["state"] == "running"
    house.publish(SITE)
    assert house.actions() == [("file", "declared", 1), ("engine", "started", 1)]
    assert house.evidence.kinds() == ["policy.declared", "policy.started", "bundle.published"]
    assert house.engine.revision(SITE) == 2
    changed_file = site(policy(explore=0.2))
    assert house.publish(changed_file)["explore"] == 0.2
    assert [(v.version, v.state) for v in house.book.store.versions("newsroom", "headline")] == [(2, "running"), (1, "archived")]


def test_a_file_that_asks_for_approval_waits_for_it(house: House) -> None:
    declared = site(policy(approval=True))
    assert house.publish(declared)["state"] == "draft"
    decision = house.decision()
    assert (decision["reason"], decision["arm"], decision["propensity"], decision["counted"]) == ("paused", "control", 1.0, False)
    house.book.approve(declared, "headline", actor="key_1")
    assert house.publish(declared)["state"] == "running"
    assert "counted" not in house.decision()


def test_a_draft_changes_nothing_until_somebody_else_approves_it(house: House) -> None:
    house.publish(SITE)
    drafted = house.book.draft(SITE, "headline", {"rollout": 0.0, "arms": {**policy().arms, "bigger": {"scale": 1.4}}}, actor="key_1")
    assert house.engine.step(SITE) == 2  # the revision is published, the draft is not
    assert house.publish(SITE)["rollout"] == 1.0
    with pytest.raises(FourEyes):
        house.book.approve(SITE, "headline", actor="key_1")
    house.book.approve(SITE, "headline", actor="key_2", version=drafted.version, note="looks right")
    entry = house.publish(SITE)
    assert (entry["rollout"], entry["arms"]["bigger"]) == (0, {"scale": 1.4})
    assert list(entry["order"]["arms"]) == ["control", "bigger", "a_biggest"]
    assert house.decision()["reason"] == "not_rolled_out"
    assert house.actions()[2:] == [("key_1", "drafted", 2), ("key_2", "approved", 2), ("engine", "started", 2)]
    with pytest.raises(PolicyState):
        house.book.approve(SITE, "headline", actor="key_2")
    bodies = [e.body for e in house.evidence.entries if e.kind == "policy.approved"]
    assert bodies[0]["by"] == "key_2"
    assert bodies[0]["sha256"] == drafted.sha256


def test_one_call_rolls_back_to_what_was_approved(house: House) -> None:
    house.publish(SITE)
    house.book.draft(SITE, "headline", {"explore": 0.5}, actor="key_1")
    with pytest.raises(PolicyState):
        house.book.roll_back(SITE, "headline", 2, actor="key_1")
    house.book.approve(SITE, "headline", actor="key_2")
    assert house.publish(SITE)["explore"] == 0.5
    house.book.roll_back(SITE, "headline", 1, actor="key_1")
    assert house.publish(SITE)["explore"] == 0.03
    assert house.book.effective(SITE, "headline").version == 3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"context": {"device": ["mobile"]}}, Unchangeable),
        ({"share": 0.1}, Unchangeable),
        ({"zone": "front.other"}, Unchangeable),
        ({"reward": {"event": "cart"}}, Unchangeable),
        ({"purpose": "measurement"}, Unchangeable),
        ({"approval": "none"}, Unchangeable),
        ({"canary": 1}, Unchangeable),
        ({"holdout": 0}, Unchangeable),
        ({"arms": {"control": {}, "new": {}}}, Unchangeable),
        ({"arms": {"bigger": {}, "control": {}, "a_biggest": {}}}, Unchangeable),
        ({"explore": 2}, InvalidRequest),
        ({"rollout": "half"}, InvalidRequest),
        ({"targeting": {"colour": {"eq": "red"}}}, InvalidRequest),
        ({"trigger": {"dwell": {"gt": 3}}}, InvalidRequest),
        ({"guardrails": [{"measure": "sales", "min": 1}]}, InvalidRequest),
        ({"guardrails": [{"measure": "policy.headline", "min": 1}]}, InvalidRequest),
    ],
)
def test_what_changes_the_measure_or_is_wrong_is_refused(house: House, changes: dict[str, Any], problem: type[Exception]) -> None:
    house.publish(SITE)
    with pytest.raises(problem) as caught:
        house.book.draft(SITE, "headline", changes, actor="key_1")
    assert type(caught.value) is problem
    assert "canary" not in str(caught.value)
    assert [v.version for v in house.book.store.versions("newsroom", "headline")] == [1]


def test_a_refused_draft_says_where_and_what_to_do(house: House) -> None:
    house.publish(SITE)
    with pytest.raises(InvalidRequest) as wrong:
        house.book.draft(SITE, "headline", {"rollout": 3}, actor="key_1")
    assert [fault["pointer"] for fault in wrong.value.members["errors"]] == ["/config/rollout"]
    with pytest.raises(InvalidRequest) as unwatched:
        house.book.draft(SITE, "headline", {"guardrails": [{"measure": "nothing", "min": 1}]}, actor="key_1")
    assert [fault["pointer"] for fault in unwatched.value.members["errors"]] == ["/config/guardrails/0/measure"]
    with pytest.raises(Unchangeable) as misspelt:
        house.book.draft(SITE, "headline", {"rolout": 0.5}, actor="key_1")
    assert "spelling" in misspelt.value.next_step


def test_a_version_cannot_take_people_of_another_policy_s_namespace(house: House) -> None:
    both = site(policy(namespace=Namespace("front", 0.0, 0.5)), policy("teaser"))
    house.publish(both)
    with pytest.raises(InvalidRequest):
        house.book.draft(both, "teaser", {"namespace": {"name": "front", "from": 0.4, "to": 1}}, actor="key_1")
    house.book.draft(both, "teaser", {"namespace": {"name": "front", "from": 0.5, "to": 1}}, actor="key_1")


def test_pausing_shows_the_default_and_resuming_goes_on(house: House) -> None:
    house.publish(SITE)
    house.book.pause(SITE, "headline", actor="key_1", note="wrong picture")
    assert house.publish(SITE)["state"] == "paused"
    assert house.decision()["reason"] == "paused"
    with pytest.raises(PolicyState):
        house.book.pause(SITE, "headline", actor="key_1")
    house.publish(site(policy(explore=0.2)))
    assert house.publish(site(policy(explore=0.2)))["state"] == "paused"  # a new version does not end a pause
    house.book.resume(site(policy(explore=0.2)), "headline", actor="key_2")
    assert house.publish(site(policy(explore=0.2)))["state"] == "running"


def test_an_ordered_pause_is_ended_by_resuming_too(house: House) -> None:
    house.publish(SITE)
    house.book.controls.put("newsroom", "headline", "paused", "finding 3", actor="auditor")
    assert house.publish(SITE)["state"] == "paused"
    house.book.resume(SITE, "headline", actor="key_1")
    assert house.publish(SITE)["state"] == "running"


def test_an_archived_policy_stays_so_until_a_version_is_approved(house: House) -> None:
    house.publish(SITE)
    house.book.draft(SITE, "headline", {"explore": 0.5}, actor="key_1")
    house.book.archive(SITE, "headline", actor="key_1")
    assert house.publish(SITE)["state"] == "archived"
    with pytest.raises(PolicyState):
        house.book.resume(SITE, "headline", actor="key_1")
    with pytest.raises(PolicyState):
        house.book.approve(SITE, "headline", actor="key_2")
    with pytest.raises(PolicyState):
        house.book.archive(SITE, "headline", actor="key_1")
    house.book.roll_back(SITE, "headline", 1, actor="key_1")
    assert house.publish(SITE)["state"] == "running"


@pytest.mark.parametrize("waits", [True, False])
def test_a_draft_shows_nobody_its_default_arm_where_nothing_runs(house: House, waits: bool) -> None:
    declared = site(policy(approval=waits))
    house.publish(declared)
    if not waits:
        house.book.archive(declared, "headline", actor="key_1")
    house.book.draft(declared, "headline", {"arms": {**policy().arms, "control": {"scale": 9.9}}}, actor="key_1")
    assert house.publish(declared)["state"] == ("draft" if waits else "archived")
    assert house.decision()["parameters"] == {"scale": 1.0}
    house.book.approve(declared, "headline", actor="key_2")
    assert house.publish(declared)["state"] == "running"
    assert house.bundles.latest_payload("newsroom")["policies"]["headline"]["arms"]["control"] == {"scale": 9.9}  # type: ignore[index]


def test_a_version_for_another_measure_never_runs(house: House) -> None:
    house.publish(SITE)
    house.book.draft(SITE, "headline", {"explore": 0.5}, actor="key_1")
    other = site(policy(context=CONTEXT[:1]))
    assert house.publish(other)["explore"] == 0.03
    with pytest.raises(PolicyState):
        house.book.approve(other, "headline", actor="key_2")
    with pytest.raises(PolicyState):
        house.book.roll_back(other, "headline", 1, actor="key_2")


def test_orders_are_obeyed_by_the_next_bundle_even_without_new_releases(house: House) -> None:
    house.publish(SITE)
    house.book.order(SITE, "headline", "caps", {"bigger": 0.1}, actor="auditor")
    entry = house.publish(SITE)
    assert (entry["default"][1] - entry["default"][0]) / 65535 == pytest.approx(0.1, abs=2 / 65535)
    assert house.evidence.kinds()[-2:] == ["policy.ordered", "bundle.published"]


def test_a_kill_acts_in_every_process_before_the_next_bundle(house: House) -> None:
    house.publish(SITE)
    stopped: set[str] = set()
    deciders = Deciders(house.bundles, ["newsroom"], lambda name: house.book.controls.killed(name) | stopped)
    deciders.refresh()

    def reason() -> str:
        deciders.refresh()
        decider = deciders.current("newsroom")
        assert decider is not None
        return str(decider.decide("headline", unit="u")["reason"])

    assert reason() in ("default", "holdout")
    house.book.order(SITE, "headline", "kill", True, actor="key_1")
    assert reason() == "killed"
    assert house.publish(SITE)["kill"] is True
    house.book.order(SITE, "headline", "kill", False, actor="key_1")
    assert reason() == "killed"  # the bundle still says so
    house.publish(SITE)
    assert reason() in ("default", "holdout")
    stopped.add("headline")
    assert reason() == "killed"


def test_an_unknown_policy_is_said_without_its_name(house: House) -> None:
    for act in (house.book.pause, house.book.resume, house.book.archive, house.book.approve):
        with pytest.raises(UnknownPolicy) as caught:
            act(SITE, "canary", actor="key_1")
        assert "canary" not in caught.value.diagnostics()


FULL = policy(
    trigger={"scroll_depth": {"gt": 50}},
    targeting={"device": {"eq": "mobile"}},
    rollout=0.25,
    namespace=Namespace("front", 0.25, 0.5),
    schedule=Schedule(1_796_079_600_123, None),
    max_step=0.1,
    guardrails=(Guardrail("pages", {"category": "news"}, None, 10.0), Guardrail("pages", None, 1.5, None)),
    approval=True,
    reward_within_ms=86_400_000,
)


@pytest.mark.parametrize("one", [policy(), FULL, policy(context=(), holdout=0.0), policy(context=(Dimension("hour", ("1", "2")),))])
def test_a_policy_as_json_is_the_same_policy(one: Policy) -> None:
    assert changed(one, {}) == one
    assert changed(policy(), {k: v for k, v in config_of(one).items() if k == "rollout"}) == replace(policy(), rollout=one.rollout)


def test_a_version_may_name_a_segment_of_the_site_and_no_other(house: House) -> None:
    mobile = {"device": {"eq": "mobile"}}
    declared = replace(SITE, segments={"mobile": mobile})
    house.publish(declared)
    with pytest.raises(InvalidRequest):
        house.book.draft(declared, "headline", {"targeting": {"segment": "tablet"}}, actor="key_1")
    house.book.draft(declared, "headline", {"targeting": {"not": {"segment": "mobile"}}}, actor="key_1")
    house.book.approve(declared, "headline", actor="key_2")
    assert house.publish(declared)["targeting"] == {"not": mobile}
