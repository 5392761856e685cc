"""The intake side of one installation in a temporary directory, with real files, keys and a real consent gate."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import consent.tables  # noqa: F401 - completes the metadata
import ingest.tables  # noqa: F401
from consent.gate import Gate
from consent.models import ConsentRequest, Notice
from consent.ports import ChoicesUncounted
from consent.receipts import Receipts
from consent.service import ConsentService
from consent.subjects import Subjects
from ingest.custody import Custody
from ingest.door import Door
from ingest.source import StagedSource
from ingest.staging import Staging
from ingest.windows import Window
from ingest.withdrawals import Withdrawals
from tacit.core import configuration
from tacit.core.clock import iso
from tacit.core.db import connect, intake_metadata
from tacit.core.rootkey import RootKey

SITE = "newsroom"
MINUTE = 60_000
DAY = 86_400_000
START = 1_700_006_400_000  # a day's beginning in UTC
assert START % DAY == 0
NOTICE = Notice("banner", "3", "en-GB", "ab" * 32)

YAML = """
sites:
  newsroom:
    privacy: {epsilon: 1.0, delta: 1.0e-6, epoch: 1d, window: 1m}
    measures:
      pages: {event: page, by: {category: [frontpage, news, tech]}, per_window: 3, share: 0.1}
      visits: {event: page, share: 0.1}
      dwell: {event: dwell, by: {zone: [hero, body]}, value: {field: seconds, from: 0, to: 120}, share: 0.1}
      rating: {event: rating, by: {stars: [1, 2, 3], member: ["true", "false"]}, share: 0.1}
      reach: {event: scroll, count: people, by: {category: [news, tech]}, share: 0.01}
      depth: {event: scroll, by: {section: [top], depth: {from: 0, to: 100, bins: 4}}, share: 0.01}
      moves: {event: move, count: transitions, by: {place: [front, article, shop]}, per_window: 5, share: 0.01}
      terms: {event: search, keys: {field: term, delta_share: 0.1, max_bytes: 60}, per_window: 5, share: 0.01}
      results: {event: search, value: {field: results, from: 0, to: 50}, share: 0.01}
      tags: {event: tag, keys: {field: term, delta_share: 0.1}, purpose: personalisation, share: 0.01}
      mood: {event: mood, by: {answer: [good, bad]}, local: {epsilon: 0.1}, share: 0.01}
      slide: {event: slide, by: {depth: {edges: [0, 10, 50]}}, local: {epsilon: 2}, share: 0.01}
    policies:
      headline:
        zone: front.headline
        arms: {control: {scale: 1.0}, larger: {scale: 1.1}}
        context: {device: [mobile, desktop], daypart: [morning, day]}
        reward: {event: click}
        share: 0.2
    audits:
      by_age: {policy: headline, groups: {age_band: [young, old]}, share: 0.2}
    consent_choices: {share: 0.1}
  other:
    privacy: {epsilon: 1.0, delta: 1.0e-6, epoch: 1d, window: 1m}
    measures:
      pages: {event: page, by: {category: [news]}, share: 0.5}
"""
DECLARATION = configuration.parse(YAML)


class FixedClock:
    def __init__(self, at_ms: int = START + 10 * MINUTE) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


def measure_id(name: str) -> int:
    """The id of one of the newsroom's measures."""
    measure = DECLARATION.sites[SITE].measure(name)
    assert measure is not None
    return measure.id


def number_of(row: dict[str, int]) -> int:
    """The number of an undeclared value, unsigned, from the two halves in a row."""
    return (row["value"] & 0xFFFFFFFF) << 32 | row["cell"]


