"""The evidence log: append-only, gapless, each entry under the leaf hash of RFC 6962, so that an outsider can check what we did.

The invariant: entries are numbered 0, 1, 2, … without a hole, also when many processes append at once. `verify` finds an entry that was
changed, removed from the middle or put elsewhere; a log cut off at its end shows only against an earlier checkpoint of its size and root.
"""

from __future__ import annotations

import builtins
import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, text

from audit.tables import evidence
from tacit.core.clock import Clock, iso
from tacit.core.db import reading, writing
from tacit.core.evidence import Entry, canonical

LEAF_PREFIX = b"\x00"
"""RFC 6962, section 2.1: leaves and inner nodes are hashed under different prefixes."""

_LOCK = 0x7461636974  # "tacit": the advisory lock under which Postgres writers take turns
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Logged:
    """One line of the log."""

    index: int
    at_ms: int
    kind: str
    site: str
    body: dict[str, Any]
    leaf: bytes

    def to_json(self) -> dict[str, Any]:
        """The public form; `leaf` is in hexadecimal digits."""
        return {
            "index": self.index,
            "at": iso(self.at_ms),
            "kind": self.kind,
            "site": self.site,
            "body": self.body,
            "leaf": self.leaf.hex(),
        }


def leaf_bytes(index: int, at_ms: int, kind: str, site: str, body: Any) -> bytes:
    """What is hashed: the entry with its place and time in canonical JSON (RFC 8785)."""
    return canonical({"index": index, "at_ms": at_ms, "kind": kind, "site": site, "body": body})


def leaf_hash(content: bytes) -> bytes:
    """SHA-256 of the leaf prefix and the content."""
    return hashlib.sha256(LEAF_PREFIX + content).digest()


class Log:
    """The log in the released vault; satisfies `EvidenceLog`."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def append(self, entries: Sequence[Entry], connection: Connection | None = None) -> builtins.list[int]:
        """Append all entries or none and return their indices. With `connection`, as part of that released-vault transaction."""
        if not entries:
            return []
        transaction: AbstractContextManager[Connection] = nullcontext(connection) if connection is not None else writing(self._engine)
        with transaction as open_connection:
            return self._append(entries, open_connection)

    def verify(self) -> int | None:
        """The first index whose entry is missing, out of place or changed; nothing when all are as they were appended."""
        expected = 0
        with reading(self._engine) as connection:
            for row in connection.execution_options(yield_per=_PAGE).execute(select(evidence).order_by(evidence.c.idx)):
                if row.idx != expected or not _is_intact(row):
                    return expected
                expected += 1
        return None

    def list(
        self, site: str | None = None, *, kind: str | None = None, limit: int = 100, after: int | None = None
    ) -> tuple[builtins.list[Logged], int | None]:
        """Entries in order after an index, and the index to go on after when there are more."""
        query = select(evidence).order_by(evidence.c.idx).limit(limit + 1)
        if site is not None:
            query = query.where(evidence.c.site == site)
        if kind is not None:
            query = query.where(evidence.c.kind == kind)
        if after is not None:
            query = query.where(evidence.c.idx > after)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        found = [Logged(r.idx, r.at_ms, r.kind, r.site, json.loads(r.body), r.leaf) for r in rows[:limit]]
        return found, found[-1].index if len(rows) > limit else None

    def size(self) -> int:
        """Number of entries."""
        with reading(self._engine) as connection:
            return int(connection.scalar(select(func.count()).select_from(evidence)) or 0)

    def _append(self, entries: Sequence[Entry], connection: Connection) -> builtins.list[int]:
        if connection.dialect.name == "postgresql":  # SQLite's writers take turns anyway
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        last = connection.scalar(select(func.max(evidence.c.idx)))
        first = 0 if last is None else last + 1
        now_ms = self._clock.now_ms()
        rows = [_row(index, now_ms, entry) for index, entry in enumerate(entries, start=first)]
        connection.execute(insert(evidence), rows)
        return [row["idx"] for row in rows]


def _row(index: int, at_ms: int, entry: Entry) -> dict[str, Any]:
    body = canonical(dict(entry.body))
    leaf = leaf_hash(leaf_bytes(index, at_ms, entry.kind, entry.site, dict(entry.body)))
    return {"idx": index, "at_ms": at_ms, "kind": entry.kind, "site": entry.site, "body": body.decode(), "leaf": leaf}


def _is_intact(row: Any) -> bool:
    try:
        body = json.loads(row.body)
        content = leaf_bytes(row.idx, row.at_ms, row.kind, row.site, body)
    except ValueError:  # no longer JSON, or no longer canonical: somebody wrote there
        return False
    return bool(canonical(body).decode() == row.body and leaf_hash(content) == row.leaf)
