"""A consent room on an SQLite file, with fakes that note what they were told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from consent import tables
from consent.explaining import Explanations
from consent.gate import Gate
from consent.models import ConsentRequest, Notice, Signals
from consent.notices import Notices
from consent.receipts import Receipts
from consent.rules import Rules, SiteRules
from consent.service import ConsentService
from consent.subjects import Subjects
from tacit.core.db import connect, intake_metadata
from tacit.core.evidence import Entry
from tacit.core.rootkey import RootKey
from tests.consent.signals.encoder import DAY_MS, Tc

SITE = "newsroom"
CANARY = "canary-7f3a@example.org"
NOTICE = Notice("banner", "3", "en-GB", "ab" * 32)
START_MS = 1_700_000_000_000


class FixedClock:
    def __init__(self, now_ms: int = START_MS) -> None:
        self.at_ms = now_ms

    def now_ms(self) -> int:
        return self.at_ms


@dataclass
class NotedStaging:
    """Notes each call and whether the transaction's own records were visible in it."""

    calls: list[tuple[str, str, list[str], int]] = field(default_factory=list)
    fail: bool = False

    def withdraw(self, site: str, id_type: str, subject: str, purposes: Sequence[str], connection: Connection) -> None:
        self._note("withdraw", subject, purposes, connection)

    def readmit(self, site: str, id_type: str, subject: str, purposes: Sequence[str], connection: Connection) -> None:
        self._note("readmit", subject, purposes, connection)

    def _note(self, what: str, subject: str, purposes: Sequence[str], connection: Connection) -> None:
        if self.fail:
            raise RuntimeError("staging")
        rows = len(connection.execute(tables.consent_records.select()).all())
        self.calls.append((what, subject, list(purposes), rows))


@dataclass
class NotedChoices:
    counted: list[dict[str, str]] = field(default_factory=list)
    fail: bool = False

    def count(self, site: str, id_type: str, subject: str, choices: Mapping[str, str]) -> None:
        if self.fail:
            raise RuntimeError("counter")
        self.counted.append(dict(choices))


@dataclass
class NotedEvidence:
    entries: list[Entry] = field(default_factory=list)

    def append(self, entries: Sequence[Entry], connection: Connection | None = None) -> list[int]:
        self.entries += entries
        return list(range(len(self.entries) - len(entries), len(self.entries)))


@dataclass
class Room:
    engine: Engine
    clock: FixedClock
    subjects: Subjects
    gate: Gate
    staged: NotedStaging
    choices: NotedChoices
    receipts: Receipts
    service: ConsentService
    evidence: NotedEvidence
    notices: Notices
    explanations: Explanations
    path: Path

    def close(self) -> None:
        self.gate.close()
        self.engine.dispose()


def room(path: Path, *, root: RootKey | None = None, clock: FixedClock | None = None, here: SiteRules | None = None) -> Room:
    engine = connect(f"sqlite:///{path / 'intake.db'}")
    intake_metadata.create_all(engine)
    return furnished(engine, path, root=root, clock=clock, here=here)


def furnished(
    engine: Engine, path: Path, *, root: RootKey | None = None, clock: FixedClock | None = None, here: SiteRules | None = None
) -> Room:
    """A room on a vault that has its tables."""
    clock = clock or FixedClock()
    root = root or RootKey(b"r" * 32)
    subjects = Subjects(engine, root, clock)
    staged, choices, receipts = NotedStaging(), NotedChoices(), Receipts(root)
    rules, evidence = Rules({SITE: here} if here else {}), NotedEvidence()
    return Room(
        engine=engine,
        clock=clock,
        subjects=subjects,
        gate=Gate(engine, subjects, clock, rules=rules),
        staged=staged,
        choices=choices,
        receipts=receipts,
        service=ConsentService(engine, subjects, staged, choices, receipts, clock, rules=rules),
        evidence=evidence,
        notices=Notices(engine, subjects, evidence, clock),
        explanations=Explanations(engine, subjects, rules, clock),
        path=path,
    )


def tcf(*consents: int, **content: Any) -> str:
    """A TCF string that may be relied on at `START_MS`, with these purpose consents."""
    return Tc(created_ms=19_600 * DAY_MS, updated_ms=19_600 * DAY_MS, consents=list(consents), **content).text()


def asking(subject: str = CANARY, *, gpc: bool = False, **purposes: bool) -> ConsentRequest:
    return ConsentRequest(subject, purposes or {"measurement": True}, NOTICE, "banner", signals=Signals(gpc=gpc))


def states_of(receipt: dict[str, str], signer: Receipts) -> dict[str, tuple[Any, Any]]:
    return {d["purpose"]: (d["state"], d["reason"]) for d in signer.verify(receipt)["decisions"]}
