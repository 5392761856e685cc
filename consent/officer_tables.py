"""Tables for officers in the intake vault: webhooks with their outbox, and the proof of what was deleted when.

No column can hold an identifier or a pseudonym.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from tacit.core.db import intake_metadata

webhooks = Table(
    "webhooks",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
)

webhook_outbox = Table(
    "webhook_outbox",
    intake_metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("site", String(64), nullable=False),
    Column("webhook", String(64), nullable=False),
    Column("event", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("next_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("outcome", String(32)),
    Column("settled_ms", BigInteger),
    Index("ix_webhook_outbox_due", "state", "next_ms"),
    Index("ix_webhook_outbox_webhook", "site", "webhook", "state"),
    sqlite_autoincrement=True,
)

lapse_marks = Table(
    "lapse_marks",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
)

retention_runs = Table(
    "retention_runs",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("job", String(32), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("before_ms", BigInteger, nullable=False),
    Column("deleted", BigInteger, nullable=False),
)

# The triggers that make `consent_records` append-only let through what a run has written here, within its own transaction only.
retention_permits = Table(
    "retention_permits",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("before_ms", BigInteger, nullable=False),
)
