"""A real installation for tests that need the whole house: real files, real databases, a real server process on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings as hypothesis

from tacit import installation
from tacit.core import configuration
from tacit.core.access import KeyStore, Role
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.settings import Settings

hypothesis.register_profile("tacit", deadline=None)  # speed is a benchmark, never a timed test
hypothesis.load_profile("tacit")

NEWSROOM = """
sites:
  newsroom:
    privacy: {epsilon: 1.0, delta: 1.0e-6, epoch: 1d, window: 1h}
    measures:
      pages:
        event: page
        purpose: measurement
        by: {category: [frontpage, news, tech]}
        per_window: 3
        per_cell: 1
        share: 0.2
      dwell:
        event: dwell
        purpose: measurement
        by: {zone: [hero, body]}
        value: {field: seconds, from: 0, to: 120}
        share: 0.1
    policies:
      headline:
        zone: front.headline
        arms: {control: {scale: 1.0}, larger: {scale: 1.1}, largest: {scale: 1.2}}
        context: {device: [mobile, desktop]}
        reward: {event: click, within: 30m}
        share: 0.4
    audits:
      by_age:
        policy: headline
        groups: {age_band: [under_35, 35_to_54, 55_plus]}
        limit: 0.05
        share: 0.2
    consent_choices: {share: 0.05}
"""


@dataclass
class House:
    """One installation, and its service while it runs."""

    settings: Settings
    keys: dict[str, str]
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "TACIT_CONFIG": str(self.settings.config),
            "TACIT_DATA": str(self.settings.data),
            "TACIT_CUSTODY": str(self.settings.custody_directory),
            "TACIT_INTAKE_URL": self.settings.intake_url,
            "TACIT_RELEASED_URL": self.settings.released_url,
        }

    def start(self, *options: str, sanitiser: bool = True) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = (
            [sys.executable, "-m", "tacit.cli", "serve", "--port", str(self.port), *options]
            if sanitiser
            else [
                sys.executable,
                "-m",
                "uvicorn",
                "tacit.app:build",
                "--factory",
                "--port",
                str(self.port),
                "--log-level",
                "warning",
                *options,
            ]
        )
        with (self.settings.data / "service.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError((self.settings.data / "service.log").read_text()[-4000:])

    def stop(self, signum: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(signum)
            self.process.wait(timeout=30)
            self.process = None
        for client in self.clients.values():
            client.close()
        self.clients.clear()

    def client(self, role: str = "app") -> httpx.Client:
        if role not in self.clients:
            headers = {"authorization": f"Bearer {self.keys[role]}"} if role in self.keys else {}
            self.clients[role] = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        return self.clients[role]

    def tacit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment | {"COLUMNS": "200"}
        return subprocess.run([sys.executable, "-m", "tacit.cli", *arguments], env=environment, capture_output=True, text=True, timeout=120)

    def consent(self, subject: str, **purposes: bool) -> dict[str, Any]:
        body = {"subject": subject, "purposes": purposes, "notice": NOTICE, "method": "banner"}
        answer = self.client().post("/v1/consents", json=body)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    def send(self, *events: dict[str, Any], **headers: str) -> dict[str, Any]:
        answer = self.client().post("/v1/events", json={"events": list(events)}, headers=headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


NOTICE = {"id": "privacy", "version": "1", "locale": "en", "sha256": "0" * 64}


def event(identifier: str, kind: str, subject: str, **properties: Any) -> dict[str, Any]:
    """One event with the present time."""
    return {
        "id": identifier,
        "type": kind,
        "subject": subject,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "properties": properties,
    }


def trial(identifier: str, subject: str, arm: str, reward: int, *, device: str = "mobile", age_band: str | None = None) -> dict[str, Any]:
    """One trial of the policy `headline`."""
    groups = {"groups": {"age_band": age_band}} if age_band else {}
    return event(identifier, "trial", subject, policy="headline", context={"device": device}, arm=arm, reward=reward, **groups)


def build(place: Path, text: str = NEWSROOM, **settings: Any) -> House:
    """An installation in `place`, prepared as the first start does it."""
    (place / "tacit.yaml").write_text(text)
    made = Settings(config=place / "tacit.yaml", data=place / "data", custody=place / "custody", **settings)
    declaration = configuration.load(made.config)
    installation.prepare(made)
    engine = connect(made.released_location)
    store = KeyStore(engine)
    site = next(iter(declaration.sites))
    keys = {role.value: store.create("*" if role is Role.ADMIN else site, role, now_ms=SystemClock().now_ms()) for role in Role}
    engine.dispose()
    return House(made, keys)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An installation that is not yet served."""
    built = build(tmp_path)
    yield built
    built.stop()
    shutil.rmtree(tmp_path / "custody", ignore_errors=True)


@pytest.fixture
def served(house: House) -> House:
    """An installation whose API runs; windows are closed by the test."""
    house.start(sanitiser=False)
    return house
