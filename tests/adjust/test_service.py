"""One step of the engine, and the stores behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import update

import adjust.service
from adjust.bundle import Bundle
from adjust.errors import BundleInvalid
from adjust.models_store import ModelStore
from adjust.service import Engine
from adjust.store import BundleStore, PolicyHistory
from adjust.tables import bundles
from privacy.releases import ReleaseStore
from tacit.core.db import writing
from tacit.core.declaration import Dimension, Kind, Measure, Site, policy_measure
from tacit.core.errors import Conflict
from tests.adjust.support import ROOT, WINDOW, FixedClock, MemoryEvidence, draw, policy, put, release, site, vault

RATES = {"mobile|morning": [0.03, 0.12, 0.03, 0.03]}
PEOPLE = {"mobile|morning": [3_000, 3_000, 3_000, 300]}


class House:
    def __init__(self, database: Database) -> None:
        self.database, self.evidence, self.clock = database, MemoryEvidence(), FixedClock()
        self.bundles, self.history = BundleStore(database, ROOT), PolicyHistory(database)
        self.engine = Engine(ReleaseStore(database), self.bundles, self.history, self.evidence, ROOT, self.clock, ModelStore(database))

    def payload(self) -> dict[str, Any]:
        found = self.bundles.latest_payload("newsroom")
        assert found is not None
        return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = vault(tmp_path)
    yield House(database)
    database.dispose()


def _window(number: int, **changes: Any) -> Any:
    measure = policy_measure("newsroom", policy())
    return replace(draw(measure, RATES, PEOPLE, np.random.default_rng(), number=number), **changes)


def test_the_first_step_publishes_even_weights(house: House) -> None:
    assert house.bundles.latest_version("newsroom") is None
    assert house.engine.step(site(policy(), policy("teaser"))) == 1
    published = house.payload()
    assert set(published["policies"]) == {"headline", "teaser"}
    assert published["policies"]["headline"]["weights"] == {}
    assert house.evidence.kinds() == ["bundle.published"]


def test_what_was_released_moves_the_weights_and_is_named(house: House) -> None:
    house.engine.step(site(policy()))
    put(house.database, _window(0), _window(1))
    assert house.engine.step(site(policy())) == 2
    published = house.payload()
    assert published["releases"] == ["rel_policy.headline_1"]
    entry = published["policies"]["headline"]
    low, high = entry["weights"].get("mobile|morning", entry["default"])[:2]
    assert (high - low) / 65535 > 0.8
    body = house.evidence.entries[-1].body
    assert (body["version"], body["releases"]) == (2, ["rel_policy.headline_1"])
    states = house.history.list("newsroom", "headline")
    assert [s["window_end_ms"] for s in states] == [0, 2 * WINDOW]
    assert states[-1]["weights"]["bigger"] > 0.8
    assert set(states[-1]["arms"]["bigger"]) == {"weight", "rate", "sd"}


def test_a_held_back_release_moves_nothing(house: House) -> None:
    house.engine.step(site(policy()))
    put(house.database, _window(0, usable=False), _window(1, usable=None))
    assert house.engine.step(site(policy())) is None
    assert house.payload()["version"] == 1


def test_a_repeated_step_publishes_nothing_new(house: House) -> None:
    put(house.database, _window(0))
    assert house.engine.step(site(policy())) == 1
    assert house.engine.step(site(policy())) is None
    assert house.engine.step(site(policy(explore=0.1))) == 2


def test_a_site_without_policies_has_no_bundle(house: House) -> None:
    assert house.engine.step(site()) is None
    assert house.bundles.latest_jws("newsroom") is None
    assert house.bundles.latest_payload("newsroom") is None


def test_a_failing_learner_keeps_the_last_good_weights(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    put(house.database, _window(0))
    house.engine.step(site(policy(), policy("teaser")))
    good = house.payload()["policies"]["headline"]
    real = adjust.service.learn

    def breaks(one: Any, *arguments: Any, **options: Any) -> Any:
        if one.name == "headline":
            raise ZeroDivisionError("secret")
        return real(one, *arguments, **options)

    monkeypatch.setattr(adjust.service, "learn", breaks)
    put(house.database, _window(1), release(policy_measure("newsroom", policy("teaser")), [9] * 72))
    assert house.engine.step(site(policy(), policy("teaser"))) == 2
    assert house.payload()["policies"]["headline"] == good
    assert house.evidence.kinds() == ["bundle.published", "learner.failed", "bundle.published"]
    assert house.evidence.entries[1].body == {"policy": "headline", "error": "ZeroDivisionError"}
    changed = policy(arms={"control": {}, "new": {}})
    monkeypatch.setattr(adjust.service, "learn", lambda *_a, **_o: 1 / 0)
    assert house.engine.step(site(changed)) == 3
    assert house.payload()["policies"]["headline"]["default"] == [32768, 65535]


def test_a_broken_learner_does_not_publish_the_same_again_and_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adjust.service, "learn", lambda *_a, **_o: 1 / 0)
    assert house.engine.step(site(policy())) == 1
    assert house.engine.step(site(policy())) is None
    assert house.evidence.kinds() == ["learner.failed", "bundle.published", "learner.failed"]


def test_a_version_is_published_once(house: House) -> None:
    bundle = Bundle("newsroom", 1, 0, "salt", [])
    house.bundles.publish(bundle, house.evidence)
    with pytest.raises(Conflict):
        house.bundles.publish(bundle, house.evidence)


def test_a_bundle_that_was_changed_in_the_vault_is_refused(house: House) -> None:
    house.engine.step(site(policy()))
    jws = house.bundles.latest_jws("newsroom")
    assert jws is not None
    with writing(house.database) as connection:
        connection.execute(update(bundles).values(jws=jws.replace('"signature":"', '"signature":"AAAA', 1)))
    with pytest.raises(BundleInvalid):
        house.bundles.latest_payload("newsroom")


def test_a_markov_policy_brings_its_tables_along_for_triggers(house: House) -> None:
    steps = Dimension("section.from", ("news", "sport"))
    both = (steps, replace(steps, name="section.to"))
    counted = Measure("newsroom", "steps", Kind.TRANSITIONS, "page", "measurement", both, Decimal("0.1"))
    arms = {"to_news": {"next": "news"}, "to_sport": {"next": "sport"}}
    one = policy(arms=arms, context=(Dimension("section", ("news", "sport")),), learner="markov", transitions="steps")
    whole = site(one)
    declared = Site(whole.name, whole.privacy, "eu", None, (*whole.measures, counted), whole.policies)
    put(house.database, release(counted, [100, 900, 0, 300, 100, 0, 0, 0, 0]), release(policy_measure("newsroom", one), [9] * 18))
    assert house.engine.step(declared) == 1
    chain = house.payload()["policies"]["headline"]["chain"]
    assert chain["field"] == "section"
    assert chain["next"]["news"]["sport"] > 0.8
    assert set(chain["abandonment"]) == {"news", "sport", "other"}
