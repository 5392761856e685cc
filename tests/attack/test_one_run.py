"""One end-to-end run: a thousand canaries, each in a cell of its own and there by the toss of a coin, through the HTTP door, one close, one
release, read over HTTP (Steinke, Nasr and Jagielski 2023, algorithm 1).

Canaries come in five kinds, some of which try to count more than once. The second site really has epsilon 20; audited against the claim
of the first, it is what a service looks like that adds too little noise.
False alarms: within those of all audits together. False silence: at epsilon 20 (shift 2.4) a guess among the 300 most extreme of 1,000 is
wrong once in 150 to 200; the claim of 1 is refuted by 262 right ones, missed with probability below 1e-30.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tacit import wiring
from tacit.core import configuration, logs
from tacit.core.access import KeyStore, Role
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.worker import Worker
from tests.attack.auditor import Auditor, Claim
from tests.conftest import NOTICE, House, build, event

CANARIES, GUESSES = 1_000, 300
BATCH = 200
CELLS = ", ".join(f"c{i}" for i in range(CANARIES))

YAML = f"""
sites:
  promised:
    privacy: {{epsilon: 1.0, delta: 1.0e-12, epoch: 1d, window: 1d}}
    measures: {{pages: {{event: page, by: {{cell: [{CELLS}]}}, share: 1.0}}}}
  loud:
    privacy: {{epsilon: 20.0, delta: 1.0e-12, epoch: 1d, window: 1d}}
    measures: {{pages: {{event: page, by: {{cell: [{CELLS}]}}, share: 1.0}}}}
"""
PROMISED, LOUD = Claim(1.0, 1e-12), Claim(20.0, 1e-12)
LOUD_SD = 0.42
"""Standard deviation of a count at epsilon 20."""


def visits(canary: int) -> list[dict[str, Any]]:
    """What a canary sends: once; ten times; ten times under one id; the same again later; elsewhere too."""
    who, kind = f"canary-{canary}", canary % 5
    if kind == 1:
        return [event(f"{canary}-{i}", "page", who, cell=f"c{canary}") for i in range(10)]
    once = event(f"{canary}", "page", who, cell=f"c{canary}")
    return [once] * {2: 10, 3: 2}.get(kind, 1)


class Site:
    """One site of a house, with clients of its own."""

    def __init__(self, house: House, name: str) -> None:
        engine = connect(house.settings.released_location)
        store = KeyStore(engine)
        keys = {role: store.create(name, role, now_ms=SystemClock().now_ms()) for role in (Role.APP, Role.OFFICER)}
        engine.dispose()
        self.name = name
        self.app, self.officer = (
            httpx.Client(base_url=house.url, headers={"authorization": f"Bearer {key}"}, timeout=60) for key in keys.values()
        )

    def receive(self, present: list[int]) -> None:
        """Let these canaries consent and come, in random order, so that nothing but their presence is told."""
        sent = [one for canary in present for one in visits(canary)]
        random.SystemRandom().shuffle(sent)
        for canary in present:
            body = {"subject": f"canary-{canary}", "purposes": {"measurement": True}, "notice": NOTICE, "method": "banner"}
            assert self.app.post("/v1/consents", json=body).is_success
        for start in range(0, len(sent), BATCH):
            assert self.app.post("/v1/events", json={"events": sent[start : start + BATCH]}).is_success

    def counts(self) -> np.ndarray:
        """The published counts of the canaries' cells; more than one release where midnight came in between."""
        found = np.zeros(CANARIES)
        for release in self.officer.get("/v1/releases").json()["releases"]:
            found += [cell["value"] for cell in release["cells"][:CANARIES]]
        return found

    def close(self) -> None:
        self.app.close()
        self.officer.close()


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    house = build(tmp_path, YAML)
    house.start(sanitiser=False)
    made = Site(house, "promised"), Site(house, "loud")
    yield made
    for site in made:
        site.close()
    house.stop()
    shutil.rmtree(tmp_path / "custody", ignore_errors=True)


def test_a_thousand_canaries_in_one_run_are_hidden_as_promised_and_not_where_the_noise_is_too_small(
    auditor: Auditor, sites: tuple[Site, Site], tmp_path: Path
) -> None:
    there = np.random.default_rng().random(CANARIES) < 0.5
    for site in sites:
        site.receive(np.flatnonzero(there).tolist())
    close_now(tmp_path)
    quiet, loud = (site.counts() for site in sites)

    found = auditor.one_run(there, quiet, PROMISED, guesses=GUESSES)
    assert not found.refutes(PROMISED), found
    found = auditor.one_run(there, loud, LOUD, guesses=GUESSES)
    assert not found.refutes(LOUD), found
    assert auditor.one_run(there, loud, PROMISED, guesses=GUESSES).refutes(PROMISED)
    # Whoever was there counts, and counts once: 1,000 counts lie within eight standard deviations but for a chance below 1e-11.
    assert abs(loud - there).max() < 8 * LOUD_SD


def close_now(place: Path) -> None:
    """Cut the open windows of all sites and close them, as the sanitiser's own process does."""
    house = {"config": place / "tacit.yaml", "data": place / "data", "custody": place / "custody"}
    settings = wiring.Settings(**house)
    declaration = configuration.load(settings.config)
    logs.allow_declared(declaration)
    services = wiring.sanitiser(settings, declaration)
    for name in declaration.sites:
        services.source.cut(name)
    Worker(services).once()
