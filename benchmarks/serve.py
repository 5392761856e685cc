"""The API process on one core: durable events and decisions a second over HTTP, and its memory. Client and server are pinned apart.

Rates and latencies are those of this moment, and suffer from whatever else the machine does. The processor time that the server takes for
a request suffers less (on a busy machine each request wakes the server by itself, with cold caches) and bounds what one core can answer.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.result import Result
from tacit import installation, wiring
from tacit.core import configuration
from tacit.core.access import KeyStore, Role
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.settings import Settings
from tacit.worker import Worker

PEOPLE, BATCH, SECONDS = 5_000, 50, 8.0
DECLARATION = """
sites:
  bench:
    privacy: {epsilon: 1.0, delta: 1.0e-6, epoch: 1d, window: 1d}
    measures:
      pages: {event: page, by: {category: [frontpage, news, tech, local, opinion]}, per_window: 3, share: 0.5}
    policies:
      headline:
        zone: front.headline
        arms: {control: {scale: 1.0}, larger: {scale: 1.1}, largest: {scale: 1.2}}
        context: {device: [mobile, desktop], daypart: [morning, day, evening]}
        reward: {event: click}
        share: 0.5
"""


def run() -> Iterator[Result]:
    """The API's lines."""
    with tempfile.TemporaryDirectory() as place:
        settings = Settings(config=Path(place) / "tacit.yaml", data=Path(place) / "data", custody=Path(place) / "custody")
        settings.config.write_text(DECLARATION)
        key = prepare(settings)
        port = free_port()
        process = serve(settings, port)
        try:
            wait(port)
            requests, spent = event_requests(port, key), _processor(process)
            events = send(port, requests, place, connections=16, repeat=False)
            spent = _processor(process) - spent
            rate = events["good"] * BATCH / events["seconds"]
            yield Result("durable events/s, POST /v1/events, batches of 50, one core", f"{rate:,.0f}", ">= 40,000", rate >= 40_000)
            yield Result("  latency at saturation, 16 connections", f"p50 {events['p50_ms']:.1f}, p99 {events['p99_ms']:.1f} ms")
            yield Result("  the server's processor time, an event", f"{spent / max(1, events['answers'] * BATCH) * 1e6:.1f} us")
            requests, spent = _question_requests(port, key), _processor(process)
            answers = send(port, requests, place, connections=32, repeat=True)
            spent = (_processor(process) - spent) / max(1, answers["answers"]) * 1e6
            rate, worst = answers["good"] / answers["seconds"], answers["p99_ms"]
            yield Result("decisions/s, POST /v1/adjust, one core", f"{rate:,.0f}", ">= 25,000", rate >= 25_000)
            yield Result(
                "  latency at saturation, 32 connections", f"p50 {answers['p50_ms']:.1f}, p99 {worst:.1f} ms", "p99 < 5 ms", worst < 5
            )
            yield Result("  the server's processor time, a decision", f"{spent:.1f} us", "<= 40 us", spent <= 40)
            memory = psutil.Process(process.pid).memory_info().rss / 2**20
            yield Result("memory of the API process after both", f"{memory:.0f} MB", "< 150 MB", memory < 150)
            failed = events["answers"] - events["good"] + answers["answers"] - answers["good"]
            yield Result("answers other than 200", str(failed), "0", failed == 0)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _processor(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor time that a process has used."""
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


def prepare(settings: Settings) -> str:
    """First start, a key for the site and the first bundle."""
    installation.prepare(settings)
    declaration = configuration.load(settings.config)
    released = connect(settings.released_location)
    key = KeyStore(released).create("bench", Role.APP, now_ms=SystemClock().now_ms())
    released.dispose()
    Worker(wiring.sanitiser(settings, declaration)).once()  # publishes the first bundle
    return key


def _consent(port: int, key: str, people: int) -> None:
    notice = {"id": "n", "version": "1", "locale": "en", "sha256": "0" * 64}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {key}"}, timeout=30) as client:
        for person in range(people):
            purposes = {"measurement": person % 10 != 0}
            body = {"subject": f"person-{person}", "purposes": purposes, "notice": notice, "method": "banner"}
            client.post("/v1/consents", json=body).raise_for_status()


def event_requests(port: int, key: str, *, people: int = PEOPLE, seconds: float = SECONDS) -> list[bytes]:
    """Batches of events of people whose consent is recorded first, enough for this time. One in ten of them refuses."""
    _consent(port, key, people)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    requests, number = [], 0
    for _ in range(int(150_000 * seconds / BATCH)):
        events = []
        for _ in range(BATCH):
            number += 1
            properties = {
                "category": ("news", "tech", "local", "elsewhere")[number % 4],
                "title": "A headline nobody measures",
                "depth": 40,
            }
            subject = f"person-{number * 7919 % people}"
            events.append({"id": f"message-{number:09d}", "type": "page", "subject": subject, "at": now, "properties": properties})
        requests.append(_request("/v1/events", key, {"events": events}))
    return requests


def _question_requests(_port: int, key: str) -> list[bytes]:
    contexts = [{"device": d, "daypart": p} for d in ("mobile", "desktop") for p in ("morning", "day", "evening")]
    questions = [{"zone": "front.headline", "context": contexts[i % 6], "unit": f"person-{i}"} for i in range(2_000)]
    return [_request("/v1/adjust", key, question) for question in questions]


def _request(path: str, key: str, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = [f"POST {path} HTTP/1.1", "host: bench", f"authorization: Bearer {key}", f"content-length: {len(content)}", "", ""]
    return "\r\n".join(head).encode() + content


def send(
    port: int, requests: list[bytes], place: str, *, connections: int, repeat: bool, seconds: float = SECONDS, pinned: bool = True
) -> dict[str, Any]:
    """What `benchmarks.load` measured, in a process of its own."""
    path = Path(place) / "requests"
    options = {"port": port, "connections": connections, "seconds": seconds, "repeat": repeat}
    path.write_bytes(json.dumps(options).encode() + b"\n" + b"".join(len(r).to_bytes(4, "big") + r for r in requests))
    done = subprocess.run(
        [*(_pinned(1) if pinned else []), sys.executable, "-m", "benchmarks.load", str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 120,
    )
    return dict(json.loads(done.stdout))


def serve(settings: Settings, port: int, *options: str, pinned: bool = True) -> subprocess.Popen[bytes]:
    """The API with the options of `tacit serve`, without a sanitiser."""
    environment = os.environ | {
        "TACIT_CONFIG": str(settings.config),
        "TACIT_DATA": str(settings.data),
        "TACIT_CUSTODY": str(settings.custody_directory),
        "TACIT_INTAKE_URL": settings.intake_url,
        "TACIT_RELEASED_URL": settings.released_url,
    }
    command = [
        *(_pinned(0) if pinned else []),
        sys.executable,
        "-m",
        "uvicorn",
        "tacit.app:build",
        "--factory",
        "--port",
        str(port),
        "--no-access-log",
        "--no-server-header",
        "--no-proxy-headers",
    ]
    return subprocess.Popen([*command, "--log-level", "warning", *options], env=environment)


def _pinned(core: int) -> list[str]:
    return ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > 1 else []


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(port: int) -> None:
    """Until the service is ready."""
    for _ in range(600):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the service did not start")
