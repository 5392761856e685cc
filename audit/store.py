"""Scans, findings and alerts in the released vault. At most one finding is open for each site, audit and subject."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, insert, select

from audit.findings import Event, Finding
from audit.findings_store import finding_of, newest_events
from audit.officer_tables import skipped_slots
from audit.slots import Missed
from audit.tables import alerts, findings, scans
from tacit.core.clock import iso
from tacit.core.db import reading
from tacit.core.evidence import canonical
from tacit.core.ids import new_id


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

    def slots_since(self, site: str, audit: str, from_slot: int) -> set[int]:
        """The slots from one on that are scanned."""
        query = select(scans.c.slot).where(scans.c.site == site, scans.c.audit == audit, scans.c.slot >= from_slot)
        with reading(self.engine) as connection:
            return set(connection.scalars(query))

    def last_slot(self, site: str, audit: str, *, before: int) -> int | None:
        """The newest scanned slot before another."""
        query = select(func.max(scans.c.slot)).where(scans.c.site == site, scans.c.audit == audit, scans.c.slot < before)
        with reading(self.engine) as connection:
            found: int | None = connection.scalar(query)
        return found

    def last_skipped(self, site: str, audit: str) -> int | None:
        """The newest slot that was given up."""
        query = select(func.max(skipped_slots.c.last_slot)).where(skipped_slots.c.site == site, skipped_slots.c.audit == audit)
        with reading(self.engine) as connection:
            found: int | None = connection.scalar(query)
        return found

    def skip(self, site: str, audit: str, missed: Missed, *, at_ms: int, connection: Connection) -> None:
        """Put on record that slots are given up. Raises `IntegrityError` where somebody has done so already."""
        values = {"first_slot": missed.first, "last_slot": missed.last, "slots": missed.number}
        connection.execute(insert(skipped_slots).values(site=site, audit=audit, at_ms=at_ms, **values))

    def skipped(self, site: str, audit: str) -> list[Missed]:
        """The runs of slots that were given up, oldest first."""
        query = select(skipped_slots).where(skipped_slots.c.site == site, skipped_slots.c.audit == audit)
        with reading(self.engine) as connection:
            rows = connection.execute(query.order_by(skipped_slots.c.first_slot)).all()
        return [Missed(row.first_slot, row.last_slot, row.slots) for row in rows]

    def scan(self, site: str, scan: str) -> Scan | None:
        """One scan by its id."""
        with reading(self.engine) as connection:
            row = connection.execute(select(scans).where(scans.c.site == site, scans.c.id == scan)).first()
        return _scan(row) if row else None

    def latest(self, site: str, audit: str) -> Scan | None:
        """The newest scan of an audit."""
        found, _ = self.scans(site, audit=audit, limit=1)
        return found[0] if found else None

    def newest_verdict(self, site: str, audit: str, connection: Connection) -> str | None:
        """The verdict of the newest scan of an audit so far."""
        query = select(scans.c.verdict).where(scans.c.site == site, scans.c.audit == audit).order_by(scans.c.id.desc()).limit(1)
        found: str | None = connection.scalar(query)
        return found

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
        return [finding_of(row) for row in rows], after

    def finding_events(self, site: str, *, limit: int) -> Sequence[tuple[Event, str]]:
        """The newest rows of findings' history with the subject of each finding, newest first."""
        with reading(self.engine) as connection:
            return newest_events(connection, site, limit)

    def alerts(self, site: str, *, limit: int = 100, cursor: str = "") -> tuple[list[Alert], str | None]:
        """Alerts, newest first, and the cursor of the next page."""
        rows, after = self._page(alerts, [alerts.c.site == site], limit, cursor)
        return [Alert(r.id, r.site, r.at_ms, r.kind, json.loads(r.detail)) for r in rows], after

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


def _columns(value: Scan | Alert, json_column: str) -> dict[str, Any]:
    columns = {name: getattr(value, name) for name in value.__slots__}
    return columns | {json_column: canonical(columns[json_column]).decode()}


def _scan(row: Any) -> Scan:
    return Scan(row.id, row.site, row.audit, row.slot, row.at_ms, row.verdict, json.loads(row.result))
