"""The evidence log of a house that runs: over HTTP, on the command line, anchored by the worker, and checked offline."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from audit import notes
from audit.log import Log
from audit.tree import check_consistency, check_inclusion
from tacit.app import create_app
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.evidence import Entry
from tests.conftest import NEWSROOM, House, build

PATHS = ["checkpoint", "proof?index=0", "consistency?from=1", "tile/0/000.p/1", "entries"]


@pytest.fixture(scope="module")
def anchored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that anchors into the folder `anchors` and has a few entries."""
    place = tmp_path_factory.mktemp("house")
    text = f"evidence: {{origin: example.org/log, anchor: {{folder: '{place / 'anchors'}'}}}}\n{NEWSROOM}"
    built = build(place, text)
    built.start(sanitiser=False)
    built.consent("canary-91c2", measurement=True)
    assert built.tacit("worker", "--once").returncode == 0
    yield built
    built.stop()
    shutil.rmtree(place / "custody", ignore_errors=True)


def test_each_path_asks_for_its_roles_first(anchored: House) -> None:
    with httpx.Client(base_url=anchored.url) as nobody:
        for path in PATHS:
            assert nobody.get(f"/v1/evidence/{path}").status_code == 401, path
        assert nobody.get("/v1/evidence/key").status_code == 200
        assert nobody.post("/v1/evidence/witness", content=b"canary-91c2").status_code == 422
    for path in PATHS:
        assert anchored.client("write").get(f"/v1/evidence/{path}").status_code == 403, path
        assert anchored.client("auditor").get(f"/v1/evidence/{path}").status_code == 200, path
        assert anchored.client("app").get(f"/v1/evidence/{path}").status_code == (403 if path == "entries" else 200), path
    assert anchored.client("auditor").get("/v1/evidence/tile/0/001").status_code == 404
    assert anchored.client("auditor").get("/v1/evidence/proof", params={"index": 10**6}).status_code == 404


def test_an_auditor_follows_the_log_over_http_and_a_consent_has_its_proof(anchored: House, tmp_path: Path) -> None:
    auditor = anchored.client("auditor")
    key = notes.VerifierKey.parse(anchored.tacit("evidence", "key").stdout)
    assert auditor.get("/v1/evidence/key").text == f"{key}\n"
    first = notes.checkpoint_of(notes.parse(auditor.get("/v1/evidence/checkpoint").content), key)
    entries = auditor.get("/v1/evidence/entries").json()["entries"]
    assert "canary" not in json.dumps(entries)
    entry = next(one for one in entries if one["kind"] == "consent.changed")
    leaf = hashlib.sha256(b"\x00" + entry["content"].encode()).digest()
    proof = auditor.get("/v1/evidence/proof", params={"index": entry["index"]}).json()
    path = [base64.b64decode(one) for one in proof["path"]]
    check_inclusion(entry["index"], first.size, leaf, path, first.root)
    assert anchored.tacit("evidence", "export", str(tmp_path / "out")).returncode == 0, "which stands in the log itself"
    second = notes.checkpoint_of(notes.parse(auditor.get("/v1/evidence/checkpoint").content), key)
    assert second.size > first.size
    shown = auditor.get("/v1/evidence/consistency", params={"from": first.size, "to": second.size}).json()
    check_consistency(first.size, second.size, first.root, second.root, [base64.b64decode(one) for one in shown["path"]])


def test_the_worker_anchors_and_the_command_line_exports_and_verifies(anchored: House, tmp_path: Path) -> None:
    (anchor,) = (anchored.settings.config.parent / "anchors").iterdir()
    (tmp_path / "key").write_text(anchored.tacit("evidence", "key").stdout)
    folder = str(tmp_path / "out")
    done = anchored.tacit("evidence", "export", folder)
    assert done.returncode == 0, done.stderr
    assert "Exporting" in done.stderr
    assert anchored.tacit("evidence", "export", folder).returncode == 1
    checked = ("evidence", "verify", folder, "--key", str(tmp_path / "key"))
    done = anchored.tacit(*checked, "--since", str(anchor))
    assert done.returncode == 0, done.stderr
    assert "1 earlier checkpoint still holds" in done.stdout
    assert "Verifying" in done.stderr
    live = anchored.tacit("evidence", "verify", "--since", str(anchor))
    assert live.returncode == 0, live.stderr
    assert anchored.tacit("evidence", "verify", folder).returncode == 1, "a folder needs a key"
    lines = (tmp_path / "out" / "entries.ndjson").read_bytes()
    assert json.loads(lines.splitlines()[-1])["kind"] == "evidence.exported"
    assert b"canary" not in lines
    (tmp_path / "out" / "entries.ndjson").write_bytes(lines.replace(b'"kind":"consent.changed"', b'"kind":"consent.changes"'))
    done = anchored.tacit(*checked)
    assert done.returncode == 1
    assert "The evidence log does not verify: first bad index" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_declaration_opens_hashes_and_not_entries(tmp_path: Path) -> None:
    public = create_app(build(tmp_path, f"evidence: {{public: true}}\n{NEWSROOM}").settings)

    async def statuses() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(public), base_url="http://tacit") as nobody:
            return [(await nobody.get(f"/v1/evidence/{path}")).status_code for path in ("checkpoint", "entries")]

    assert asyncio.run(statuses()) == [200, 401]
    shutil.rmtree(tmp_path / "custody", ignore_errors=True)


def test_a_row_that_was_changed_in_a_live_installation_is_named(house: House) -> None:
    engine = connect(house.settings.released_location)
    Log(engine, SystemClock()).append([Entry("test", "newsroom", {"n": n}) for n in range(5)])
    engine.dispose()
    with sqlite3.connect(house.settings.data / "released.db") as database:
        database.execute("drop trigger evidence_no_update")
        database.execute("update evidence set at_ms = at_ms + 1 where idx = 1")
    done = house.tacit("evidence", "verify")
    assert done.returncode == 1
    assert "first bad index 1: it is not the entry whose hash stands in the tree" in done.stderr
