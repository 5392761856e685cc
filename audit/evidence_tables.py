"""What the evidence log keeps beside its entries: hashes of perfect subtrees, and signatures under checkpoints. Both are append-only."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from tacit.core.db import released_metadata

subtrees = Table(
    "evidence_subtrees",
    released_metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)
"""Row `(level, idx)`: the Merkle tree hash of the 256 ** level leaves from idx * 256 ** level on. Level 0 is the log itself."""

signatures = Table(
    "evidence_signatures",
    released_metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(255), primary_key=True),
    Column("root", LargeBinary(32), nullable=False),
    Column("line", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
"""A signature line under the checkpoint of that size: our own where it was anchored or witnessed, and those of witnesses."""
