"""From a running service to a report: over HTTP and on the command line, with its entry in the log."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from tacit import wiring
from tacit.core import configuration
from tests.conftest import House


@pytest.fixture
def scanned(served: House) -> str:
    """A scan's id."""
    services = wiring.sanitiser(served.settings, configuration.load(served.settings.config))
    (result,) = services.scanner.scan(services.declaration.sites["newsroom"])
    return result.scan.id


def test_a_report_is_for_officers_and_auditors(served: House, scanned: str) -> None:
    for role in ("write", "app"):
        assert served.client(role).get(f"/v1/audits/{scanned}/report").status_code == 403
    for role in ("officer", "auditor"):
        assert served.client(role).get(f"/v1/audits/{scanned}/report").status_code == 200
    assert served.client("officer").get("/v1/audits/nothing/report").status_code == 404
    assert served.client("officer").get(f"/v1/audits/{scanned}/report", params={"format": "docx"}).status_code == 422
    assert served.client("officer").get(f"/v1/audits/{scanned}/report", params={"preset": "compliant"}).status_code == 422


def test_http_and_the_command_line_give_the_same_bytes(served: House, scanned: str) -> None:
    answer = served.client("officer").get(f"/v1/audits/{scanned}/report", params={"preset": "eu_ai_act"})
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    for form, kind in (("html", "text/html"), ("pdf", "application/pdf")):
        asked = {"preset": "eu_ai_act", "format": form}
        served_form = served.client("officer").get(f"/v1/audits/{scanned}/report", params=asked)
        assert served_form.headers["content-type"].startswith(kind)
        out = served.settings.data / f"report.{form}"
        done = served.tacit("report", "--site", "newsroom", "--preset", "eu_ai_act", "--format", form, "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert out.read_bytes() == served_form.content
    printed = served.tacit("report", "--site", "newsroom", "--preset", "eu_ai_act", "--format", "json")
    assert printed.stdout.encode() == answer.content
    assert served.tacit("report", "--site", "newsroom", "--audit", "nothing").returncode == 1


def test_the_audits_page_leads_to_the_report_behind_its_log_in(served: House, scanned: str) -> None:
    with httpx.Client(base_url=served.url, timeout=30) as browser:
        assert browser.get(f"/audits/{scanned}/report").headers["location"].startswith("/login?next=/audits/")
        assert browser.get(f"/audits/{scanned}/report.pdf").status_code == 401
        form = {"key": served.keys["auditor"], "next": "/audits"}
        assert browser.post("/login", data=form, headers={"origin": served.url}).status_code == 303
        page = browser.get("/audits").text
        assert f'href="/audits/{scanned}/report"' in page
        assert f'href="/audits/{scanned}/report.pdf"' in page
        report = browser.get(f"/audits/{scanned}/report")
        assert "Bias audit by_age" in report.text
        assert "default-src 'none'" in report.headers["content-security-policy"]
        assert browser.get(f"/audits/{scanned}/report.pdf").content.startswith(b"%PDF-")
        assert browser.get("/audits/scan_nothing/report").status_code == 404
