"""Rights requests over HTTP and on the command line, in a house that runs: who may, shapes, and that no identifier gets out."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import httpx
import pytest

from tests.conftest import House, event

PERSON = "canary-5e0d@example.org"
ASK = ["access", "export", "erase", "object", "restrict", "lift"]
SURE = {"level": "low", "method": "login"}


def ask(house: House, kind: str, **more: object) -> httpx.Response:
    return house.client().post(f"/v1/rights/{kind}", json={"subject": PERSON, "verification": SURE, **more})


def test_each_path_asks_for_its_roles_first(served: House) -> None:
    posts = [*ASK, "query", "reject", "extend"]
    with httpx.Client(base_url=served.url) as nobody:
        for path in posts:
            assert nobody.post(f"/v1/rights/{path}", json={"subject": PERSON}).status_code == 401, path
        assert nobody.get("/v1/rights").status_code == 401
    for path in ASK:
        for role in ("write", "officer", "auditor"):
            assert served.client(role).post(f"/v1/rights/{path}", json={"subject": PERSON}).status_code == 403, (path, role)
    for path in ("reject", "extend"):
        for role in ("write", "app", "auditor"):
            assert served.client(role).post(f"/v1/rights/{path}", json={}).status_code == 403, (path, role)
    assert served.client("app").get("/v1/rights").status_code == 403
    assert served.client("auditor").get("/v1/rights").json() == {"requests": [], "next": None, "overdue": False}
    assert served.client("app").post("/v1/rights/access?site=elsewhere", json={"subject": PERSON}).status_code == 403


def test_a_person_asks_objects_lifts_and_is_erased(served: House) -> None:
    served.consent(PERSON, measurement=True)
    served.send(event("1", "page", PERSON, category="news"))
    access = ask(served, "access")
    assert access.headers["cache-control"] == "no-store"
    assert {(one["measure"], one["rows"]) for one in access.json()["results"]["staged"]} >= {("pages", 1)}
    assert ask(served, "object", purposes=["measurement"]).json()["request_status"] == "completed"
    assert served.send(event("2", "page", PERSON, category="news"))["refused"] == {"objected": 1}
    assert ask(served, "lift", of="objection").json()["results"] == {"purposes": ["measurement"], "of": "objected"}
    erased = ask(served, "erase").json()
    assert erased["request_status"] == "completed", erased
    assert served.send(event("3", "page", PERSON, category="news"))["refused"] == {"withdrawn": 1}
    done = served.tacit("worker", "--once")
    assert done.returncode == 0, done.stderr
    query = served.client("officer").post("/v1/rights/query", json={"request_id": erased["request_id"]}).json()
    assert query["proof"] == erased["proof"]
    proven = query["evidence"]["index"]
    assert query["evidence"]["inclusion"] == served.client("auditor").get("/v1/evidence/proof", params={"index": proven}).json()
    shown = served.client("officer").get("/v1/rights")
    assert [one["request_type"] for one in shown.json()["requests"]] == ["access", "objection", "lift", "erasure"]
    assert "canary" not in shown.text
    assert "canary" not in (served.settings.data / "service.log").read_text()


def test_access_lists_the_notices_that_were_shown(served: House) -> None:
    given = {"version": "7", "locale": "en", "text": "what we do"}
    assert served.client("officer").put("/v1/notices/banner", json=given).status_code == 200
    shown = {"subject": PERSON, "version": "7", "locale": "en"}
    assert served.client().post("/v1/notices/banner/served", json=shown).status_code == 200
    results = ask(served, "access").json()["results"]
    assert (results["found"], [one["notice"]["version"] for one in results["notices_served"]]) == (True, ["7"])
    ask(served, "erase")
    assert ask(served, "access").json()["results"]["notices_served"] == []


def test_a_receipt_is_answered_again_with_the_log_s_proof_once_it_has_it(served: House) -> None:
    receipt = served.consent(PERSON, measurement=True)
    payload = receipt["payload"]
    receipt_id = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["receipt_id"]

    def again() -> dict[str, Any]:
        found = served.client().post("/v1/consents/receipt", json={"subject": PERSON, "receipt_id": receipt_id}).json()
        assert found["receipt"] == receipt
        return dict(found["evidence"][0])

    assert (again()["index"], again()["inclusion"]) == (None, None)
    done = served.tacit("worker", "--once")
    assert done.returncode == 0, done.stderr
    shown = again()
    assert shown["inclusion"] == served.client("auditor").get("/v1/evidence/proof", params={"index": shown["index"]}).json()
    unknown = served.client().post("/v1/consents/receipt", json={"subject": "canary-other", "receipt_id": receipt_id})
    assert unknown.status_code == 404
    assert "canary" not in unknown.text


@pytest.mark.parametrize("kind", ASK)
def test_a_body_that_is_not_as_expected_is_refused_without_an_echo(served: House, kind: str) -> None:
    for body in (
        {"subject": PERSON, "verification": PERSON},
        {"subject": PERSON, PERSON: 1, "of": "objection"},
        {"subject": [PERSON]},
        {"subject": PERSON, "request_id": PERSON, "of": "objection"},
    ):
        answer = served.client().post(f"/v1/rights/{kind}", json=body)
        assert answer.status_code == 422, body
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert "canary" not in answer.text


def test_the_idempotency_key_is_honoured(served: House) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"subject": PERSON, "verification": SURE}
    first, again = (served.client().post("/v1/rights/export", json=body, headers=headers).json()["request_id"] for _ in range(2))
    assert first == again
    assert served.client().post("/v1/rights/erase", json=body, headers=headers).status_code == 409


def tacit(house: House, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        "TACIT_CONFIG": str(house.settings.config),
        "TACIT_DATA": str(house.settings.data),
        "TACIT_CUSTODY": str(house.settings.custody_directory),
    }
    return subprocess.run(
        [sys.executable, "-m", "tacit.cli", *arguments], env=environment, input=stdin, capture_output=True, text=True, timeout=120
    )


def test_the_command_line_reads_the_person_from_standard_input(house: House) -> None:
    site = ("--site", "newsroom")
    pending = tacit(house, "rights", "ask", *site, "--kind", "erase", stdin=json.dumps({"subject": PERSON}))
    request_id = json.loads(pending.stdout)["request_id"]
    assert json.loads(pending.stdout)["request_status"] == "pending", pending.stderr
    listed = tacit(house, "rights", "list", *site, "--status", "pending")
    assert [one["request_id"] for one in json.loads(listed.stdout)["requests"]] == [request_id]
    rejected = tacit(house, "rights", "reject", request_id, *site, "--reason", "not_identified")
    assert json.loads(rejected.stdout)["request_status"] == "rejected", rejected.stderr
    assert json.loads(tacit(house, "rights", "query", request_id, *site).stdout)["reason"] == "not_identified"
    broken = tacit(house, "rights", "ask", *site, "--kind", "erase", stdin=json.dumps({"subject": PERSON, PERSON: 1}))
    assert broken.returncode == 1
    assert "canary" not in broken.stdout + broken.stderr
    rotated = tacit(house, "keys", "rotate-subjects", *site)
    assert json.loads(rotated.stdout)["version"] == 2, rotated.stderr
    early = tacit(house, "keys", "rotate-subjects", *site, "--destroy-after", "10")
    assert (early.returncode, "365 days" in early.stderr) == (1, True)
