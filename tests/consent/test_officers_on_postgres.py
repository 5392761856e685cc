"""Webhooks, lapses and retention on a real Postgres: its locks, its triggers, the migrated tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.exc import DatabaseError

from consent.deliveries import Deliveries, Sent
from consent.outbox import Event, announce_lapses
from consent.receipts import Receipts
from consent.retention import Retention
from consent.service import ConsentService
from consent.subjects import Subjects
from consent.tables import consent_records
from consent.webhooks import Webhooks
from tacit import migrations
from tacit.core.db import connect, reading, writing
from tacit.core.errors import InvalidRequest
from tacit.core.rootkey import RootKey
from tests.consent.receiver import receiving
from tests.consent.support import SITE, FixedClock, NotedChoices, NotedStaging, asking
from tests.consent.test_officers import DAY_MS, DECLARED
from tests.postgres import empty_database, server


def test_postgres_tells_each_change_and_lapse_once_and_lets_only_retention_delete(tmp_path: Path) -> None:
    clock, root = FixedClock(), RootKey(b"r" * 32)
    with server() as url:
        engine = connect(empty_database(url, "officers"))
        migrations.upgrade(engine, "intake")
        with pytest.raises(InvalidRequest), reading(engine) as connection:  # a text that Postgres cannot hold is the sender's fault
            connection.execute(select(consent_records.c.seq).where(consent_records.c.site == "news\x00room"))
        service = ConsentService(engine, Subjects(engine, root, clock), NotedStaging(), NotedChoices(), Receipts(root), clock)
        hooks, retention = Webhooks(engine, root, clock), Retention(engine, DECLARED, clock)

        def records() -> int:
            with reading(engine) as connection:
                return int(connection.scalar(select(func.count()).select_from(consent_records)) or 0)

        with receiving() as receiver:
            hooks.put(SITE, "mail", url=receiver.url, events=list(Event))
            announce_lapses(engine, SITE, now_ms=clock.at_ms)
            service.record(SITE, asking("granted"))
            service.record(SITE, asking("refused", measurement=False))
            service.set_evidence({seq: index for index, (seq, _) in enumerate(service.pending_evidence(10))})
            clock.at_ms += 181 * DAY_MS
            for _ in range(2):
                announce_lapses(engine, SITE, now_ms=clock.at_ms)
            assert Deliveries(engine, hooks, clock).once() == Sent(delivered=2)
        with pytest.raises(DatabaseError, match="append-only"), writing(engine) as connection:
            connection.execute(delete(consent_records))
        retention.run(SITE)
        assert records() == 1
        clock.at_ms += 100 * DAY_MS
        retention.run(SITE)
        assert records() == 0
        assert service.query(SITE, "user", "refused")["purposes"]["measurement"]["reason"] == "refused"
        engine.dispose()
