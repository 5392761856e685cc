"""The auditor's tables in the released vault: the evidence log, scans, findings and alerts. Nothing in them is about a person."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from tacit.core.db import released_metadata

CLOSED = "closed"

evidence = Table(
    "evidence",
    released_metadata,
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("site", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("leaf", LargeBinary(32), nullable=False),
)

scans = Table(
    "scans",
    released_metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(64), nullable=False),
    Column("audit", String(80), nullable=False),
    Column("slot", BigInteger),
    Column("at_ms", BigInteger, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("result", Text, nullable=False),
    UniqueConstraint("site", "audit", "slot"),
)

findings = Table(
    "findings",
    released_metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(64), nullable=False),
    Column("audit", String(80), nullable=False),
    Column("scan_id", String(40), nullable=False),
    Column("subject", Text, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("assignee", String(40)),
    Column("reopened", Integer, nullable=False, server_default="0"),
    Column("decided_ms", BigInteger),
    Column("closed_ms", BigInteger),
    Column("accepted_until_ms", BigInteger),
    Column("overdue_ms", BigInteger),
    Column("signatures", Text, nullable=False, server_default="[]"),
    Column("correction", Text),
    Column("containment", Text),
)

_open = findings.c.state != CLOSED
Index("uq_findings_open", findings.c.site, findings.c.audit, findings.c.subject, unique=True, sqlite_where=_open, postgresql_where=_open)

alerts = Table(
    "alerts",
    released_metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("detail", Text, nullable=False),
)

trends = Table(
    "trends",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("audit", String(80), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("scan_id", String(40), nullable=False),
    Column("state", Text, nullable=False),
)
