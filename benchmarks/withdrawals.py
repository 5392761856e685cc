"""How long a withdrawal takes over HTTP while two worker processes take events from four connections as fast as they can."""

from __future__ import annotations

import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks import serve
from benchmarks.result import Result
from tacit.core.settings import Settings
from tests import postgres

PEOPLE, WITHDRAWALS, CONNECTIONS, SECONDS = 1_000, 200, 4, 10.0


def run() -> Iterator[Result]:
    """The lines of both databases."""
    yield from _measure("SQLite", "", "")
    with postgres.server() as url:
        yield from _measure("Postgres", *postgres.two_roles(url))


def _measure(name: str, intake: str, released: str) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        custody = place / "custody"
        settings = Settings(config=place / "tacit.yaml", data=place / "data", custody=custody, intake_url=intake, released_url=released)
        settings.config.write_text(serve.DECLARATION)
        key, port = serve.prepare(settings), serve.free_port()
        process = serve.serve(settings, port, "--workers", "2", pinned=False)
        try:
            serve.wait(port)
            latencies, load = _withdraw_under_load(port, key, folder)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
    percentiles = statistics.quantiles(latencies, n=100)
    rate = load["good"] * serve.BATCH / load["seconds"]
    shown = f"p50 {percentiles[49]:.0f}, p99 {percentiles[98]:.0f} ms"
    yield Result(f"a withdrawal over HTTP under load, {name}", shown, "p99 < 250 ms", percentiles[98] < 250)
    yield Result("  durable events/s meanwhile, two processes", f"{rate:,.0f}", ">= 2,000", rate >= 2_000)


def _withdraw_under_load(port: int, key: str, folder: str) -> tuple[list[float], dict[str, Any]]:
    """Milliseconds of each withdrawal, spread over the time of the load, and what the load came to."""
    requests = serve.event_requests(port, key, people=PEOPLE, seconds=2.0)
    found: dict[str, Any] = {}

    def load() -> None:
        found.update(serve.send(port, requests, folder, connections=CONNECTIONS, repeat=True, seconds=SECONDS, pinned=False))

    sending = threading.Thread(target=load)
    sending.start()
    time.sleep(2)  # the client reads its requests
    latencies = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {key}"}, timeout=30) as client:
        for person in range(WITHDRAWALS):
            started = time.perf_counter()
            client.post("/v1/consents/withdraw", json={"subject": f"person-{person}"}).raise_for_status()
            latencies.append((time.perf_counter() - started) * 1000)
            time.sleep(max(0.0, 0.02 - (time.perf_counter() - started)))
    sending.join()
    return latencies, found
