"""kill -9 of the real processes at random moments: what was acknowledged is counted exactly once, nothing is spent or published twice."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time

import httpx
import pytest

from privacy.releases import ReleaseStore
from tacit import wiring
from tacit.core import configuration
from tacit.core.db import connect
from tests.conftest import NEWSROOM, House, build, event

LOUD = NEWSROOM.replace("epsilon: 1.0", "epsilon: 20.0").replace(
    "share: 0.2\n      dwell", "share: 0.2\n        windows: 24\n      dwell", 1
)


def _published(house: House) -> list[tuple[str, int, int]]:
    with sqlite3.connect(house.settings.data / "released.db") as database:
        return database.execute("select measure, window_ms, count(*) from releases group by 1, 2").fetchall()


def test_acknowledged_events_survive_kill_9_and_resent_ones_count_once(house: House) -> None:
    house.start(sanitiser=False)
    people = [f"person-{i}" for i in range(30)]
    for person in people:
        house.consent(person, measurement=True)
    acknowledged: set[str] = set()
    generator = random.Random(7)
    pending = [event(f"e{i}", "page", people[i % 30], category="news") for i in range(900)]
    batches = [pending[i : i + 15] for i in range(0, len(pending), 15)]
    while batches:
        batch = batches[0]
        if generator.random() < 0.12 and house.process is not None:
            house.process.send_signal(signal.SIGKILL)  # without waiting: the request below may be caught in the middle
        try:
            answer = house.client().post("/v1/events", json={"events": batch})
        except httpx.TransportError:
            house.stop(signal.SIGKILL)
            house.start(sanitiser=False)
            continue  # a client sends the batch again
        assert answer.status_code == 200
        verdict = answer.json()
        assert verdict["accepted"] + verdict["refused"].get("duplicate", 0) == len(batch)
        acknowledged |= {e["id"] for e in batch}
        batches.pop(0)
    assert len(acknowledged) == 900
    house.stop(signal.SIGKILL)
    services = wiring.sanitiser(house.settings, configuration.load(house.settings.config))
    services.source.cut("newsroom")
    site = services.declaration.sites["newsroom"]
    pages = site.measures[0].id
    staged = [services.source.contributions(window).columns for window in services.sanitiser.due("newsroom")]
    distinct = {int(m) for columns in staged for m in columns["m"][columns["measure"] == pages]}
    assert len(distinct) == 900
    for window in services.sanitiser.due("newsroom"):
        services.sanitiser.close(site, window)
    store = ReleaseStore(connect(house.settings.released_location))
    found, _ = store.list("newsroom", measure="pages", limit=1000)
    total = sum(cell["value"] for r in found for cell in r.cells() if cell["by"] == {"category": "news"})
    spread = (sum(r.mechanism.scale**2 for r in found)) ** 0.5
    assert abs(total - 30) < 6 * spread + 1  # per_cell 1, per_window 3: each of the 30 people counts once in the cell


@pytest.mark.slow
def test_a_killed_sanitiser_neither_spends_nor_publishes_twice(tmp_path) -> None:
    house = build(tmp_path, LOUD)
    house.start(sanitiser=False)
    generator = random.Random(11)
    for i in range(20):
        house.consent(f"p{i}", measurement=True, personalisation=True)
    for round_number in range(6):
        house.send(*(event(f"r{round_number}-{i}", "page", f"p{i}", category="tech") for i in range(20)))
        closing = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tacit.cli",
                "close",
                "--site",
                "newsroom",
                "--config",
                str(house.settings.config),
                "--data",
                str(house.settings.data),
            ],
            env={"TACIT_CUSTODY": str(house.settings.custody_directory), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(1.2 + 2.5 * generator.random())
        closing.kill()
        closing.wait()
    services = wiring.sanitiser(house.settings, configuration.load(house.settings.config))
    services.source.cut("newsroom")
    site = services.declaration.sites["newsroom"]
    for window in services.sanitiser.due("newsroom"):
        services.sanitiser.close(site, window)
    published = _published(house)
    assert published
    assert all(count == 1 for _, _, count in published)
    with sqlite3.connect(house.settings.data / "released.db") as database:
        charges = database.execute("select count(*), count(distinct window_ms || ':' || measure_id) from charges").fetchone()
        assert charges[0] == charges[1] == len(published)
        assert database.execute("select count(*) from charges where state <> 'published'").fetchone() == (0,)
        spent, rho = database.execute("select spent_pico, rho_pico from epochs").fetchone()
        assert 0 < spent <= rho
    assert services.evidence.verify() is None  # type: ignore[attr-defined] - the log itself, not the port
    house.stop(signal.SIGKILL)
