"""Notices, rules, explanations and simulations in a house that runs: who may come first, then one person's way through them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import NEWSROOM, House, build, event

CANARY = "canary-91ce@example.org"
PERSONAL = ["/v1/consents/explain", "/v1/consents/simulate", "/v1/notices/banner/served"]
READ = ["/v1/notices", "/v1/rules"]
TEXT = {"version": "1", "locale": "en", "text": "We count visits."}


def test_each_path_asks_for_its_roles_first(served: House) -> None:
    with httpx.Client(base_url=served.url) as nobody:
        for path in [*READ, "/v1/notices/banner"]:
            assert nobody.get(path).status_code == 401, path
        for path in PERSONAL:
            assert nobody.post(path, json={"subject": CANARY}).status_code == 401, path
        assert nobody.put("/v1/notices/banner", json=TEXT).status_code == 401
    for role in ("write", "officer", "auditor"):
        for path in PERSONAL:
            answer = served.client(role).post(path, json={"subject": CANARY})
            assert (answer.status_code, CANARY in answer.text) == (403, False), (role, path)
    for role in ("write", "app", "auditor"):
        assert served.client(role).put("/v1/notices/banner", json=TEXT).status_code == 403, role
    for role in ("write", "app", "officer", "auditor"):
        for path in READ:
            assert served.client(role).get(path).status_code == 200, (role, path)
            assert served.client(role).get(path, params={"site": "elsewhere"}).status_code == 403, (role, path)
    assert served.client("admin").put("/v1/notices/banner", json=TEXT).status_code == 404
    assert served.client("officer").get("/v1/notices/banner").status_code == 404


def test_a_material_notice_stops_the_next_event_and_everything_says_why(served: House) -> None:
    officer, app = served.client("officer"), served.client("app")
    first = officer.put("/v1/notices/banner", json=TEXT)
    assert first.status_code == 200, first.text
    assert officer.put("/v1/notices/banner", json=TEXT | {"text": "Another."}).status_code == 409
    assert officer.put("/v1/notices/banner", json=TEXT | {"sha256": "0" * 64}).status_code == 422
    assert officer.put("/v1/notices/banner", json=TEXT | {CANARY: 1}).status_code == 422
    assert app.get("/v1/notices/banner").json()["versions"][0]["text"] == "We count visits."
    shown = {"subject": CANARY, "version": "1", "locale": "en"}
    assert app.post("/v1/notices/banner/served", json=shown).status_code == 200
    assert app.post("/v1/notices/banner/served", json=shown | {"version": "9"}).status_code == 404
    notice = {"id": "banner", "version": "1", "locale": "en", "sha256": first.json()["versions"][0]["sha256"]}
    body = {"subject": CANARY, "purposes": {"measurement": True}, "notice": notice, "method": "banner"}
    would = app.post("/v1/consents/simulate", json=body).json()
    assert [(d["state"], d["reason"]) for d in would["decisions"]] == [("granted", "choice")]
    assert would["notice"]["registered"] is True
    assert app.post("/v1/consents/simulate", json=body, headers={"Sec-GPC": "1"}).json()["decisions"][0]["reason"] == "gpc"
    assert app.post("/v1/consents/query", json={"subject": CANARY}).json()["purposes"]["measurement"]["state"] is None
    assert app.post("/v1/consents", json=body).status_code == 200
    assert served.send(event("1", "page", CANARY))["accepted"] == 1
    assert officer.put("/v1/notices/banner", json={**TEXT, "version": "2", "text": "New.", "material": True}).status_code == 200
    assert served.send(event("2", "page", CANARY))["refused"] == {"stale": 1}
    explained = app.post("/v1/consents/explain", json={"subject": CANARY, "purposes": ["measurement"]}).json()
    assert explained["purposes"]["measurement"]["reason"] == "stale"
    assert [i["input"] for i in explained["purposes"]["measurement"]["inputs"] if i["decided"]] == ["notice"]
    with_gpc = app.post("/v1/consents/explain", json={"subject": CANARY}, headers={"Sec-GPC": "1"}).json()
    assert with_gpc["purposes"]["measurement"]["reason"] == "gpc"
    assert app.post("/v1/consents/history", json={"subject": CANARY}).json()["served"][0]["notice"] == notice
    kinds = json.dumps(served.client("auditor").get("/v1/rules").json()["rules"]["purposes"])
    assert "bias_detection" in kinds
    assert "canary" not in (served.settings.data / "service.log").read_text()


def test_signals_alone_and_bodies_without_anything(served: House) -> None:
    notice = {"id": "banner", "version": "1", "locale": "en", "sha256": "0" * 64}
    body = {"subject": CANARY, "notice": notice, "method": "cmp"}
    app = served.client("app")
    assert app.post("/v1/consents", json=body).status_code == 422
    assert app.post("/v1/consents", json=body, headers={"Sec-GPC": "1"}).status_code == 422
    assert app.post("/v1/consents", json=body | {"signals": {"tcf": "----"}}).status_code == 200
    assert served.send(event("1", "page", CANARY))["refused"] == {"signal_unreadable": 1}
    for sent in (body | {"signals": {"tcf": CANARY}}, body | {"parental": CANARY}, body | {"purposes": {}}):
        answer = app.post("/v1/consents/simulate", json=sent)
        assert (answer.status_code, CANARY in answer.text) == (422, False)


def test_the_command_line_registers_lists_and_explains(house: House, tmp_path: Path) -> None:
    text = tmp_path / "notice.txt"
    text.write_text("We count visits.\n", encoding="utf-8")
    house.start()
    house.consent(CANARY, measurement=True)
    add = ["notices", "add", "banner", str(text), "--site", "newsroom", "--version", "1", "--locale", "en"]
    added = house.tacit(*add)
    assert added.returncode == 0, added.stderr
    text.write_text("We count more.\n", encoding="utf-8")
    refused = house.tacit(*add)
    assert refused.returncode == 1
    assert "new version" in refused.stderr
    listed = house.tacit("notices", "list", "--site", "newsroom")
    assert json.loads(listed.stdout)["id"] == "banner"
    command = [sys.executable, "-m", "tacit.cli", "consent", "explain", "--site", "newsroom"]
    place = house.settings
    environment = os.environ | {
        "TACIT_CONFIG": str(place.config),
        "TACIT_DATA": str(place.data),
        "TACIT_CUSTODY": str(place.custody_directory),
    }
    explained = subprocess.run(command, input=json.dumps({"subject": CANARY}), capture_output=True, text=True, env=environment, check=False)
    assert json.loads(explained.stdout)["purposes"]["measurement"]["outcome"] == "allow"
    assert "canary" not in explained.stdout + explained.stderr
    broken = subprocess.run(
        command, input=f'{{"subject": "{CANARY}", "x": 1}}', capture_output=True, text=True, env=environment, check=False
    )
    assert broken.returncode == 1
    assert "canary" not in broken.stdout + broken.stderr


@pytest.mark.parametrize("declared", [True, False])
def test_the_silent_are_counted_only_where_law_and_declaration_allow_it(tmp_path: Path, declared: bool) -> None:
    place = "{default: us-ca, opt_out: true}" if declared else "{default: us-ca}"
    text = NEWSROOM.replace("    measures:", f"    jurisdiction: {place}\n    measures:", 1)
    house = build(tmp_path, text)
    try:
        house.start()
        verdict = house.send(event("1", "page", "silent"), event("2", "page", "silent", category="news"))
        assert verdict["accepted"] == (2 if declared else 0)
        assert house.send(event("3", "page", "silent"), **{"Sec-GPC": "1"})["refused"] == ({"gpc": 1} if declared else {"no_consent": 1})
        assert house.client().post("/v1/consents/withdraw", json={"subject": "silent"}).status_code == 200
        assert house.send(event("4", "page", "silent"))["refused"] == {"withdrawn": 1}
    finally:
        house.stop()
