"""Rights requests in the intake vault, and what erasure leaves: a tally of records, and commitments on their way into evidence.

No column holds an identifier or a pseudonym: who a request was about is known to whoever holds its id, and to nobody else.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from tacit.core.db import intake_metadata

rights_requests = Table(
    "rights_requests",
    intake_metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("level", String(16), nullable=False),
    Column("method", String(32), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("finished_ms", BigInteger),
    Column("summary", Text, nullable=False),
    Column("evidence_index", BigInteger),
    Index("ix_rights_requests_open", "site", "state", "due_ms"),
)

erased_records = Table(
    "erased_records",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("facts", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
)

loose_commitments = Table(
    "loose_commitments",
    intake_metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("site", String(64), nullable=False),
    Column("commitment", String(64), nullable=False),
    sqlite_autoincrement=True,
)
