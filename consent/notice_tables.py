"""Notices in the intake vault: every version and locale of a text, and what was shown to whom.

People stand here as pseudonyms; `notice_versions` holds texts that everybody may read.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from tacit.core.db import intake_metadata

notice_versions = Table(
    "notice_versions",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("notice", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("locale", String(64), primary_key=True),
    Column("place", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("text", Text),
    Column("material", Boolean, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

served_notices = Table(
    "served_notices",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("pseudonym", LargeBinary(32), primary_key=True),
    Column("notice", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("locale", String(64), primary_key=True),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Index("ix_served_notices_age", "site", "last_ms"),
)
