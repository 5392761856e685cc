"""The tables of the boundary. Released vault: promises, spends, charges and releases, none of them about a person.
Intake vault: who was counted in which window, under the epoch's pseudonyms, until the epoch ends.

Uniqueness here is what makes a release happen once: one charge and one release for each (site, window, measure definition).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, LargeBinary, String, Table, Text, UniqueConstraint

from tacit.core.db import intake_metadata, released_metadata

epochs = Table(
    "epochs",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("end_ms", BigInteger, nullable=False),
    Column("epsilon", Text, nullable=False),
    Column("delta", Text, nullable=False),
    # What undeclared keys may use of delta; the conversion of rho to epsilon rests on what is left.
    Column("keys_atto", BigInteger, nullable=False, server_default="0"),
    Column("rho_pico", BigInteger, nullable=False),
    Column("spent_pico", BigInteger, nullable=False),
    Column("epsilon_spent", Text, nullable=False),
    Column("accumulated", Text, nullable=False),
    # When it stopped admitting anything, and when who was there and under which keys had been destroyed.
    Column("ended_ms", BigInteger),
    Column("destroyed_ms", BigInteger),
)

spends = Table(
    "spends",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("epoch_ms", BigInteger, primary_key=True),
    Column("measure_id", BigInteger, primary_key=True, autoincrement=False),
    Column("measure", String(80), nullable=False),
    Column("rho_pico", BigInteger, nullable=False),
    Column("delta_atto", BigInteger, nullable=False, server_default="0"),
    Column("at_ms", BigInteger, nullable=False),
)

charges = Table(
    "charges",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("window_ms", BigInteger, primary_key=True),
    Column("measure_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rho_pico", BigInteger, nullable=False),
    Column("delta_atto", BigInteger, nullable=False, server_default="0"),
    Column("state", String(16), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

refusals = Table(
    "refusals",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("epoch_ms", BigInteger, primary_key=True),
    Column("measure_id", BigInteger, primary_key=True, autoincrement=False),
    Column("measure", String(80), nullable=False),
    Column("wanted_pico", BigInteger, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

definitions = Table(
    "definitions",
    released_metadata,
    Column("measure_id", BigInteger, primary_key=True, autoincrement=False),
    Column("definition", Text, nullable=False),
)

closings = Table(
    "closings",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("window_ms", BigInteger, primary_key=True),
    Column("window_end_ms", BigInteger, nullable=False),
    Column("epoch_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_closings_state", "site", "state"),
)

releases = Table(
    "releases",
    released_metadata,
    Column("id", String(40), primary_key=True),
    Column("site", String(64), nullable=False),
    Column("measure", String(80), nullable=False),
    Column("measure_id", BigInteger, nullable=False),
    Column("window_ms", BigInteger, nullable=False),
    Column("window_end_ms", BigInteger, nullable=False),
    Column("epoch_ms", BigInteger, nullable=False),
    Column("scale", Float(53), nullable=False),
    Column("sum_scale", Float(53)),
    Column("rho_pico", BigInteger, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    # Correlated noise: where the vector stands in its block, and the window's own estimates that follow from the block so far.
    Column("block", String(40)),
    Column("position", BigInteger),
    Column("state", String(32)),
    Column("strategy", Text),
    Column("estimate", LargeBinary),
    # Undeclared keys: the names of the vector's entries, and what a noisy count had to reach.
    Column("keys", Text),
    Column("threshold", BigInteger),
    Column("published_ms", BigInteger, nullable=False),
    Column("usable", Boolean),
    Column("quality", Text),
    Column("evidence_index", BigInteger),
    UniqueConstraint("site", "window_ms", "measure_id"),
    Index("ix_releases_measure", "site", "measure_id", "window_ms"),
    # Two rows from one secret state would show a person in one row more than was paid for.
    Index("uq_releases_block", "block", "position", unique=True),
)

# What the declaration costs and can show, computed by the sanitiser: other processes do not load what that takes.
plans = Table(
    "plans",
    released_metadata,
    Column("site", String(64), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("plan", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

presence = Table(
    "presence",
    intake_metadata,
    Column("site", String(64), primary_key=True),
    Column("epoch_ms", BigInteger, primary_key=True),
    Column("measure_id", BigInteger, primary_key=True, autoincrement=False),
    Column("window_ms", BigInteger, primary_key=True),
    Column("people", LargeBinary, nullable=False),
)
