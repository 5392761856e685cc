"""A whole intake side with rights requests, on SQLite files or on a Postgres with the migrated tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, LargeBinary, MetaData, String, Table, delete, select, update

from consent.explaining import Explanations
from consent.gate import Gate
from consent.models import ConsentRequest
from consent.notices import Notices, Text
from consent.ports import InclusionProofs
from consent.receipts import Receipts
from consent.rights import Rights
from consent.rights_models import Kind, Level, RightsRequest, Verification
from consent.rights_work import RightsWork
from consent.rotation import Rotation
from consent.rules import Rules
from consent.served import ServedNotices
from consent.service import ConsentService
from consent.subjects import Subjects
from ingest.custody import Custody
from ingest.door import Door
from ingest.source import StagedSource
from ingest.staging import Staging
from ingest.standing import StandingRows
from ingest.withdrawals import Withdrawals
from tacit import migrations
from tacit.core.configuration import parse
from tacit.core.db import connect
from tacit.core.rootkey import RootKey
from tests.consent.support import NotedEvidence
from tests.ingest.world import DECLARATION, NOTICE, SITE, FixedClock, World

PERSON = "canary-4d9e@example.org"
SURE = Verification(Level.SUBSTANTIAL, "session")

served_rows = Table("test_served", MetaData(), Column("site", String), Column("pseudonym", LargeBinary), Column("notice", String))
"""Stands for any other part that keeps rows under a person's pseudonym."""


class ServedRows:
    def of(self, connection: Connection, site: str, pseudonyms: Sequence[bytes]) -> list[dict[str, Any]]:
        query = select(served_rows.c.notice).where(served_rows.c.site == site, served_rows.c.pseudonym.in_(pseudonyms))
        return [{"notice": notice} for notice in connection.scalars(query)]

    def move(self, connection: Connection, site: str, old: Sequence[bytes], new: bytes) -> None:
        here = (served_rows.c.site == site, served_rows.c.pseudonym.in_(old))
        connection.execute(update(served_rows).where(*here).values(pseudonym=new))

    def erase(self, connection: Connection, site: str, pseudonym: bytes) -> None:
        connection.execute(delete(served_rows).where(served_rows.c.site == site, served_rows.c.pseudonym == pseudonym))


@dataclass
class NotedChoices:
    counted: list[dict[str, str]] = field(default_factory=list)

    def count(self, site: str, id_type: str, subject: str, choices: Mapping[str, str]) -> None:
        self.counted.append(dict(choices))


@dataclass
class RightsWorld(World):
    subjects: Subjects
    rights: Rights
    rotation: Rotation
    signer: Receipts
    notices: Notices
    explanations: Explanations
    text: str | None = None
    others: list[RightsWorld] = field(default_factory=list)

    def close(self) -> None:
        """Together with the processes that were opened beside it."""
        for other in self.others:
            other.close()
        self.door.settled()
        super().close()

    def ask(self, kind: Kind, subject: str = PERSON, *, key: str | None = None, sure: Verification = SURE, **more: Any) -> dict[str, Any]:
        return self.rights.ask(SITE, RightsRequest(kind, subject, verification=sure, **more), idempotency_key=key)

    def says(self, subject: str = PERSON, *, place: str = "eu", **purposes: bool) -> dict[str, str]:
        asked = ConsentRequest(subject, purposes or {"measurement": True}, NOTICE, "banner", jurisdiction=place)
        return self.consent.record(SITE, asked)

    def register(self, version: str, *, material: bool = False) -> None:
        self.notices.put(SITE, NOTICE.id, Text(version, NOTICE.locale, text=f"text {version}", material=material), by="key_1")

    def shows(self, subject: str = PERSON, version: str = "4") -> None:
        self.notices.serve(SITE, NOTICE.id, id_type="user", subject=subject, version=version, locale=NOTICE.locale)

    def reason(self, subject: str = PERSON, purpose: str = "measurement") -> str:
        return str(self.gate.check(SITE, "user", subject, purpose).reason)

    def served(self, subject: str, notice: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(
                served_rows.insert().values(site=SITE, pseudonym=self.subjects.pseudonym(SITE, "user", subject), notice=notice)
            )

    def again(self) -> RightsWorld:
        url = self.engine.url.render_as_string(hide_password=False)
        self.others.append(open_rights(self.path, clock=self.clock, engine=connect(url), text=self.text))
        return self.others[-1]


def open_rights(
    path: Path, *, clock: Any = None, engine: Engine | None = None, text: str | None = None, log: InclusionProofs | None = None
) -> RightsWorld:
    declaration = parse(text) if text else DECLARATION
    clock = clock or FixedClock()
    engine = engine if engine is not None else connect(f"sqlite:///{path / 'intake.db'}")
    migrations.upgrade(engine, "intake")
    served_rows.metadata.create_all(engine)
    root = RootKey(b"r" * 32)
    custody = Custody(path / "custody", engine, root, clock)
    staging = Staging(path / "staging", custody, clock, declaration)
    subjects = Subjects(engine, root, clock, others=[ServedNotices(), ServedRows()])
    rules = Rules.declared(declaration)
    gate = Gate(engine, subjects, clock, rules=rules)
    door = Door(declaration, gate, subjects, custody, staging, clock)
    withdrawals = Withdrawals(engine, custody, clock, declaration, staging)
    signer = Receipts(root)
    controllers = {SITE: {"name": "News Ltd", "contact": "privacy@example.org"}}
    consent = ConsentService(engine, subjects, withdrawals, NotedChoices(), signer, clock, rules=rules, controllers=controllers, log=log)
    source = StagedSource(staging, custody, engine, declaration, clock)
    counts = StandingRows(engine, custody, declaration, staging)
    work = RightsWork(engine, subjects, consent, withdrawals, counts, signer, declaration, clock)
    rights = Rights(engine, subjects, work, declaration, clock, log=log)
    rotation = Rotation(engine, subjects, clock)
    notices = Notices(engine, subjects, NotedEvidence(), clock)
    explanations = Explanations(engine, subjects, rules, clock)
    parts = (subjects, rights, rotation, signer, notices, explanations)
    return RightsWorld(path, clock, engine, custody, staging, door, gate, consent, source, withdrawals, *parts, text)
