"""The engine's tables, all in the released vault: signed bundles, what had been learned when each was made, and every model version."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text

from tacit.core.db import released_metadata

bundles = Table(
    "bundles",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("published_ms", BigInteger, nullable=False),
    Column("jws", Text, nullable=False),
    Column("evidence_index", BigInteger, nullable=False),
)

policy_states = Table(
    "policy_states",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("policy", String(64), primary_key=True),
    Column("window_end_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
)

models = Table(
    "models",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("policy", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("learner", String(16), nullable=False),
    Column("releases_json", Text, nullable=False),
    Column("parameters_json", Text, nullable=False),
    Column("metrics_json", Text, nullable=False),
    Column("weights_json", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
)

model_pins = Table(
    "model_pins",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("policy", String(64), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer),
    Column("actor", String(64), nullable=False),
)
