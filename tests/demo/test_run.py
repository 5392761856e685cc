"""The front end against a small service of the contract's shape, over real HTTP on loopback: what is sent, counted and told."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tacit.core.declaration import HOLDOUT
from tacit.core.errors import Problem
from tacit.demo import arrivals as module
from tacit.demo import run as runner
from tacit.demo.arrivals import arrive
from tacit.demo.client import BATCH, Newsroom
from tacit.demo.summary import sentence
from tacit.demo.twin import uniform

FINDING = {
    "subject": "age_band=55_plus exposure largest",
    "detail": {
        "limit": 0.05,
        "comparison": {
            "dimension": "age_band",
            "group": "55_plus",
            "statistic": "exposure",
            "arm": "largest",
            "rate": 0.55,
            "rest_rate": 0.25,
            "difference": 0.30,
            "interval": [0.26, 0.34],
        },
    },
}
SHAPE = {"visitors", "events", "releases", "epsilon", "lift", "findings", "seconds"}


class Service(ThreadingHTTPServer):
    """Knows consents and verdicts of one kind, remembers what it was sent, and shows four arms in turn."""

    daemon_threads = True

    def __init__(self, *, accepts_opted_out: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.accepts_opted_out = accepts_opted_out
        self.version, self.asked, self.busy = 1, 0, 1
        self.consents: dict[str, dict[str, Any]] = {}
        self.opted_out: set[str] = set()
        self.events: list[dict[str, Any]] = []
        self.batches: list[int] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close_window(self) -> None:
        self.version += 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Service

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.answer(*getattr(self, self.path.removeprefix("/v1/"))(body))

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/v1/bundles/newsroom":
            payload = base64.urlsafe_b64encode(json.dumps({"version": self.server.version}).encode()).decode().rstrip("=")
            self.answer(200, {"payload": payload})
        elif path == "/v1/releases":
            last = "cursor=more" in self.path
            self.answer(200, {"releases": [{}] * (1 if last else 3), "next": None if last else "more"})
        elif path == "/v1/budget":
            self.answer(200, {"budget": [{"epsilon": {"promised": 1.0, "spent": 0.83}}, {"epsilon": {"promised": 1.0, "spent": 0.2}}]})
        else:
            self.answer(200, {"findings": [FINDING], "next": None})

    def consents(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.server.busy:
            self.server.busy -= 1
            return 503, {"detail": "busy"}
        self.server.consents[body["subject"]] = body["purposes"]
        if self.headers.get("sec-gpc") == "1":
            self.server.opted_out.add(body["subject"])
        return 200, {"payload": "", "signature": ""}

    def adjust(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        assert set(body) == {"policy", "context", "unit"}
        self.server.asked += 1
        arms = ("control", "larger", "bold", HOLDOUT)
        return 200, {"arm": arms[self.server.asked % 4], "bundle": self.server.version, "propensity": 0.25}

    def events(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.server.batches.append(len(body["events"]))
        self.server.events += body["events"]
        accepted, refused = 0, Counter[str]()
        for event in body["events"]:
            purposes = ("measurement",) if event["type"] == "page" else ("personalisation", "fairness_audit")
            out = event["subject"] in self.server.opted_out and not self.server.accepts_opted_out
            assert (event["subject"] in self.server.opted_out) == (self.headers.get("sec-gpc") == "1")
            if not out and any(self.server.consents[event["subject"]][p] for p in purposes):
                accepted += 1
            else:
                refused["gpc" if out else "refused"] += 1
        return 200, {"accepted": accepted, "refused": refused, "rejected": []}

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def service() -> Iterator[Service]:
    yield from served(Service())


@pytest.fixture
def careless() -> Iterator[Service]:
    yield from served(Service(accepts_opted_out=True))


def served(found: Service) -> Iterator[Service]:
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture(autouse=True)
def simulated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "DEFAULT_DATA", tmp_path / "nothing")


def drive(service: Service, tmp_path: Path, *, fair: bool = False) -> tuple[dict[str, Any], str]:
    told = io.StringIO()
    found = runner.run(
        service.url,
        {"app": "a", "officer": "o"},
        close=service.close_window,
        visitors=200,
        windows=2,
        fair=fair,
        report=tmp_path / "report.json",
        console=Console(file=told, width=160),
    )
    return found, told.getvalue()


@pytest.fixture
def quick_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.demo.twin.learned", uniform)


@pytest.mark.usefixtures("quick_twin")
def test_the_report_has_the_promised_shape_and_the_services_numbers(service: Service, tmp_path: Path) -> None:
    found, told = drive(service, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == found
    assert set(found) == SHAPE
    assert set(found["lift"]) == {"tacit", "non_private", "kept"}
    assert found["epsilon"] == {"promised": 1.0, "spent": 0.83}
    assert found["releases"] == 4
    assert found["events"]["accepted"] + sum(found["events"]["refused"].values()) == len(service.events)
    assert found["findings"] == [FINDING]
    assert sentence([FINDING]) in told
    assert "Window 2 of 2" in told


@pytest.mark.usefixtures("quick_twin")
def test_an_accepted_event_of_somebody_who_opted_out_fails_the_run(careless: Service, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="opted out"):
        drive(careless, tmp_path)


@pytest.mark.usefixtures("quick_twin")
def test_everybody_is_asked_once_and_sends_each_event_once_in_batches(service: Service, tmp_path: Path) -> None:
    drive(service, tmp_path)
    people = arrive(200, seed=1).visitors
    assert set(service.consents) == {v.subject for v in people}
    assert service.opted_out == {v.subject for v in people if v.gpc}
    assert max(service.batches) <= BATCH
    assert len({e["id"] for e in service.events}) == len(service.events) == sum(len(v.pages) + 1 for v in people)


@pytest.mark.parametrize("fair", [True, False])
def test_a_trial_reports_what_was_shown_and_the_decision_is_kept(service: Service, fair: bool) -> None:
    found = arrive(300, seed=2)
    newsroom = Newsroom(service.url, {"app": "a"}, found, default_arm="control", fair=fair)
    try:
        tally = newsroom.serve(found.visitors)
    finally:
        newsroom.close()
    trials = {e["subject"]: e["properties"] for e in service.events if e["type"] == "trial"}
    assert module.FAULT_ARM not in {arm for _, arm in tally.decisions}
    for visitor, decided in tally.decisions:
        trial = trials[visitor.subject]
        assert trial["arm"] == visitor.shown(decided, fair=fair)
        rate = found.rates["control" if trial["arm"] == HOLDOUT else trial["arm"]]
        assert trial["reward"] == visitor.clicks(rate)
    assert (tally.misshown > 0) != fair


def test_no_finding_is_said_to_be_none() -> None:
    assert sentence([]) == "No breach was found."
    assert "55_plus were shown 'largest' in 55% of the cases" in sentence([FINDING])
