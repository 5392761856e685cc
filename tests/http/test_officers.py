"""What officers get over HTTP and on the command line, in a house that runs: who may, and that a change arrives at a receiver."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from tacit.core.webhook_signing import verify
from tests.conftest import House
from tests.consent.receiver import receiving

OFFICERS = ["/v1/webhooks", "/v1/consents/export"]
READ = ["/v1/retention", "/v1/ropa", "/v1/dpia", "/v1/consents/rates"]


def test_each_path_asks_for_its_roles_first(served: House) -> None:
    with httpx.Client(base_url=served.url) as nobody:
        for path in OFFICERS + READ:
            assert nobody.get(path).status_code == 401, path
    for path in OFFICERS + READ:
        assert served.client("app").get(path).status_code == 403, path
        assert served.client("write").get(path).status_code == 403, path
        assert served.client("officer").get(path).status_code == 200, path
        assert served.client("officer").get(path, params={"site": "elsewhere"}).status_code == 403, path
    for path in OFFICERS:
        assert served.client("auditor").get(path).status_code == 403, path
    assert served.client("app").put("/v1/webhooks/mail", json={}).status_code == 403
    assert served.client("app").delete("/v1/webhooks/mail").status_code == 403


def test_a_withdrawal_arrives_at_a_real_receiver_and_the_export_shows_it(served: House) -> None:
    officer = served.client("officer")
    with receiving() as receiver:
        made = officer.put("/v1/webhooks/mail", json={"url": receiver.url, "events": ["consent.withdrawn"]})
        assert made.status_code == 200, made.text
        served.consent("canary-5b1c", measurement=True)
        assert (
            served.client().post("/v1/consents/withdraw", json={"subject": "canary-5b1c", "purposes": ["measurement"]}).status_code == 200
        )
        done = served.tacit("worker", "--once")
        assert done.returncode == 0, done.stderr
        sent, body = receiver.received[0]
        verify(made.json()["secret"], sent, body=body, now_seconds=int(time.time()))
        assert json.loads(body)["type"] == "consent.withdrawn"
        assert b"canary" not in body
    export = officer.get("/v1/consents/export", params={"purpose": "measurement"})
    assert export.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line)["state"] for line in export.text.splitlines()] == ["granted", "withdrawn"]
    assert "canary" not in export.text
    assert officer.get("/v1/consents/export", params={"format": "csv"}).text.startswith("person,at,purpose")
    assert officer.get("/v1/consents/export", params={"from": "yesterday"}).status_code == 422
    assert not officer.get("/v1/retention").json()["late"], "the worker's first pass has run the jobs"
    assert officer.get("/v1/webhooks/none").status_code == 404
    assert officer.put("/v1/webhooks/mail", json={"url": "http://example.org/", "events": ["consent.expired"]}).status_code == 422
    assert officer.delete("/v1/webhooks/mail").status_code == 204


def test_the_command_line_exports_imports_and_writes_both_records(house: House, tmp_path: Path) -> None:
    line = {"subject": "canary-5b1c", "cookie": {"matomo": True}, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    (tmp_path / "lines").write_text(json.dumps(line) + "\n{\n")
    notice = f'{{id: old, version: "1", locale: en, sha256: "{"0" * 64}"}}'
    (tmp_path / "map").write_text(f"notice: {notice}\npurposes: {{measurement: [matomo]}}\n")
    options = ("--site", "newsroom", "--from", "klaro", "--map", str(tmp_path / "map"))
    done = house.tacit("consent", "import", str(tmp_path / "lines"), *options)
    assert json.loads(done.stdout) == {"recorded": 1, "skipped": {}, "rejected": [{"line": 2, "code": "malformed"}]}, done.stderr
    exported = house.tacit("consent", "export", "--site", "newsroom")
    assert [json.loads(one)["method"] for one in exported.stdout.splitlines()] == ["import.klaro"], exported.stderr
    page = house.tacit("ropa", "--site", "newsroom")
    assert "## Measurement" in page.stdout, page.stderr
    assert "1095 days" in page.stdout
    pack = house.tacit("dpia", str(tmp_path / "pack"), "--site", "newsroom")
    assert pack.returncode == 0, pack.stderr
    names = {path.name for path in (tmp_path / "pack").iterdir()}
    hashed = set(json.loads((tmp_path / "pack" / "manifest.json").read_text())["sha256"])
    assert names == hashed | {"manifest.json"}
    records = json.loads((tmp_path / "pack" / "destructions.json").read_text())
    assert [entry["kind"] for entry in records] == ["consent.exported"]
    assert house.tacit("dpia", str(tmp_path / "pack"), "--site", "newsroom").returncode == 1


@pytest.mark.parametrize("form", ["json", "csv", "md"])
def test_the_record_of_processing_names_every_measure_and_what_is_left_open(served: House, form: str) -> None:
    text = served.client("officer").get("/v1/ropa", params={"format": form}).text
    for name in (
        "pages",
        "dwell",
        "policy.headline",
        "audit.by_age",
        "consent.choices",
        "GDPR Art. 9(2)(a)",
        "to be stated by the operator",
    ):
        assert name in text, name
