"""A compliance officer's path in a house that runs: scan, finding, report, correction, verification, signatures, proof."""

from __future__ import annotations

import base64
import json
import secrets
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit.log import Log
from audit.notes import VerifierKey
from privacy.models import Mechanism, Release, Window, noisy
from privacy.releases import ReleaseStore
from tacit.core import configuration, rootkey
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.declaration import Measure
from tacit.core.ids import new_id
from tests.audit.examples import charge
from tests.conftest import House
from tests.go import reference as go
from tests.http.test_findings import second_officer
from tests.node import reference as node
from tests.node import sigstore

HOUR = 3_600_000
FAIR = (0.4, 0.3, 0.25, 0.05)
SKEWED = (0.75, 0.1, 0.1, 0.05)


def published(house: House, hour: int, old: tuple[float, ...]) -> None:
    """What the sanitiser would have released for one window: 60,000 people, of whom those from 55 on are shown other arms."""
    random = np.random.default_rng(secrets.randbits(64))
    site = configuration.load(house.settings.config).sites["newsroom"]
    engine = connect(house.settings.released_location)
    log = Log(engine, SystemClock())

    def counts(measure: Measure) -> np.ndarray[Any, Any]:
        table = np.zeros([d.size for d in measure.dimensions], dtype=np.int64)
        for group in range(3 if measure.name.startswith("audit.") else 2):
            shown = random.multinomial(20_000, old if group == 2 else FAIR)
            rewarded = random.binomial(shown, 0.2)
            table[group] = np.stack([shown - rewarded, rewarded], axis=1)
        return table + np.rint(random.normal(0, 4, table.shape)).astype(np.int64)

    store, start, both = ReleaseStore(engine), hour * HOUR, []
    for measure in (site.policy_measure("headline"), next(m for m in site.measures if m.name == "audit.by_age")):
        window = Window("newsroom", start, start + HOUR, start - start % (24 * HOUR))
        made = Release(
            new_id("rel", now_ms=start),
            "newsroom",
            measure,
            window,
            Mechanism(scale=4.0),
            10**6,
            noisy(counts(measure).ravel().tolist()),
            start + HOUR,
            None,
        )
        charge(engine, made)
        both.append(made)
    assert store.publish(both, log)
    for made in both:
        store.set_usable(made.id, True, {})
    engine.dispose()


def stepped(house: House) -> None:
    done = house.tacit("worker", "--once")
    assert done.returncode == 0, done.stderr


def test_from_a_scan_to_a_closed_finding_that_outsiders_can_check(served: House, tmp_path: Path) -> None:
    anna, now = served.client("officer"), time.time_ns() // 1_000_000 // HOUR
    published(served, now - 2, SKEWED)
    stepped(served)
    scanned = served.tacit("scan", "--site", "newsroom", "--slot", "1")
    assert scanned.returncode == 3, scanned.stderr
    assert served.tacit("scan", "--site", "newsroom", "--slot", "1").stdout == scanned.stdout
    found = anna.get("/v1/findings").json()["findings"]
    finding = next(f for f in found if f["subject"] == "age_band=55_plus exposure larger")
    path, scan = f"/v1/findings/{finding['id']}", finding["scan"]

    for form, start in (("json", b"{"), ("html", b"<!doctype html>"), ("pdf", b"%PDF-")):
        report = anna.get(f"/v1/audits/{scan}/report", params={"format": form})
        assert report.status_code == 200
        assert report.content.startswith(start)
        assert finding["id"].encode() in report.content or form == "pdf"

    change = {"change": {"kind": "cap", "arm": "larger", "most": 0.2}}
    price = anna.post(f"{path}/price", json=change).json()
    assert price["sentence"].startswith("Lift over the default arm")
    assert anna.get(path).json()["state"] == "open"
    corrected = anna.post(f"{path}/correct", json=change | {"note": "until the design is new"}).json()
    assert corrected["correction"]["price"] == price
    stepped(served)
    entry = json.loads(base64.urlsafe_b64decode(anna.get("/v1/bundles/newsroom").json()["payload"] + "=="))["policies"]["headline"]
    low, high = entry["default"][:2]
    assert (high - low) / 65535 <= 0.2 + 2 / 65535

    key, _ = second_officer(served)
    assert anna.post(f"{path}/sign").status_code == 200
    with httpx.Client(base_url=served.url, headers={"x-api-key": key}) as ben:
        assert ben.post(f"{path}/sign").status_code == 200
        assert ben.post(f"{path}/close").json()["type"] == "/problems/not-verified-yet"
        published(served, now + 1, FAIR)
        assert served.tacit("scan", "--site", "newsroom").returncode in (0, 3)
        verification = anna.get(path).json()["correction"]["verification"]
        assert (verification["verdict"], verification["verified"]) == ("within limits", True)
        assert ben.post(f"{path}/close").json()["state"] == "closed"
    final = anna.get(f"/v1/audits/{verification['scan']}/report", params={"format": "html"}).text
    assert "verified: within limits" in final

    proved(served, finding["id"], tmp_path / "pack")


def proved(house: House, finding: str, folder: Path) -> None:
    """The export is checked by our program, by Go and by @sigstore/verify, each without the service's database."""
    done = house.tacit("evidence", "export", str(folder))
    assert done.returncode == 0, done.stderr
    checked = house.tacit("evidence", "verify", str(folder), "--key", str(folder / "key"))
    assert checked.returncode == 0, checked.stderr
    lines = (folder / "entries.ndjson").read_bytes().splitlines()
    entries = [json.loads(line) for line in lines]
    told = [e["kind"] for e in entries if e["body"].get("finding") == finding]
    assert told == [f"finding.{step}" for step in ("opened", "corrected", "signed", "signed", "verified", "closed")]
    kinds = {e["kind"] for e in entries}
    assert {"audit.scanned", "report.made", "policy.ordered", "bundle.published", "release.published"} <= kinds
    verifier = (folder / "key").read_text().strip()
    about = [e["index"] for e in entries if e["body"].get("finding") == finding]

    go.install()
    head = {"ask": "tiles", "folder": str(folder), "note": (folder / "checkpoint").read_text(), "key": verifier}
    asked = [head | {"index": at, "content": base64.b64encode(lines[at]).decode()} for at in about]
    assert go.ask(asked) == [True] * len(about)
    assert go.ask([asked[0] | {"content": base64.b64encode(lines[about[0]].replace(b"opened", b"closed")).decode()}]) == [False]

    node.install()
    public = rootkey.load(house.settings).signing_key().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    known = VerifierKey.parse(verifier)
    hint = {"key": pem, "origin": known.name, "hint": base64.b64encode(known.key_id).decode()}
    questions = []
    for at in about:
        proof = house.client("auditor").get("/v1/evidence/proof", params={"index": at}).json()
        content = base64.b64encode(lines[at]).decode()
        questions.append({"ask": "inclusion", "index": at, "content": content, "path": proof["path"], "note": proof["checkpoint"]} | hint)
    assert sigstore.ask(questions) == [True] * len(about)
    assert sigstore.ask([questions[0] | {"content": questions[1]["content"]}]) == [False]
