"""A whole installation in this process under a clock that the test sets: real files, keys, databases, door and sanitiser."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from consent.models import ConsentRequest, Notice
from tacit import wiring
from tacit.core import configuration, logs
from tacit.core.clock import iso
from tacit.worker import Worker
from tests.conftest import House, build

SITE = "newsroom"
HOUR = 3_600_000
BASE = 1_700_006_400_000 // (48 * HOUR) * 48 * HOUR
"""A moment at which epochs of 4, 6, 12, 16, 24 and 48 hours begin together."""

PEOPLE = tuple(f"reader-{i}" for i in range(40))
NOTICE = Notice("banner", "3", "en-GB", "ab" * 32)

YAML = """
sites:
  newsroom:
    privacy: {epsilon: 20.0, delta: 1.0e-6, epoch: 4h, window: 1h}
    measures:
      pages: {event: page, share: 1.0}
"""
"""So loud a budget that the standard deviation of a count is about a third: a person too many would show."""


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


class Clocked:
    """The house, its web process and its sanitiser. Times are hours after `BASE`."""

    def __init__(self, place: Path, *, epoch: str, at: float) -> None:
        self.house: House = build(place, self._text(epoch))
        self.clock = SetClock(0)
        self.at(at)
        self._batches = 0
        self._open()
        for person in PEOPLE:
            self.web.consent.record(SITE, ConsentRequest(person, {"measurement": True}, NOTICE, "banner"))

    def at(self, hours: float) -> None:
        """Set the clock."""
        self.clock.at_ms = BASE + round(hours * HOUR)

    def restart(self, epoch: str | None = None) -> None:
        """All processes end and start again, with another length of epochs if one is given."""
        self.close()
        if epoch is not None:
            self.house.settings.config.write_text(self._text(epoch))
        self._open()

    def send(self, people: Iterable[str] = PEOPLE) -> dict[str, Any]:
        """One page for each of these people, now; the door's verdict."""
        self._batches += 1
        at = iso(self.clock.now_ms())
        events = [{"id": f"{self._batches}-{p}", "type": "page", "subject": p, "at": at} for p in people]
        answer = self.web.door.accept(SITE, json.dumps({"events": events}).encode(), gpc=False)
        self.web.staging.sync()
        return dict(json.loads(answer))

    def work(self) -> None:
        """One pass of the sanitiser."""
        self.worker.once()

    def live(self, start: float, end: float, step: float = 1.0) -> None:
        """From `start` to `end`, everybody sends in the middle of each window, and the sanitiser passes after its end."""
        at = start
        while at < end:
            self.at(at + step / 2)
            self.send()
            at += step
            self.at(at)
            self.work()

    def custody(self) -> set[str]:
        """Names of the key files."""
        return {p.name for p in (self.house.settings.custody_directory / SITE).iterdir()}

    def seen(self) -> set[int]:
        """Windows that a list of seen messages is kept of, as hours after `BASE`."""
        here = self.house.settings.staging / SITE / "seen"
        return {(int(p.name) - BASE) // HOUR for p in here.iterdir()} if here.is_dir() else set()

    def rows(self, vault: str, query: str) -> list[Any]:
        """What a query of one vault answers."""
        with sqlite3.connect(f"file:{self.house.settings.data / f'{vault}.db'}?mode=ro", uri=True) as database:
            return database.execute(query).fetchall()

    def counted(self) -> dict[int, int]:
        """The released count of each window, by the window's start in hours after `BASE`."""
        found = self.web.releases.since(SITE, self.services.declaration.sites[SITE].measures[0].id)
        return {(r.window.start_ms - BASE) // HOUR: r.vector[0] for r in found}

    def entered(self, kind: str) -> Counter[str]:
        """Bodies of the evidence log's entries of one kind, and how often each stands there."""
        return Counter(body for (body,) in self.rows("released", f"select body from evidence where kind = '{kind}'"))

    def overspent(self) -> list[Any]:
        """Epochs that promised less than what is reserved of them."""
        reserved = "(select coalesce(sum(s.rho_pico), 0) from spends s where s.site = e.site and s.epoch_ms = e.start_ms)"
        return self.rows("released", f"select e.start_ms from epochs e where {reserved} > e.rho_pico or e.spent_pico > e.rho_pico")

    def close(self) -> None:
        """End the processes."""
        self.web.close()

    def _open(self) -> None:
        declaration = configuration.load(self.house.settings.config)
        logs.allow_declared(declaration)
        self.web = wiring.web(self.house.settings, declaration, clock=self.clock)
        self.services = wiring.sanitiser(self.house.settings, declaration, clock=self.clock)
        self.worker = Worker(self.services)

    @staticmethod
    def _text(epoch: str) -> str:
        return YAML.replace("epoch: 4h", f"epoch: {epoch}")
