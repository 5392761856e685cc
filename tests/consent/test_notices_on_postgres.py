"""Grants and material versions at the same time on a real Postgres: whoever commits first, no older grant is left in force."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tacit import migrations
from tacit.core.db import connect
from tests.consent.support import SITE, Room, furnished, room
from tests.consent.test_notices import grant, put, reason
from tests.postgres import empty_database, server

ROUNDS, PEOPLE = 5, 12


def race(here: Room) -> None:
    """In each round people grant under the old version, one after another in four threads, while the new one is registered."""
    put(here, "0")
    for turn in range(ROUNDS):
        started = threading.Barrier(5)

        def grants(part: int, turn: int = turn, started: threading.Barrier = started) -> None:
            started.wait()
            for person in range(part, PEOPLE, 4):
                grant(here, str(turn), f"{turn} {person}")

        def change(turn: int = turn, started: threading.Barrier = started) -> None:
            started.wait()
            put(here, str(turn + 1), material=True)

        with ThreadPoolExecutor(5) as threads:
            for done in [threads.submit(change), *(threads.submit(grants, part) for part in range(4))]:
                done.result()
        assert {reason(here, f"{turn} {person}") for person in range(PEOPLE)} == {"stale"}
        grant(here, str(turn + 1), f"{turn} now")
        assert reason(here, f"{turn} now") == "granted"


def test_no_grant_slips_past_a_material_version_on_sqlite(tmp_path: Path) -> None:
    here = room(tmp_path)
    race(here)
    here.close()


def test_no_grant_slips_past_a_material_version_on_postgres(tmp_path: Path) -> None:
    with server() as url:
        engine = connect(empty_database(url, "notices"))
        migrations.upgrade(engine, "intake")
        here = furnished(engine, tmp_path)
        race(here)
        put(here, "1", notice="shown")
        with ThreadPoolExecutor(4) as threads:
            shown = [
                threads.submit(here.notices.serve, SITE, "shown", id_type="user", subject="one", version="1", locale="en-GB")
                for _ in range(8)
            ]
            same = [threads.submit(put, here, "2", notice="shown", locale="fr") for _ in range(4)]
            for one in [*shown, *same]:
                one.result()
        assert len(here.service.history(SITE, "user", "one")["served"]) == 1
        assert [v["locale"] for v in here.notices.get(SITE, "shown")["versions"]] == ["en-GB", "fr"]
        here.close()
