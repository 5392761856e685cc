"""The intake vault's tables of this room: that an epoch key was made (never the key), who withdrew, and quality checks on what arrived."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, String, Table, Text

from tacit.core.db import intake_metadata

epoch_keys = Table(
    "epoch_keys",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("epoch_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("end_ms", BigInteger, nullable=False, server_default="0"),
    # 16 bytes derived from the key one way: a file that holds another key is never mistaken for this epoch's.
    Column("fingerprint", LargeBinary(16), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("destroyed_ms", BigInteger),
)

tombstones = Table(
    "tombstones",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("epoch_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("purpose", String(32), primary_key=True),
    Column("person", LargeBinary(16), primary_key=True),
    # Null while withdrawn; after a new grant, rows of windows that start before it stay out.
    Column("until_ms", BigInteger),
)

intake_quality = Table(
    "intake_quality",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("window_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("passed", Boolean, nullable=False),
    Column("failed_checks", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
