"""The SQL of exports: records of a site in order, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from consent.tables import consent_records
from tacit.core.clock import iso


@dataclass(frozen=True, slots=True)
class Filters:
    """Which records: every filter that is set must hold. Times are milliseconds, from included, to excluded."""

    purpose: str | None = None
    notice: str | None = None
    notice_version: str | None = None
    jurisdiction: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As they stand in evidence."""
        return {
            "purpose": self.purpose,
            "notice": self.notice,
            "notice_version": self.notice_version,
            "jurisdiction": self.jurisdiction,
            "from": iso(self.from_ms) if self.from_ms is not None else None,
            "to": iso(self.to_ms) if self.to_ms is not None else None,
        }


def last(connection: Connection) -> int:
    """The number of the newest record: an export ends there, however much is written while it runs."""
    return int(connection.scalar(select(func.max(consent_records.c.seq))) or 0)


def page(connection: Connection, site: str, filters: Filters, *, after: int, until: int, limit: int) -> Sequence[Row[Any]]:
    """Records with numbers above `after` and up to `until` that pass the filters."""
    table = consent_records.c
    query = select(consent_records).where(table.site == site, table.seq > after, table.seq <= until)
    if filters.purpose is not None:
        query = query.where(table.purpose == filters.purpose)
    if filters.notice is not None:  # notices are stored as canonical JSON: id, locale, sha256, version, in this order
        query = query.where(table.notice.startswith(f'{{"id":"{filters.notice}",', autoescape=True))
    if filters.notice_version is not None:
        query = query.where(table.notice.endswith(f',"version":"{filters.notice_version}"}}', autoescape=True))
    if filters.jurisdiction is not None:
        query = query.where(table.jurisdiction == filters.jurisdiction)
    if filters.from_ms is not None:
        query = query.where(table.at_ms >= filters.from_ms)
    if filters.to_ms is not None:
        query = query.where(table.at_ms < filters.to_ms)
    return connection.execute(query.order_by(table.seq).limit(limit)).all()
