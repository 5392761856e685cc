"""Scans, findings and alerts in the released vault. At most one finding is open for each site, audit and subject."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert, select, update

from audit.tables import CLOSED, alerts, findings, scans
from tacit.core.clock import iso
from tacit.core.db import reading
from tacit.core.evidence import canonical
from tacit.core.ids import new_id

OPEN = "open"
DUE_AFTER_MS = 14 * 86_400_000
"""A finding is due two weeks after it was opened."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One stored scan of one audit. `result` is what `audit.scan.ScanResult.to_json` made."""

    id: str
    site: str
    audit: str
    slot: int | None
    at_ms: int
    verdict: str
    result: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        head = {"id": self.id, "site": self.site, "audit": self.audit, "slot": self.slot, "at": iso(self.at_ms), "verdict": self.verdict}
        return head | {k: v for k, v in self.result.items() if k not in head}


@dataclass(frozen=True, slots=True)
class Finding:
    """A breach that somebody has to look into."""

    id: str
    site: str
    audit: str
    scan_id: str
    subject: str
    verdict: str
    state: str
    opened_ms: int
    due_ms: int
    detail: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "id": self.id,
            "site": self.site,
            "audit": self.audit,
            "scan": self.scan_id,
            "subject": self.subject,
            "verdict": self.verdict,
            "state": self.state,
            "opened_at": iso(self.opened_ms),
            "due_at": iso(self.due_ms),
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Alert:
    """Something an officer should hear of."""

    id: str
    site: str
    at_ms: int
    kind: str
    detail: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {"id": self.id, "site": self.site, "at": iso(self.at_ms), "kind": self.kind, "detail": self.detail}


class AuditStore:
    """Reads on its own; writes as part of the scanner's transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def save_scan(self, scan: Scan, connection: Connection) -> None:
        """Store a scan. Raises `IntegrityError` for a slot that is stored already."""
        connection.execute(insert(scans).values(_columns(scan, "result")))

    def scan_of_slot(self, site: str, audit: str, slot: int) -> Scan | None:
        """The scan of a slot, if it was done."""
        query = select(scans).where(scans.c.site == site, scans.c.audit == audit, scans.c.slot == slot)
        with reading(self.engine) as connection:
            row = connection.execute(query).first()
        return _scan(row) if row else None

    def scan(self, site: str, scan: str) -> Scan | None:
        """One scan by its id."""
        with reading(self.engine) as connection:
            row = connection.execute(select(scans).where(scans.c.site == site, scans.c.id == scan)).first()
        return _scan(row) if row else None

    def latest(self, site: str, audit: str) -> Scan | None:
        """The newest scan of an audit."""
        found, _ = self.scans(site, audit=audit, limit=1)
        return found[0] if found else None

    def scans(
        self,
        site: str,
        *,
        audit: str | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
        limit: int = 100,
        cursor: str = "",
    ) -> tuple[list[Scan], str | None]:
        """Scans, newest first, and the cursor of the next page."""
        conditions = [scans.c.site == site]
        conditions += [scans.c.audit == audit] if audit is not None else []
        conditions += [scans.c.at_ms >= from_ms] if from_ms is not None else []
        conditions += [scans.c.at_ms < to_ms] if to_ms is not None else []
        rows, after = self._page(scans, conditions, limit, cursor)
        return [_scan(row) for row in rows], after

    def findings(
        self, site: str, *, audit: str | None = None, state: str | None = None, limit: int = 100, cursor: str = ""
    ) -> tuple[list[Finding], str | None]:
        """Findings, newest first, and the cursor of the next page."""
        conditions = [findings.c.site == site]
        conditions += [findings.c.audit == audit] if audit is not None else []
        conditions += [findings.c.state == state] if state is not None else []
        rows, after = self._page(findings, conditions, limit, cursor)
        return [_finding(row) for row in rows], after

    def alerts(self, site: str, *, limit: int = 100, cursor: str = "") -> tuple[list[Alert], str | None]:
        """Alerts, newest first, and the cursor of the next page."""
        rows, after = self._page(alerts, [alerts.c.site == site], limit, cursor)
        return [Alert(r.id, r.site, r.at_ms, r.kind, json.loads(r.detail)) for r in rows], after

    def open_finding(self, scan: Scan, subject: str, detail: dict[str, Any], connection: Connection) -> Finding | None:
        """Open a finding for a breach; None where one about the same subject is open, which is brought up to date instead."""
        same = (findings.c.site == scan.site, findings.c.audit == scan.audit, findings.c.subject == subject, findings.c.state != CLOSED)
        refreshed = {"scan_id": scan.id, "detail": canonical(detail).decode()}
        if connection.execute(update(findings).where(*same).values(refreshed)).rowcount:
            return None
        found = Finding(
            id=new_id("finding", now_ms=scan.at_ms),
            site=scan.site,
            audit=scan.audit,
            scan_id=scan.id,
            subject=subject,
            verdict=scan.verdict,
            state=OPEN,
            opened_ms=scan.at_ms,
            due_ms=scan.at_ms + DUE_AFTER_MS,
            detail=detail,
        )
        connection.execute(insert(findings).values(_columns(found, "detail")))
        return found

    def raise_alert(self, site: str, kind: str, detail: dict[str, Any], *, at_ms: int, connection: Connection) -> None:
        """Store an alert."""
        alert = Alert(new_id("alert", now_ms=at_ms), site, at_ms, kind, detail)
        connection.execute(insert(alerts).values(_columns(alert, "detail")))

    def _page(self, table: Table, conditions: Sequence[Any], limit: int, cursor: str) -> tuple[Sequence[Any], str | None]:
        """Ids begin with their time, so they order a list and serve as its cursor."""
        query = select(table).where(*conditions).order_by(table.c.id.desc()).limit(limit + 1)
        if cursor:
            query = query.where(table.c.id < cursor)
        with reading(self.engine) as connection:
            rows = connection.execute(query).all()
        return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def _columns(value: Scan | Finding | Alert, json_column: str) -> dict[str, Any]:
    columns = {name: getattr(value, name) for name in value.__slots__}
    return columns | {json_column: canonical(columns[json_column]).decode()}


def _scan(row: Any) -> Scan:
    return Scan(row.id, row.site, row.audit, row.slot, row.at_ms, row.verdict, json.loads(row.result))


def _finding(row: Any) -> Finding:
    columns = row._asdict()
    return Finding(**(columns | {"detail": json.loads(columns["detail"])}))
