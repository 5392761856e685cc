"""The evidence log is read through once a day; pages say when it verified last, or from where on it does not."""

from __future__ import annotations

import sqlite3

import httpx

from tacit import wiring
from tacit.core import configuration
from tacit.worker import Worker
from tests.conftest import House


def overview(house: House) -> str:
    with httpx.Client(base_url=house.url, timeout=30) as browser:
        browser.post("/login", data={"key": house.keys["auditor"], "next": "/"}, headers={"origin": house.url})
        return browser.get("/").text


def work(house: House) -> None:
    Worker(wiring.sanitiser(house.settings, configuration.load(house.settings.config))).once()


def test_a_verified_log_is_said_and_verified_once_a_day(served: House) -> None:
    work(served)
    work(served)
    entries = served.client("auditor").get("/v1/evidence/checkpoint").text
    assert entries
    with sqlite3.connect(served.settings.data / "released.db") as database:
        (count,) = database.execute("select count(*) from evidence where kind = 'evidence.verified'").fetchone()
    assert count == 1
    assert "entries verified on" in overview(served)


def test_a_changed_entry_is_an_alert_and_the_page_says_from_where(served: House) -> None:
    with sqlite3.connect(served.settings.data / "released.db") as database:
        database.execute("drop trigger if exists evidence_no_update")
        for (name,) in database.execute("select name from sqlite_master where type = 'trigger' and tbl_name = 'evidence'").fetchall():
            database.execute(f"drop trigger {name}")
    services = wiring.sanitiser(served.settings, configuration.load(served.settings.config))
    services.engine.step(services.declaration.sites["newsroom"])
    with sqlite3.connect(served.settings.data / "released.db") as database:
        database.execute("""update evidence set body = '{"forged":true}' where idx = 0""")
    Worker(services).once()
    assert "verify from entry 0 on" in overview(served)
