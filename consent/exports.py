"""Exports of consent records for officers, streamed. A person has one random number in one export and another one in the next.

That an export was made, of what and with which key, stands in the evidence log before its first line goes out.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import secrets
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, Row

from consent import exports_store as store
from consent.exports_store import Filters
from tacit.core.clock import Clock, iso
from tacit.core.db import reading
from tacit.core.evidence import Entry, EvidenceLog
from tacit.core.ids import new_id

PAGE = 1_000
COLUMNS = (
    "person",
    "at",
    "purpose",
    "state",
    "reason",
    "method",
    "notice_id",
    "notice_version",
    "notice_locale",
    "notice_sha256",
    "jurisdiction",
    "gpc",
    "tcf_sha256",
    "gpp_sha256",
    "rule_version",
    "age_band",
    "expires_at",
    "receipt_id",
    "evidence_index",
)


class ExportFormat(StrEnum):
    """One JSON object a line, or comma-separated values with a heading."""

    NDJSON = "ndjson"
    CSV = "csv"


class Exports:
    """Exports of all sites of one intake vault."""

    def __init__(self, engine: Engine, evidence: EvidenceLog, clock: Clock) -> None:
        self._engine, self._evidence, self._clock = engine, evidence, clock

    def start(self, site: str, filters: Filters, *, form: ExportFormat, by: str) -> Iterator[str]:
        """The export's text in pieces. `by` names the key or the command that asked, for the evidence log.

        The entry is made here, before the first piece is taken. It says what was asked for and no number: how many people chose what
        leaves only as a private figure or within an export.
        """
        export_id = new_id("export", now_ms=self._clock.now_ms())
        body = {"export": export_id, "format": form.value, "by": by, "filters": filters.to_json()}
        self._evidence.append([Entry("consent.exported", site, body)])
        pages = self._records(site, filters)
        return _csv(pages) if form is ExportFormat.CSV else _ndjson(pages)

    def _records(self, site: str, filters: Filters) -> Iterator[list[dict[str, Any]]]:
        key, after = secrets.token_bytes(32), 0
        with reading(self._engine) as connection:
            until = store.last(connection)
        while True:
            with reading(self._engine) as connection:  # one look a page: a slow reader holds no transaction open
                rows = store.page(connection, site, filters, after=after, until=until, limit=PAGE)
            if rows:
                yield [_line(row, key) for row in rows]
            if len(rows) < PAGE:
                return
            after = rows[-1].seq


def _ndjson(pages: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    for page in pages:
        yield "".join(json.dumps(line) + "\n" for line in page)


def _csv(pages: Iterator[list[dict[str, Any]]]) -> Iterator[str]:
    yield ",".join(COLUMNS) + "\r\n"
    for page in pages:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writerows(page)
        yield text.getvalue()


def _line(row: Row[Any], key: bytes) -> dict[str, Any]:
    notice = json.loads(row.notice) if row.notice else {}
    signals = json.loads(row.signals)
    return {
        "person": hmac.digest(key, row.pseudonym, "sha256")[:12].hex(),
        "at": iso(row.at_ms),
        "purpose": row.purpose,
        "state": row.state,
        "reason": row.reason,
        "method": row.method,
        "notice_id": notice.get("id"),
        "notice_version": notice.get("version"),
        "notice_locale": notice.get("locale"),
        "notice_sha256": notice.get("sha256"),
        "jurisdiction": row.jurisdiction,
        "gpc": bool(signals.get("gpc")),
        "tcf_sha256": _hash(signals.get("tcf")),
        "gpp_sha256": _hash(signals.get("gpp")),
        "rule_version": row.rule_version,
        "age_band": row.age_band,
        "expires_at": iso(row.expires_ms) if row.expires_ms is not None else None,
        "receipt_id": row.receipt_id,
        "evidence_index": row.evidence_index,
    }


def _hash(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()
