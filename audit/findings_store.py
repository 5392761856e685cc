"""All SQL of findings and their history. Every function works inside the caller's transaction.

A finding is written together with the row of history that says why, and with its line in the evidence log.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from audit.findings import WAITING, Event, Finding, Signature, State
from audit.officer_tables import finding_events
from audit.tables import CLOSED, findings
from tacit.core.evidence import Entry, EvidenceLog, canonical


def find(connection: Connection, site: str, finding_id: str, *, lock: bool = False) -> Finding | None:
    """One finding; with `lock`, nobody else changes it until the transaction ends."""
    query = select(findings).where(findings.c.id == finding_id, findings.c.site == site)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return finding_of(row) if row else None


def of_audit(connection: Connection, site: str, audit: str, *, lock: bool = True) -> list[Finding]:
    """All findings of an audit, oldest first; with `lock`, nobody else changes them until the transaction ends."""
    query = select(findings).where(findings.c.site == site, findings.c.audit == audit).order_by(findings.c.id)
    return [finding_of(row) for row in connection.execute(query.with_for_update() if lock else query)]


def late(connection: Connection, site: str, now_ms: int) -> list[Finding]:
    """Findings that wait for a decision after their due date, and of which nobody was told so; locked."""
    waits = findings.c.state.in_([state.value for state in WAITING])
    query = select(findings).where(findings.c.site == site, waits, findings.c.due_ms < now_ms, findings.c.overdue_ms.is_(None))
    return [finding_of(row) for row in connection.execute(query.order_by(findings.c.id).with_for_update())]


def add(connection: Connection, finding: Finding) -> None:
    """A new finding. Raises `IntegrityError` where one about the same subject is open."""
    connection.execute(insert(findings).values(_columns(finding)))


def write(connection: Connection, finding: Finding) -> None:
    """Other values for a finding that there is."""
    connection.execute(update(findings).where(findings.c.id == finding.id).values(_columns(finding)))


def record(
    connection: Connection,
    evidence: EvidenceLog,
    finding: Finding,
    action: str,
    *,
    actor: str,
    at_ms: int,
    note: str | None = None,
    detail: dict[str, Any] | None = None,
) -> Event:
    """A row of history and its line in the evidence log, which holds a commitment to the note instead of its words."""
    last = connection.scalar(select(func.max(finding_events.c.seq)).where(finding_events.c.finding == finding.id))
    salt = None if note is None else secrets.token_hex(16)
    seq = 0 if last is None else int(last) + 1
    event = Event(finding.id, seq, at_ms, actor, action, finding.version, finding.state, note, salt, detail or {})
    connection.execute(insert(finding_events).values(asdict(event) | {"detail": canonical(event.detail).decode()}))
    body = {"finding": finding.id, "audit": finding.audit, "seq": seq, "version": finding.version, "state": finding.state, "actor": actor}
    body |= {"note_sha256": event.commitment, "detail": event.detail}
    evidence.append([Entry(f"finding.{action}", finding.site, body)], connection)
    return event


def events(connection: Connection, finding_id: str) -> list[Event]:
    """A finding's history, oldest first."""
    query = select(finding_events).where(finding_events.c.finding == finding_id).order_by(finding_events.c.seq)
    return [_event(row) for row in connection.execute(query)]


def newest_events(connection: Connection, site: str, limit: int) -> Sequence[tuple[Event, str]]:
    """The newest rows of a site's history with the subject of each one's finding, newest first."""
    query = select(finding_events, findings.c.subject).join(findings, findings.c.id == finding_events.c.finding)
    query = query.where(findings.c.site == site).order_by(finding_events.c.at_ms.desc(), finding_events.c.seq.desc()).limit(limit)
    return [(_event(row), row.subject) for row in connection.execute(query)]


def finding_of(row: Row[Any]) -> Finding:
    """The finding that a row holds."""
    columns = row._asdict()
    signatures = tuple(Signature(**one) for one in json.loads(columns["signatures"]))
    parsed = {name: json.loads(columns[name]) if columns[name] else None for name in ("correction", "containment")}
    return Finding(**(columns | parsed | {"detail": json.loads(columns["detail"]), "signatures": signatures}))


def _event(row: Row[Any]) -> Event:
    columns = {name: row._mapping[name] for name in Event.__slots__}
    return Event(**(columns | {"detail": json.loads(row.detail)}))


def _columns(finding: Finding) -> dict[str, Any]:
    columns = {name: getattr(finding, name) for name in Finding.__slots__}
    columns["detail"] = canonical(finding.detail).decode()
    columns["signatures"] = canonical([asdict(s) for s in finding.signatures]).decode()
    for name in ("correction", "containment"):
        columns[name] = None if columns[name] is None else canonical(columns[name]).decode()
    return columns


assert State.CLOSED == CLOSED  # noqa: S101 - the index that keeps one open finding to a subject is made of it
