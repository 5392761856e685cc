"""The engine's tables, all in the released vault: bundles, what was learned, models, experiments, and policies with their history."""

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

policy_versions = Table(
    "policy_versions",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("policy", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("config", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("measure_id", BigInteger, nullable=False),
    Column("author", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("approved_by", String(64)),
)

policy_events = Table(
    "policy_events",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("policy", String(64), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("version", Integer, nullable=False),
    Column("note", String(500), nullable=False),
)

policy_controls = Table(
    "policy_controls",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("policy", String(64), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("key", String(16), nullable=False),
    Column("value", Text, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("reason", String(500), nullable=False),
)

experiments = Table(
    "experiments",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("policy", String(64), primary_key=True),
    Column("window_end_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("result", Text, nullable=False),
)
