"""Policies over HTTP and on the command line, in a house that runs: who may do what, then the way from a draft to a decision."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from tests.conftest import House

PATH = "/v1/policies/headline"
ACTS = ["approve", "rollback", "resume", "archive"]
CANARY = "canary-7f3a91"


@pytest.fixture
def learned(served: House) -> House:
    """After the sanitiser's first pass."""
    done = served.tacit("worker", "--once")
    assert done.returncode == 0, done.stderr
    return served


def test_each_path_asks_for_its_roles_first(served: House) -> None:
    with httpx.Client(base_url=served.url) as nobody:
        assert nobody.get("/v1/policies").status_code == nobody.get(PATH).status_code == nobody.put(PATH, json={}).status_code == 401
        for act in [*ACTS, "pause", "kill"]:
            assert nobody.post(f"{PATH}/{act}", json={}).status_code == 401, act
    for role in ("write", "app"):
        assert served.client(role).get("/v1/policies").status_code == 403
    for role in ("officer", "auditor", "manager"):
        assert served.client(role).get("/v1/policies").status_code == 200
    for role in ("write", "app", "officer", "auditor"):
        assert served.client(role).put(PATH, json={"config": {"rollout": 0.5}}).status_code == 403, role
        for act in ACTS:
            assert served.client(role).post(f"{PATH}/{act}", json={}).status_code == 403, (role, act)
    for act in ("pause", "kill"):
        assert served.client("auditor").post(f"{PATH}/{act}", json={}).status_code == 403
    assert served.client("officer").post(f"{PATH}/kill", json={"on": False}).status_code == 403
    assert served.client("manager").get("/v1/policies", params={"site": "elsewhere"}).status_code == 403
    assert served.client("manager").post("/v1/events", json={"events": []}).status_code == 403


def test_bad_input_is_refused_without_being_repeated(served: House) -> None:
    manager = served.client("manager")
    assert manager.get(f"/v1/policies/{CANARY}").status_code == 404
    for status, answer in [
        (404, manager.put(f"/v1/policies/{CANARY}", json={"config": {"rollout": 1}})),
        (422, manager.put(PATH, json={"config": {CANARY: 1}})),
        (422, manager.put(PATH, json={"config": {"rollout": CANARY}})),
        (422, manager.put(PATH, json={"config": {"share": 0.1}})),
        (422, manager.put(PATH, json={"config": {}})),
        (422, manager.put(PATH, json={"rollout": 1})),
        (422, manager.put(PATH, content=b"{")),
        (404, manager.post(f"/v1/policies/{CANARY}/pause", json={})),
        (409, manager.post(f"{PATH}/rollback", json={"version": 7})),
        (422, manager.post(f"{PATH}/pause", json={"note": CANARY * 50})),
        (404, manager.post(f"{PATH}/{CANARY}", json={})),
    ]:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert CANARY not in answer.text
    assert "restart" in manager.put(PATH, json={"config": {"share": 0.1}}).json()["next_step"]


def test_from_a_draft_to_a_decision_and_back(learned: House) -> None:
    manager, admin = learned.client("manager"), learned.client("admin")
    (listed,) = manager.get("/v1/policies").json()["policies"]
    assert listed == {"policy": "headline", "zone": "front.headline", "state": "running", "killed": False, "version": 1, "draft": None}
    drafted = manager.put(PATH, json={"config": {"rollout": 0}, "note": "quiet week"})
    assert (drafted.status_code, drafted.json()["state"], drafted.json()["version"]) == (201, "draft", 2)
    refused = manager.post(f"{PATH}/approve", json={})
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/four-eyes")
    assert admin.post(f"{PATH}/approve", json={}, params={"site": "newsroom"}).json()["state"] == "running"
    learned.tacit("worker", "--once")
    assert _becomes(learned, "not_rolled_out")
    assert manager.post(f"{PATH}/rollback", json={"version": 1}).status_code == 200
    assert learned.client("officer").post(f"{PATH}/kill", json={"note": "complaint"}).json()["killed"] is True
    assert _becomes(learned, "killed")  # without a new bundle
    found = manager.get(PATH).json()
    assert [v["version"] for v in found["versions"]] == [3, 2, 1]
    assert [e["action"] for e in found["events"]] == ["rolled_back", "started", "approved", "drafted", "started", "declared"]
    assert found["controls"][0]["reason"] == "complaint"
    assert learned.client("officer").post(f"{PATH}/pause").status_code == 200


def test_the_command_line_lists_stops_and_tells_the_history(house: House) -> None:
    def run(*arguments: str, fails: bool = False) -> str:
        done = house.tacit("policies", *arguments, "--site", "newsroom")
        assert (done.returncode != 0) is fails, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr if fails else done.stdout

    assert json.loads(run("list", "--format", "json"))[0]["state"] == "running"
    assert "paused" in run("pause", "headline", "--note", "wrong picture")
    assert json.loads(run("show", "headline"))["state"] == "paused"
    assert "No version" in run("approve", "headline", fails=True) or "no version" in run("approve", "headline", fails=True)
    run("resume", "headline")
    run("archive", "headline")
    events = json.loads(run("history", "headline", "--format", "json"))
    assert [e["action"] for e in events] == ["archived", "resumed", "paused", "started", "declared"]
    assert events[2]["note"] == "wrong picture"
    assert events[0]["actor"].startswith("shell:")
    assert "declares no such policy" in run("pause", CANARY, fails=True)


def _becomes(house: House, reason: str) -> bool:
    """Whether decisions have this reason before long: a web process looks twice a second."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = house.client("app").post("/v1/adjust", json={"policy": "headline", "unit": "u"})
        if answer.status_code == 200 and answer.json()["reason"] == reason:
            return True
        time.sleep(0.1)
    return False
