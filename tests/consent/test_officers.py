"""Exports name nobody and leave a trace; retention deletes what is old, keeps what rules, and proves that it ran."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.exc import DatabaseError

from consent.exports import COLUMNS, PAGE, ExportFormat, Exports
from consent.exports_store import Filters
from consent.models import Notice
from consent.retention import LATE_MS, Retention
from consent.tables import consent_records, consent_state
from tacit import migrations
from tacit.core.configuration import parse
from tacit.core.db import connect, reading, writing
from tacit.core.evidence import Entry
from tests.consent.support import CANARY, SITE, Room, asking, room

DAY_MS = 86_400_000
DECLARED = parse("sites: {newsroom: {privacy: {epsilon: 1, delta: 1.0e-6}, retention: {records: 100d}}}")


@dataclass
class NotedEvidence:
    entries: list[Entry] = field(default_factory=list)

    def append(self, entries: list[Entry], connection: Connection | None = None) -> list[int]:
        self.entries += entries
        return list(range(len(self.entries) - len(entries), len(self.entries)))


def lines(here: Room, form: ExportFormat = ExportFormat.NDJSON, **filters: Any) -> list[dict[str, Any]]:
    text = "".join(Exports(here.engine, NotedEvidence(), here.clock).start(SITE, Filters(**filters), form=form, by="key_1"))
    if form is ExportFormat.CSV:
        return list(csv.DictReader(io.StringIO(text)))
    return [json.loads(line) for line in text.splitlines()]


def settle(here: Room) -> None:
    pending = here.service.pending_evidence(10_000)
    here.service.set_evidence({seq: index for index, (seq, _) in enumerate(pending)})


def number(here: Room, table: Any = consent_records) -> int:
    with reading(here.engine) as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


@pytest.mark.parametrize("form", list(ExportFormat))
def test_an_export_has_every_record_and_numbers_people_afresh_each_time(here: Room, form: ExportFormat) -> None:
    here.service.record(SITE, asking(CANARY, measurement=True, personalisation=False))
    here.service.withdraw(SITE, "user", CANARY, ["measurement"])
    here.service.record(SITE, asking("somebody else"))
    first, second = lines(here, form), lines(here, form)
    assert [(line["purpose"], line["state"]) for line in first] == [
        ("measurement", "granted"),
        ("personalisation", "refused"),
        ("measurement", "withdrawn"),
        ("measurement", "granted"),
    ]
    assert len({line["person"] for line in first[:3]}) == 1
    assert first[3]["person"] != first[0]["person"]
    assert not {line["person"] for line in first} & {line["person"] for line in second}
    assert tuple(first[0]) == COLUMNS
    text = json.dumps(first)
    assert CANARY not in text
    assert here.subjects.pseudonym(SITE, "user", CANARY).hex()[:16] not in text


def test_each_filter_leaves_exactly_what_it_names(here: Room) -> None:
    here.service.record(SITE, asking("a"))
    here.clock.at_ms += 1000
    other = Notice("banner_2", "3", "de", "cd" * 32)
    here.service.record(SITE, replace(asking("b", personalisation=True), notice=other, jurisdiction="us-ca"))
    here.service.record("other", asking("c"))
    assert [line["jurisdiction"] for line in lines(here)] == ["eu", "us-ca"]
    for filters in (
        {"purpose": "personalisation"},
        {"notice": "banner_2"},
        {"jurisdiction": "us-ca"},
        {"from_ms": here.clock.at_ms},
    ):
        assert [line["jurisdiction"] for line in lines(here, **filters)] == ["us-ca"], filters
    for filters in ({"notice": "banner"}, {"to_ms": here.clock.at_ms}):
        assert [line["jurisdiction"] for line in lines(here, **filters)] == ["eu"], filters
    assert len(lines(here, notice_version="3")) == 2
    for nothing in ({"notice": "bann"}, {"notice": "banner%2"}, {"notice_version": "33"}, {"notice": "b_nner"}):
        assert lines(here, **nothing) == [], nothing


def test_an_export_longer_than_a_page_is_whole_and_ends_where_it_began(here: Room) -> None:
    here.service.record(SITE, asking("a"))
    with reading(here.engine) as connection:
        row = dict(connection.execute(select(consent_records)).one()._mapping)
    del row["seq"]
    with writing(here.engine) as connection:
        connection.execute(consent_records.insert(), [row | {"receipt_id": str(n)} for n in range(PAGE + 5)])
    pieces = Exports(here.engine, NotedEvidence(), here.clock).start(SITE, Filters(), form=ExportFormat.NDJSON, by="key_1")
    found = next(pieces).splitlines()
    here.service.record(SITE, asking("late"))
    found += "".join(pieces).splitlines()
    assert len(found) == PAGE + 6
    assert len({json.loads(line)["receipt_id"] for line in found}) == PAGE + 6


def test_an_export_stands_in_evidence_before_its_first_line_and_without_numbers(here: Room) -> None:
    here.service.record(SITE, asking(CANARY))
    evidence = NotedEvidence()
    pieces = Exports(here.engine, evidence, here.clock).start(SITE, Filters(purpose="measurement"), form=ExportFormat.CSV, by="key_1")
    (entry,) = evidence.entries
    assert (entry.kind, entry.site) == ("consent.exported", SITE)
    assert entry.body["by"] == "key_1"
    assert entry.body["filters"]["purpose"] == "measurement"
    assert set(entry.body) == {"export", "format", "by", "filters"}
    assert len("".join(pieces).splitlines()) == 2


def test_retention_deletes_ended_records_and_forgets_no_refusal(here: Room) -> None:
    retention = Retention(here.engine, DECLARED, here.clock)
    here.service.record(SITE, asking("granted"))
    here.service.record(SITE, asking("refused", measurement=False))
    here.service.record("other", asking("refused", measurement=False))
    here.clock.at_ms += 101 * DAY_MS
    here.service.record(SITE, asking("fresh", measurement=False))
    retention.run(SITE)
    assert number(here) == 4, "what is not in evidence yet stays"
    settle(here)
    retention.run(SITE)
    assert number(here) == 3
    assert here.service.query(SITE, "user", "refused")["purposes"]["measurement"]["reason"] == "refused"
    assert here.service.history(SITE, "user", "refused")["records"] == []
    assert here.service.query(SITE, "user", "granted")["purposes"]["measurement"]["outcome"] == "allow"
    here.clock.at_ms += 180 * DAY_MS
    retention.run(SITE)
    assert number(here) == 1, "the other site's"
    assert here.service.query(SITE, "user", "granted")["purposes"]["measurement"]["reason"] == "no_consent"
    assert here.service.query(SITE, "user", "refused")["purposes"]["measurement"]["reason"] == "refused"
    assert number(here, consent_state) == 3


def test_each_run_leaves_its_proof_and_none_for_two_days_is_late(here: Room) -> None:
    retention = Retention(here.engine, DECLARED, here.clock)
    assert retention.standing(SITE)["late"]
    entries = retention.run(SITE)
    assert [entry.body["job"] for entry in entries] == ["records", "messages", "rights", "served", "idempotency"]
    standing = retention.standing(SITE)
    assert not standing["late"]
    assert [(job["job"], job["days"], len(job["runs"])) for job in standing["jobs"]] == [
        ("records", 100, 1),
        ("messages", 30, 1),
        ("rights", 100, 1),
        ("served", 365, 1),
        ("idempotency", 1, 1),
    ]
    here.clock.at_ms += LATE_MS
    assert not retention.standing(SITE)["late"]
    here.clock.at_ms += 1
    assert retention.standing(SITE)["late"]
    here.clock.at_ms -= 10 * DAY_MS
    assert retention.standing(SITE)["late"], "a run in the future proves nothing"


def test_a_failed_job_has_no_proof(here: Room) -> None:
    retention = Retention(here.engine, DECLARED, here.clock)
    here.service.record(SITE, asking("old", measurement=False))
    settle(here)
    here.clock.at_ms += 101 * DAY_MS
    with writing(here.engine) as connection:
        connection.exec_driver_sql("create trigger stop before insert on retention_runs begin select raise(abort, 'no'); end")
    with pytest.raises(DatabaseError):
        retention.run(SITE)
    assert number(here) == 1
    assert retention.standing(SITE)["jobs"][0]["runs"] == []


def test_in_a_migrated_vault_only_retention_can_delete_records_and_only_old_ones(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'intake.db'}")
    migrations.upgrade(engine, "intake")
    engine.dispose()
    here = room(tmp_path)
    here.service.record(SITE, asking("old", measurement=False))
    settle(here)
    here.clock.at_ms += 101 * DAY_MS
    here.service.record(SITE, asking("new", measurement=False))
    settle(here)
    with pytest.raises(DatabaseError, match="append-only"), writing(here.engine) as connection:
        connection.execute(delete(consent_records))
    Retention(here.engine, DECLARED, here.clock).run(SITE)
    assert number(here) == 1
    with pytest.raises(DatabaseError, match="append-only"), writing(here.engine) as connection:
        connection.execute(delete(consent_records))
    here.close()