@dataclass
class World:
    path: Path
    clock: Any
    engine: Any
    custody: Custody
    staging: Staging
    door: Door
    gate: Gate
    consent: ConsentService
    source: StagedSource
    withdrawals: Withdrawals

    def grant(self, *subjects: str, site: str = SITE, **purposes: bool) -> None:
        for subject in subjects:
            self.consent.record(site, ConsentRequest(subject, purposes or {"measurement": True}, NOTICE, "banner"))

    def withdraw(self, subject: str, *purposes: str) -> None:
        self.consent.withdraw(SITE, "user", subject, list(purposes) or None)

    def send(self, *events: dict[str, Any] | Any, site: str = SITE, gpc: bool = False) -> dict[str, Any]:
        answer = self.door.accept(site, json.dumps({"events": list(events)}).encode(), gpc=gpc)
        self.staging.sync()
        return dict(json.loads(answer))

    def event(self, identifier: str, kind: str = "page", subject: str = "ada", **properties: Any) -> dict[str, Any]:
        return {"id": identifier, "type": kind, "subject": subject, "at": iso(self.clock.now_ms()), "properties": properties}

    def trial(self, identifier: str, subject: str = "ada", **properties: Any) -> dict[str, Any]:
        given = {"policy": "headline", "arm": "larger", "reward": 1, "context": {"device": "mobile", "daypart": "day"}} | properties
        return self.event(identifier, "trial", subject, **given)

    def later(self, ms: int = MINUTE) -> None:
        self.clock.at_ms += ms

    def windows(self, site: str = SITE, after_ms: int | None = None) -> list[Any]:
        return self.source.closed(site, after_ms)

    def rows(self, windows: Iterable[Any] | None = None) -> list[dict[str, int]]:
        """All rows of closed windows, by column."""
        found = []
        for window in self.windows() if windows is None else windows:
            columns = self.source.contributions(window).columns
            found += [{k: int(columns[k][i]) for k in columns} for i in range(len(columns["m"]))]
        return found

    def raw(self, window: Any) -> list[dict[str, int]]:
        """All rows of a window as they are staged, the spelling ones included."""
        staged = self.staging.read(SITE, Window(window.start_ms, window.end_ms))
        return [{k: int(row[k]) for k in staged.dtype.names} for row in staged]

    def texts(self, windows: Iterable[Any] | None = None) -> list[tuple[str, str | None]]:
        """Measure and text of each row that counts an undeclared value; None where nothing spells it."""
        by_id = {m.id: m for m in DECLARATION.sites[SITE].measures}
        found = []
        for window in self.windows() if windows is None else windows:
            names = self.source.contributions(window).names
            keyed = [r for r in self.rows([window]) if by_id[r["measure"]].keys]
            found += [(by_id[r["measure"]].name, names.get(r["measure"], {}).get(number_of(r))) for r in keyed]
        return found

    def labelled(self, windows: Iterable[Any] | None = None) -> list[tuple[str, tuple[str, ...], int]]:
        """Measure, cell labels and value of each row."""
        by_id = {m.id: m for m in DECLARATION.sites[SITE].measures}
        return [(by_id[r["measure"]].name, tuple(by_id[r["measure"]].labels(r["cell"]).values()), r["value"]) for r in self.rows(windows)]

    def segments(self, site: str = SITE) -> list[Path]:
        return sorted((self.path / "staging" / site).glob("*/*.seg"))

    def again(self) -> World:
        """Another process's view of the same installation."""
        return open_world(self.path, clock=self.clock)

    def close(self) -> None:
        self.gate.close()
        self.engine.dispose()


def open_world(path: Path, *, clock: Any = None, text: str | None = None) -> World:
    declaration = configuration.parse(text) if text else DECLARATION
    clock = clock or FixedClock()
    engine = connect(f"sqlite:///{path / 'intake.db'}")
    intake_metadata.create_all(engine)
    root = RootKey(b"r" * 32)
    custody = Custody(path / "custody", engine, root, clock)
    staging = Staging(path / "staging", custody, clock, declaration)
    subjects = Subjects(engine, root, clock)
    gate = Gate(engine, subjects, clock)
    door = Door(declaration, gate, subjects, custody, staging, clock)
    withdrawals = Withdrawals(engine, custody, clock, declaration, staging)
    consent = ConsentService(engine, subjects, withdrawals, ChoicesUncounted(), Receipts(root), clock)
    source = StagedSource(staging, custody, engine, declaration, clock)
    return World(path, clock, engine, custody, staging, door, gate, consent, source, withdrawals)
