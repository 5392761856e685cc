"""The evidence log's SQL. Every function works in the transaction that it is handed; nothing here changes or deletes a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, text

from audit.evidence_tables import signatures, subtrees
from audit.tables import evidence

_LOCK = 0x7461636974  # "tacit": the advisory lock under which Postgres writers take turns
_PAGE = 1000


def take_turns(connection: Connection) -> None:
    """Wait until no other transaction appends. SQLite's writers take turns anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def size(connection: Connection) -> int:
    """Number of entries: one more than the last index."""
    last = connection.scalar(select(func.max(evidence.c.idx)))
    return 0 if last is None else int(last) + 1


def insert_entries(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append entries."""
    connection.execute(insert(evidence), rows)


def insert_subtrees(connection: Connection, level: int, first: int, hashes: Sequence[bytes]) -> None:
    """Add hashes of perfect subtrees, one after the other."""
    connection.execute(insert(subtrees), [{"level": level, "idx": first + i, "hash": one} for i, one in enumerate(hashes)])


def hashes(connection: Connection, level: int, start: int, end: int) -> list[bytes]:
    """Hashes of a level from `start` to before `end`, without those that are missing."""
    if level == 0:
        query = select(evidence.c.leaf).where(evidence.c.idx >= start, evidence.c.idx < end).order_by(evidence.c.idx)
    else:
        query = select(subtrees.c.hash).where(subtrees.c.level == level, subtrees.c.idx >= start, subtrees.c.idx < end)
        query = query.order_by(subtrees.c.idx)
    return [bytes(one) for one in connection.scalars(query)]


def entries(connection: Connection, end: int | None = None) -> Iterator[Row[Any]]:
    """All entries in order, or those before an index; read page by page."""
    query = select(evidence).order_by(evidence.c.idx)
    if end is not None:
        query = query.where(evidence.c.idx < end)
    yield from connection.execution_options(yield_per=_PAGE).execute(query)


def page(connection: Connection, *, site: str | None, kind: str | None, after: int | None, limit: int) -> Sequence[Row[Any]]:
    """Some entries in order after an index."""
    query = select(evidence).order_by(evidence.c.idx).limit(limit)
    if site is not None:
        query = query.where(evidence.c.site == site)
    if kind is not None:
        query = query.where(evidence.c.kind == kind)
    if after is not None:
        query = query.where(evidence.c.idx > after)
    return connection.execute(query).all()


def newest(connection: Connection, kind: str) -> Row[Any] | None:
    """The newest entry of a kind."""
    return connection.execute(select(evidence).where(evidence.c.kind == kind).order_by(evidence.c.idx.desc()).limit(1)).first()


def subtree_counts(connection: Connection) -> dict[int, int]:
    """How many subtrees are stored at each level."""
    query = select(subtrees.c.level, func.count()).group_by(subtrees.c.level)
    return {int(level): int(count) for level, count in connection.execute(query)}


def signature(connection: Connection, at_size: int, name: str) -> Row[Any] | None:
    """The signature of one name under the checkpoint of a size."""
    return connection.execute(select(signatures).where(signatures.c.size == at_size, signatures.c.name == name)).first()


def signatures_at(connection: Connection, at_size: int) -> Sequence[Row[Any]]:
    """All signatures that are kept for a size, in the order of their names."""
    return connection.execute(select(signatures).where(signatures.c.size == at_size).order_by(signatures.c.name)).all()


def all_signatures(connection: Connection) -> Sequence[Row[Any]]:
    """All signatures that are kept, from the smallest checkpoint to the largest."""
    return connection.execute(select(signatures).order_by(signatures.c.size, signatures.c.name)).all()


def newest_witnessed(connection: Connection, names: Sequence[str]) -> int | None:
    """Size of the largest checkpoint that one of these names has signed."""
    found = connection.scalar(select(func.max(signatures.c.size)).where(signatures.c.name.in_(names)))
    return None if found is None else int(found)


def add_signature(connection: Connection, row: Mapping[str, Any]) -> None:
    """Keep a signature. Raises `IntegrityError` for one that is kept already."""
    connection.execute(insert(signatures).values(**row))
