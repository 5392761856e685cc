"""Findings over HTTP, on the command line and on their page, in a house that runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from audit.findings import Finding
from audit.findings_store import add
from tacit.core.access import KeyStore, Role
from tacit.core.db import connect, writing
from tests.conftest import House

HOUR = 3_600_000


def opened(house: House) -> str:
    """A finding as a scan leaves it."""
    now_ms = time.time_ns() // 1_000_000
    detail = {"comparison": {"difference": -0.2}, "limit": 0.05}
    finding = Finding(
        "finding_00000000000000000000000000",
        "newsroom",
        "by_age",
        "scan_1",
        "age_band=55_plus exposure larger",
        "breach",
        "open",
        now_ms,
        now_ms + HOUR,
        detail,
    )
    engine = connect(house.settings.released_location)
    with writing(engine) as connection:
        add(connection, finding)
    engine.dispose()
    return f"/v1/findings/{finding.id}"


def second_officer(house: House) -> tuple[str, str]:
    """Another officer's key and its id."""
    engine = connect(house.settings.released_location)
    store = KeyStore(engine)
    key = store.create("newsroom", Role.OFFICER, now_ms=time.time_ns() // 1_000_000)
    caller = store.identify(key)
    engine.dispose()
    return key, caller.key_id


def test_two_officers_decide_sign_and_close_over_http(served: House) -> None:
    path, anna = opened(served), served.client("officer")
    key, ben_id = second_officer(served)
    with httpx.Client(base_url=served.url, headers={"x-api-key": key}) as ben:
        shown = anna.get(path)
        assert shown.headers["etag"] == '"1"'
        assert shown.json()["history"] == []
        assigned = anna.post(f"{path}/assign", json={"assignee": ben_id}, headers={"if-match": shown.headers["etag"]})
        assert assigned.json()["state"] == "assigned", assigned.text
        stale = ben.post(f"{path}/dismiss", json={"note": "x"}, headers={"if-match": '"1"'})
        assert stale.status_code == 412
        assert stale.json()["type"] == "/problems/finding-changed"
        assert ben.post(f"{path}/dismiss", json={"note": "x", "version": 1}).status_code == 412
        assert ben.post(f"{path}/dismiss", json={"note": "x", "version": 2}, headers={"if-match": '"1"'}).status_code == 422
        assert ben.post(f"{path}/dismiss", json={}).status_code == 422
        assert ben.post(f"{path}/sign").status_code == 409
        once = {"idempotency-key": "c0ffee"}
        first = ben.post(f"{path}/comment", json={"note": "looked"}, headers=once)
        assert ben.post(f"{path}/comment", json={"note": "looked"}, headers=once).json() == first.json()
        assert ben.post(f"{path}/comment", json={"note": "other"}, headers=once).json()["type"] == "/problems/idempotency-key-reused"
        refused = ben.post(f"{path}/correct", json={"change": {"kind": "pause"}})
        assert refused.status_code in (200, 409), refused.text
        assert ben.post(f"{path}/accept", json={"note": "until the relaunch"}).json()["state"] == "accepted"
        assert ben.post(f"{path}/sign").status_code == 200
        again = ben.post(f"{path}/sign", json={})
        assert again.status_code == 409
        assert again.json()["type"] == "/problems/signed-already"
        assert anna.post(f"{path}/close").json()["type"] == "/problems/signatures-missing"
        assert anna.post(f"{path}/sign", json={"note": "agreed"}).status_code == 200
        assert anna.post(f"{path}/close").json()["state"] == "closed"
        assert anna.post(f"{path}/reopen", json={"note": "it is back"}).json()["state"] == "reopened"
    assert anna.get("/v1/findings/finding_nobody").status_code == 404
    (listed,) = anna.get("/v1/findings").json()["findings"]
    assert listed["state"] == "reopened"
    page = anna.get("/findings.json").json()
    assert "it is back" not in json.dumps(page)


def tacit(house: House, *arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"TACIT_KEY": key} if key else {}
    command = [sys.executable, "-m", "tacit.cli", *arguments]
    places = {
        "TACIT_CONFIG": str(house.settings.config),
        "TACIT_DATA": str(house.settings.data),
        "TACIT_CUSTODY": str(house.settings.custody_directory),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "COLUMNS": "200",
    }
    return subprocess.run(command, env=environment | places, capture_output=True, text=True, timeout=120)


def test_the_command_line_takes_each_step_in_somebodys_name(house: House) -> None:
    finding = opened(house).rpartition("/")[2]
    anna, (ben, ben_id) = house.keys["officer"], second_officer(house)
    listed = json.loads(tacit(house, "findings", "--site", "newsroom", "--format", "json").stdout)
    assert [one["id"] for one in listed] == [finding]
    nameless = tacit(house, "findings", "comment", finding, "--note", "x")
    assert nameless.returncode == 1
    assert "--key" in nameless.stderr
    assert tacit(house, "findings", "comment", finding, "--note", "x", key=house.keys["auditor"]).returncode == 1

    def step(key: str, *arguments: str) -> dict[str, Any]:
        done = tacit(house, "findings", *arguments, "--site", "newsroom", key=key)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    assert step(anna, "assign", finding, "--to", ben_id)["assignee"] == ben_id
    assert step(ben, "dismiss", finding, "--note", "a test of the alarm")["state"] == "dismissed"
    step(ben, "sign", finding)
    alone = tacit(house, "findings", "sign", finding, key=ben)
    assert alone.returncode == 1
    assert alone.stderr.startswith("This key has signed already")
    step(anna, "sign", finding)
    assert step(anna, "close", finding)["state"] == "closed"
    history = json.loads(tacit(house, "findings", "show", finding).stdout)["history"]
    assert [event["action"] for event in history] == ["assigned", "dismissed", "signed", "signed", "closed"]


def test_a_scheduled_scan_on_the_command_line_runs_a_slot_once_and_waits_for_its_windows(house: House) -> None:
    early = tacit(house, "scan", "--site", "newsroom", "--slot", "2026-01-31T00:00:00Z")
    assert early.returncode == 1
    assert early.stderr.startswith("The slot cannot be scanned yet")
    assert tacit(house, "scan", "--slot", "soon").stderr.startswith("The slot cannot be read")
    first, again = (tacit(house, "scan", "--site", "newsroom", "--slot", "7") for _ in range(2))
    assert first.returncode == again.returncode == 0, first.stderr
    assert first.stdout == again.stdout
    listed = json.loads(tacit(house, "releases", "--site", "newsroom", "--format", "json").stdout)
    assert listed == [], "a scan releases nothing"
