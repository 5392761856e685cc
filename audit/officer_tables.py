"""What officers do about findings, in the released vault: history, who is told of what, and slots that were given up.

The only people in here are the operator's own: keys by their id, and the mail addresses that the operator wants written to.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from tacit.core.db import released_metadata

finding_events = Table(
    "finding_events",
    released_metadata,
    Column("finding", String(40), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("note", Text),
    Column("salt", String(32)),
    Column("detail", Text, nullable=False),
)

skipped_slots = Table(
    "skipped_slots",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("audit", String(80), primary_key=True),
    Column("first_slot", BigInteger, primary_key=True, autoincrement=False),
    Column("last_slot", BigInteger, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

subscriptions = Table(
    "subscriptions",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("channel", String(16), nullable=False),
    Column("address", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("secret", LargeBinary),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
)

notifications = Table(
    "notifications",
    released_metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("site", String(64), nullable=False),
    Column("subscription", String(64), nullable=False),
    Column("event", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("next_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("outcome", String(32)),
    Column("settled_ms", BigInteger),
    Index("ix_notifications_due", "state", "next_ms"),
    Index("ix_notifications_subscription", "site", "subscription", "state"),
    sqlite_autoincrement=True,
)
