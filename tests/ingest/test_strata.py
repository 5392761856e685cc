"""An audit's strata are read from the trial's context, its groups from its groups."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.events import Event
from ingest.plans import Refused, SitePlan
from tacit.core import configuration
from tests.ingest.world import YAML

GROUPS = "groups: {age_band: [young, old]}"
SITE = configuration.parse(YAML.replace(GROUPS, f"{GROUPS}, strata: [device]")).sites["newsroom"]
AUDIT = next(m for m in SITE.measures if m.name == "audit.by_age")


def cell(**properties: Any) -> dict[str, str]:
    given = {"policy": "headline", "arm": "larger", "reward": 1} | properties
    found = SitePlan(SITE).contributions(Event("1", "trial", "ada", datetime.now(UTC), properties=given))
    return next(AUDIT.labels(at) for _, measure, at, _ in found if measure == AUDIT.id)


def test_groups_and_strata_come_from_their_own_objects() -> None:
    found = cell(groups={"age_band": "old", "device": "desktop"}, context={"device": "mobile", "age_band": "young", "daypart": "day"})
    assert found == {"age_band": "old", "device": "mobile", "arm": "larger", "reward": "1"}


def test_an_unknown_or_missing_context_is_the_stratum_other() -> None:
    assert cell(groups={"age_band": "old"}, context={"device": "fridge"})["device"] == "other"
    assert cell(groups={"age_band": "old"})["device"] == "other"


def test_a_context_that_is_no_object_is_refused() -> None:
    with pytest.raises(Refused):
        cell(context="mobile")
