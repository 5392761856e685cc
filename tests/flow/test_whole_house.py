"""From a consented event to a private adjustment, an audit and a page: the whole main job over HTTP and the command line."""

from __future__ import annotations

import json
import sqlite3

import httpx

from tests.conftest import House, event, trial


def test_from_consent_to_adjustment_audit_and_page(house: House) -> None:
    house.start()
    for i in range(60):
        house.consent(f"reader-{i}", measurement=True, personalisation=True, fairness_audit=i % 2 == 0)
    ages = ("under_35", "35_to_54", "55_plus")
    for i in range(60):
        verdict = house.send(
            event(f"page-{i}", "page", f"reader-{i}", category="news"),
            event(f"dwell-{i}", "dwell", f"reader-{i}", zone="hero", seconds=30),
            trial(f"trial-{i}", f"reader-{i}", "larger", i % 2, age_band=ages[i % 3]),
        )
        assert verdict["accepted"] == 3
    closed = house.tacit("close", "--site", "newsroom")
    assert closed.returncode == 0, closed.stderr
    releases = house.client("officer").get("/v1/releases", params={"limit": 100}).json()["releases"]
    by_measure = {r["measure"]: r for r in releases}
    assert set(by_measure) == {"pages", "dwell", "policy.headline", "audit.by_age", "consent.choices"}
    for release in releases:
        assert release["mechanism"]["name"] == "discrete_gaussian"
        assert all(cell["sd"] > 0 for cell in release["cells"])
        assert isinstance(release["evidence"]["index"], int)
    news = next(c for c in by_measure["pages"]["cells"] if c["by"] == {"category": "news"})
    assert abs(news["value"] - 60) < 7 * news["sd"]
    seconds = next(c for c in by_measure["dwell"]["cells"] if c["by"] == {"zone": "hero"} and c["bin"] == "sum")
    assert abs(seconds["value"] - 1800) < 7 * seconds["sd"]

    answer = _until_decided(house)
    assert set(answer) == {"policy", "arm", "parameters", "propensity", "cell", "reason", "bundle"}
    assert answer["cell"] == "mobile"
    assert 0 < answer["propensity"] <= 1

    signed = house.client("app").get("/v1/bundles/newsroom")
    assert signed.headers["etag"]
    assert house.client("app").get("/v1/bundles/newsroom", headers={"if-none-match": signed.headers["etag"]}).status_code == 304

    budget = house.client("officer").get("/v1/budget").json()["budget"]
    assert 0 < float(budget[0]["epsilon"]["spent"]) <= float(budget[0]["epsilon"]["promised"]) == 1.0
    assert json.loads(house.tacit("budget", "--site", "newsroom", "--format", "json").stdout) == budget

    scanned = house.tacit("scan", "--site", "newsroom")
    assert scanned.returncode in (0, 3), scanned.stderr
    audits = house.client("officer").get("/v1/audits").json()["audits"]
    assert audits[0]["verdict"] in ("within limits", "attention", "breach", "cannot tell")

    with httpx.Client(base_url=house.url, follow_redirects=True) as browser:
        assert "key" in browser.get("/").text
        browser.post("/login", data={"key": house.keys["officer"]})
        for path in ("/", "/budget", "/policies", "/policies/headline", "/audits", "/findings", "/consent"):
            page = browser.get(path, headers={"accept": "text/html"})
            assert page.status_code == 200, path
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert "<script" not in page.text
            twin = browser.get("/overview.json" if path == "/" else f"{path}.json")
            assert twin.status_code == 200, path
            assert twin.json()


def _until_decided(house: House) -> dict:
    import time

    for _ in range(100):
        answer = house.client().post(
            "/v1/adjust", json={"zone": "front.headline", "context": {"device": "mobile", "shoe_size": "44"}, "unit": "u"}
        )
        if answer.status_code == 200:
            return dict(answer.json())
        time.sleep(0.1)
    raise AssertionError(answer.text)


def test_withdrawal_stops_the_next_release_and_nothing_raw_is_on_disk(house: House) -> None:
    house.start(sanitiser=False)
    canary = "canary.person@example.org"
    for i in range(40):
        subject = f"{i}.{canary}"
        house.consent(subject, measurement=True)
        house.send(event(f"{i}-{canary}", "page", subject, category="tech", note=canary))
        assert house.client().post("/v1/consents/withdraw", json={"subject": subject, "purposes": ["measurement"]}).status_code == 200
    closed = house.tacit("close", "--site", "newsroom")
    assert closed.returncode == 0, closed.stderr
    release = house.client("officer").get("/v1/releases", params={"measure": "pages"}).json()["releases"][0]
    tech = next(c for c in release["cells"] if c["by"] == {"category": "tech"})
    assert abs(tech["value"]) < 6.5 * tech["sd"] < 40 + 6.5 * tech["sd"]
    for directory in (house.settings.data, house.settings.custody_directory):
        for path in directory.rglob("*"):
            assert path.is_dir() or canary.encode() not in path.read_bytes(), path
    with sqlite3.connect(house.settings.data / "intake.db") as database:
        assert database.execute("select passed, failed_checks from intake_quality").fetchall() == [(1, "[]")]
    with sqlite3.connect(house.settings.data / "released.db") as database:
        kinds = {row[0] for row in database.execute("select distinct kind from evidence")}
    assert {"release.published", "key.destroyed", "consent.changed", "bundle.published"} <= kinds


def test_a_window_without_events_is_released_like_any_other(house: House) -> None:
    closed = house.tacit("close", "--site", "newsroom")
    assert closed.returncode == 0, closed.stderr
    listed = json.loads(house.tacit("releases", "--site", "newsroom", "--format", "json").stdout)
    assert len({r["measure"] for r in listed}) == 5


def test_errors_on_the_command_line_are_two_lines(house: House) -> None:
    for arguments in (("close", "--site", "elsewhere"), ("config", "check", "absent.yaml"), ("bundle", "--site", "newsroom")):
        done = house.tacit(*arguments)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()


def test_a_plan_is_readable_and_has_a_machines_form(house: House) -> None:
    config = str(house.settings.config)
    table, found = house.tacit("plan", config), json.loads(house.tacit("plan", config, "--format", "json").stdout)
    assert table.returncode == 0, table.stderr
    assert [row["measure"] for row in found] == ["pages", "dwell", "policy.headline", "audit.by_age", "consent.choices"]
    assert all(row["measure"] in table.stdout for row in found)
    assert "rewards a cell" in table.stdout


def test_reading_commands_never_make_an_installation(house: House) -> None:
    elsewhere = house.settings.data.parent / "elsewhere"
    done = house.tacit("budget", "--site", "newsroom", "--data", str(elsewhere))
    assert done.returncode == 1
    assert "tacit serve" in done.stderr
    assert not elsewhere.exists()


def test_a_lost_root_key_is_never_replaced(house: House) -> None:
    (house.settings.data / "root.key").unlink()
    for command in ("worker", "budget"):
        done = house.tacit(command, *(("--once",) if command == "worker" else ("--site", "newsroom")))
        assert done.returncode == 1
        assert "Restore your copy" in done.stderr
    assert not (house.settings.data / "root.key").exists()


def test_an_address_in_use_is_said_before_anything_is_made(house: House) -> None:
    house.start(sanitiser=False)
    done = house.tacit("serve", "--port", str(house.port))
    assert done.returncode == 1
    assert "in use" in done.stderr
