"""Consent in the intake vault. `consent_records` is only ever added to; `consent_state` has exactly one row a person and purpose.

No column can hold an identifier: people stand here as pseudonyms, and idempotency keys and requests as keyed hashes.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from tacit.core.db import intake_metadata

consent_records = Table(
    "consent_records",
    intake_metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("receipt_id", String(40), nullable=False),
    Column("site", String(64), nullable=False),
    Column("pseudonym", LargeBinary(32), nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("method", String(32), nullable=False),
    Column("notice", Text),
    Column("jurisdiction", String(64), nullable=False),
    Column("signals", Text, nullable=False),
    Column("rule_version", String(32), nullable=False),
    Column("age_band", String(64)),
    Column("at_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("nonce", LargeBinary(16), nullable=False),
    Column("evidence_index", BigInteger),
    # Sixteen bytes that stand for the person on this receipt alone; unlike `pseudonym` they never change, so they can be committed to.
    Column("who", LargeBinary(16)),
    Column("client_at_ms", BigInteger),
    Index("ix_consent_records_person", "site", "pseudonym", "seq"),
    Index("ix_consent_records_evidence_index", "evidence_index"),
    sqlite_autoincrement=True,
)

# The primary key is the unique index that the gate reads; without a rowid, SQLite finds the whole row in it. `cause` is set where a refusal
# was made by something else than a choice, and is then what the gate reports; `jurisdiction` is where the record was made.
consent_state = Table(
    "consent_state",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("pseudonym", LargeBinary(32), primary_key=True),
    Column("purpose", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("expires_ms", BigInteger),
    # Since when the person objects, or has restricted processing: whatever the state is, the gate refuses until it is lifted.
    Column("objected_ms", BigInteger),
    Column("restricted_ms", BigInteger),
    Column("cause", String(32)),
    Column("jurisdiction", String(64)),
    Index("ix_consent_state_lapses", "site", "expires_ms"),
    sqlite_with_rowid=False,
)

wrapped_keys = Table(
    "wrapped_keys",
    intake_metadata,
    Column("name", String(128), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

idempotency = Table(
    "idempotency",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("key_mac", LargeBinary(32), primary_key=True),
    Column("request_mac", LargeBinary(32), nullable=False),
    Column("response", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False, index=True),
    # A keyed hash of the person, so that erasure finds the answers that are kept for repeats.
    Column("person", LargeBinary(32)),
    Index("ix_idempotency_person", "site", "person"),
)

subject_keys = Table(
    "subject_keys",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("created_ms", BigInteger, nullable=False),
    # When an older key is to be destroyed, when it was, and where that stands in the evidence log.
    Column("destroy_ms", BigInteger),
    Column("destroyed_ms", BigInteger),
    Column("evidence_index", BigInteger),
)

# The triggers that keep `consent_records` as they are let one person's records be re-keyed or erased while a row stands here, which a
# transaction writes and takes back itself.
record_permits = Table(
    "record_permits",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("pseudonym", LargeBinary(32), primary_key=True),
)

consent_receipts = Table(
    "consent_receipts",
    intake_metadata,
    Column("receipt_id", String(40), primary_key=True),
    Column("site", String(64), nullable=False),
    Column("payload", Text, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Index("ix_consent_receipts_until", "site", "until_ms"),
)
