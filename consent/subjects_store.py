"""The SQL of lookup keys: their versions, and a person's rows moved from an older key's pseudonym to the newest's.

The invariant: a person's rows stand under one pseudonym at a time. Whoever writes holds the site's key set shared, and whoever changes
the set holds it alone, so nobody writes under a set that another transaction has already replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, text, union_all, update

from consent.tables import consent_records, consent_state, record_permits, subject_keys, wrapped_keys


def hold(connection: Connection, site: str, *, alone: bool = False) -> None:
    """Keep the site's key set as it is until the transaction ends. SQLite's writers take turns anyway, and its readers see one state."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(f"subject keys {site}".encode()).digest()[:8], "big", signed=True)
        function = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        connection.execute(text(f"SELECT {function}(:key)"), {"key": key})


def live(connection: Connection, site: str) -> tuple[int, ...]:
    """The versions that are not destroyed, newest first."""
    query = select(subject_keys.c.version).where(subject_keys.c.site == site, subject_keys.c.destroyed_ms.is_(None))
    return tuple(connection.scalars(query.order_by(subject_keys.c.version.desc())))


def all_versions(connection: Connection, site: str) -> Sequence[Row[Any]]:
    """Every version that there ever was, oldest first."""
    return connection.execute(select(subject_keys).where(subject_keys.c.site == site).order_by(subject_keys.c.version)).all()


def wrapped(connection: Connection, name: str) -> bytes | None:
    """The wrapped key of a name."""
    return connection.scalar(select(wrapped_keys.c.wrapped).where(wrapped_keys.c.name == name))


def keep_key(connection: Connection, name: str, key: bytes, *, now_ms: int) -> None:
    """Store a wrapped key. Raises `IntegrityError` where there is one of that name."""
    connection.execute(insert(wrapped_keys).values(name=name, wrapped=key, created_ms=now_ms))


def add_version(connection: Connection, site: str, version: int, *, now_ms: int) -> None:
    """Note a new version."""
    connection.execute(insert(subject_keys).values(site=site, version=version, created_ms=now_ms))


def retire(connection: Connection, site: str, newest: int, *, destroy_ms: int) -> None:
    """Let every version before `newest` end at a time, those that have no end yet."""
    older = (subject_keys.c.site == site, subject_keys.c.version < newest, subject_keys.c.destroy_ms.is_(None))
    connection.execute(update(subject_keys).where(*older).values(destroy_ms=destroy_ms))


def due(connection: Connection, site: str, *, now_ms: int) -> tuple[int, ...]:
    """Versions whose time has come."""
    over = (subject_keys.c.site == site, subject_keys.c.destroyed_ms.is_(None), subject_keys.c.destroy_ms <= now_ms)
    return tuple(connection.scalars(select(subject_keys.c.version).where(*over).order_by(subject_keys.c.version)))


def destroy(connection: Connection, site: str, version: int, name: str, *, now_ms: int) -> None:
    """Delete a version's key and note when."""
    connection.execute(delete(wrapped_keys).where(wrapped_keys.c.name == name))
    here = (subject_keys.c.site == site, subject_keys.c.version == version)
    connection.execute(update(subject_keys).where(*here).values(destroyed_ms=now_ms))


def unproven(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """Destroyed versions that the evidence log does not know yet."""
    waiting = (subject_keys.c.destroyed_ms.is_not(None), subject_keys.c.evidence_index.is_(None))
    return connection.execute(select(subject_keys).where(*waiting).order_by(subject_keys.c.site, subject_keys.c.version).limit(limit)).all()


def prove(connection: Connection, site: str, version: int, index: int) -> None:
    """Note where a destruction stands in the evidence log."""
    connection.execute(
        update(subject_keys).where(subject_keys.c.site == site, subject_keys.c.version == version).values(evidence_index=index)
    )


def stands(connection: Connection, site: str, pseudonyms: Sequence[bytes]) -> list[bytes]:
    """Those of these pseudonyms under which there are rows; their states are locked until the transaction ends."""
    of_state = select(consent_state.c.pseudonym).where(consent_state.c.site == site, consent_state.c.pseudonym.in_(pseudonyms))
    locked = set(map(bytes, connection.scalars(of_state.order_by(consent_state.c.purpose).with_for_update())))
    of_records = select(consent_records.c.pseudonym).where(consent_records.c.site == site, consent_records.c.pseudonym.in_(pseudonyms))
    again = select(consent_state.c.pseudonym).where(consent_state.c.site == site, consent_state.c.pseudonym.in_(pseudonyms))
    found = set(map(bytes, connection.scalars(union_all(of_records, again)))) | locked
    return [pseudonym for pseudonym in pseudonyms if pseudonym in found]


def move(connection: Connection, site: str, old: bytes, new: bytes) -> None:
    """Let everything that stands under one pseudonym stand under another."""
    permit(connection, site, old)
    for table in (consent_records, consent_state):
        connection.execute(update(table).where(table.c.site == site, table.c.pseudonym == old).values(pseudonym=new))
    take_back(connection, site, old)


def permit(connection: Connection, site: str, pseudonym: bytes) -> None:
    """Let this transaction move or delete one person's records."""
    connection.execute(insert(record_permits).values(site=site, pseudonym=pseudonym))


def take_back(connection: Connection, site: str, pseudonym: bytes) -> None:
    """End a permit."""
    connection.execute(delete(record_permits).where(record_permits.c.site == site, record_permits.c.pseudonym == pseudonym))
