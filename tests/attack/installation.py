"""A whole installation in this process, spoken to over HTTP, under a clock that the test sets: real door, files, keys and sanitiser.

`seen` is everything that can be seen of it from outside and in the released vault, but for what is random: noise, ids and keys. Two runs
that differ in one person must look the same.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tacit import wiring
from tacit.app import create_app
from tacit.core import configuration
from tacit.core.clock import iso
from tacit.worker import Worker
from tests.attack.in_process import InProcess
from tests.conftest import NOTICE, build

SITE = "newsroom"
MINUTE = 60_000
START = 1_700_006_400_000
"""A day's beginning in UTC."""

PATHS = (
    "/v1/releases?limit=1000",
    "/v1/budget",
    "/v1/experiments/headline",
    "/v1/releases?cursor=nonsense",
    "/v1/experiments/unknown",
    "/v1/audits",
    "/v1/findings",
)

NOISE = {"value", "values", "difference", "low", "high", "rate", "trials", "trials_sd", "sentence", "weights", "default"}
NOISE |= {"verdict", "sequences", "needed", "detectable", "sample_ratio", "kpis", "guardrails"}
"""Keys of JSON under which there is noise, or what follows from it."""

NOISY_COLUMNS = {("bundles", "jws"), ("policy_states", "state")}
NOISY_COLUMNS |= {("models", name) for name in ("parameters_json", "metrics_json", "weights_json")}
HIDDEN = "~"

_RANDOM = re.compile(r"\b(rel|blk|bnd|find|scan|key)_[0-9a-z]{26}\b|\b[0-9a-f]{16,64}\b")


class SetClock:
    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


class Installation:
    """Its service and its sanitiser. Times are minutes after `START`."""

    def __init__(self, place: Path, text: str) -> None:
        self.house = build(place, text)
        self.clock = SetClock(START)
        self._open()
        self.work()  # as `serve` does before anybody comes: windows are counted from the sanitiser's first pass, or from the first event

    def at(self, minutes: float) -> None:
        self.clock.at_ms = START + round(minutes * MINUTE)

    def restart(self, text: str | None = None) -> None:
        """All processes end and start again, with another configuration if one is given."""
        self.close()
        if text is not None:
            self.house.settings.config.write_text(text)
        self._open()

    def consent(self, people: Iterable[str], *purposes: str) -> None:
        for person in people:
            body = {"subject": person, "purposes": dict.fromkeys(purposes, True), "notice": NOTICE, "method": "banner"}
            assert self.client.request("POST", "/v1/consents", json=body, headers=self._key("app")).is_success

    def send(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """The door's verdict on a batch."""
        answer = self.client.request("POST", "/v1/events", json={"events": events}, headers=self._key("app"))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def event(self, identifier: str, kind: str, subject: str, *, ago: float = 0, **properties: Any) -> dict[str, Any]:
        """One event of now, or of so many minutes ago."""
        at = iso(self.clock.at_ms - round(ago * MINUTE))
        return {"id": identifier, "type": kind, "subject": subject, "at": at, "properties": properties}

    def work(self) -> None:
        """One pass of the sanitiser."""
        self.worker.once()

    def releases(self, measure: str) -> list[dict[str, Any]]:
        """Newest first."""
        answer = self.client.request("GET", "/v1/releases", params={"measure": measure, "limit": 1000}, headers=self._key("officer"))
        return list(answer.json()["releases"])

    def seen(self) -> dict[str, Any]:
        """Everything but what is random."""
        found: dict[str, Any] = {}
        for path in PATHS:
            for role in ("officer", "app", "nobody"):
                answer = self.client.request("GET", path, headers=self._key(role))
                headers = {name: "" if name == "content-length" else value for name, value in answer.headers.items()}
                found[f"{role} {path}"] = [answer.status_code, headers, without_noise(answer.json())]
        with sqlite3.connect(f"file:{self.house.settings.data / 'released.db'}?mode=ro", uri=True) as database:
            database.row_factory = sqlite3.Row
            tables = {row["name"] for row in database.execute("select name from sqlite_master where type = 'table'")}
            for table in tables - {"api_keys"}:  # made before anybody could come
                found[table] = [_row(table, row) for row in database.execute(f"select * from {table} order by rowid")]
        return found

    def close(self) -> None:
        self.client.close()

    def _open(self) -> None:
        settings = self.house.settings
        declaration = configuration.load(settings.config)
        self.client = InProcess(create_app(settings, clock=self.clock))
        self.services = wiring.sanitiser(settings, declaration, clock=self.clock)
        self.worker = Worker(self.services)

    def _key(self, role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.house.keys[role]}"} if role in self.house.keys else {}


def without_noise(found: Any, *, noisy: bool = False) -> Any:
    """The same JSON without noisy numbers, random identifiers and hashes. Sizes, orders, keys and all else stay."""
    if isinstance(found, Mapping):
        return {key: without_noise(value, noisy=noisy or key in NOISE) for key, value in found.items()}
    if isinstance(found, list):
        return [without_noise(value, noisy=noisy) for value in found]
    if noisy:
        return HIDDEN
    return _RANDOM.sub(HIDDEN, found) if isinstance(found, str) else found


def _row(table: str, row: sqlite3.Row) -> dict[str, Any]:
    return {name: HIDDEN if (table, name) in NOISY_COLUMNS else _plain(row[name]) for name in row.keys()}  # noqa: SIM118 - a row's columns


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, str) and value.startswith(("[", "{")):
        return without_noise(json.loads(value))
    return without_noise(value)
