"""The evidence log: append-only, gapless, and a Merkle tree (RFC 9162), so that an outsider can check what we did.

The invariants: entries are numbered 0, 1, 2, … without a hole, also when many processes append at once; and the hash of each perfect
subtree of 256, 256², … entries is stored in the transaction that completes it. `verify` finds an entry that was changed, removed from the
middle or put elsewhere; a log that was rewritten as a whole shows only against an earlier checkpoint.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from audit import log_store as store
from audit.evidence_errors import EvidenceDamaged, NoSuchEntry
from audit.examination import Examiner, StoredTiles
from audit.leaves import assemble, canonical_body, leaf_bytes
from audit.tree import HEIGHT, WIDTH, Tree, fold, leaf_hash
from tacit.core.clock import Clock, iso
from tacit.core.db import reading, writing
from tacit.core.evidence import Entry


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

    def content(self) -> bytes:
        """The bytes whose hash is `leaf`."""
        return leaf_bytes(self.index, self.at_ms, self.kind, self.site, self.body)


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That an entry stands in the log: `path` leads from its leaf hash to `root`, the root of the first `size` entries."""

    index: int
    size: int
    leaf: bytes
    root: bytes
    path: tuple[bytes, ...]


class Log:
    """The log in the released vault; satisfies `EvidenceLog`."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine, self._clock = engine, clock

    def append(self, entries: Sequence[Entry], connection: Connection | None = None) -> builtins.list[int]:
        """Append all entries or none and return their indices. With `connection`, as part of that released-vault transaction."""
        if not entries:
            return []
        transaction: AbstractContextManager[Connection] = nullcontext(connection) if connection is not None else writing(self.engine)
        with transaction as open_connection:
            return self._append(entries, open_connection)

    def verify(self) -> int | None:
        """The first index at which something is missing, out of place or changed; nothing when all is as it was appended."""
        try:
            self.examine()
        except EvidenceDamaged as damage:
            return damage.first_bad
        return None

    def examine(self, checkpoints: Mapping[int, bytes] | None = None, *, advance: Callable[[int], None] | None = None) -> Examiner:
        """Read the whole log, and hold it against roots that it had at earlier sizes. Raises `EvidenceDamaged`.

        `advance` is told how many entries have been read since it was told last.
        """
        with reading(self.engine) as connection:
            counts = store.subtree_counts(connection)  # before the entries: what others append meanwhile is no surplus
            stored = StoredTiles(lambda level, tile: store.hashes(connection, level, tile * WIDTH, (tile + 1) * WIDTH))
            examiner = Examiner(stored.hash, checkpoints or {}, advance=advance)
            for row in store.entries(connection):
                if row.idx != examiner.size:
                    raise EvidenceDamaged(examiner.size, "the entry is missing")
                examiner.add(_content(row), bytes(row.leaf))
            examiner.finish()
        for level, count in counts.items():
            if count > examiner.size >> level * HEIGHT:
                raise EvidenceDamaged(examiner.size, "the log is shorter than the tree that stands over it")
        return examiner

    def newest(self, kind: str) -> Logged | None:
        """The newest entry of a kind, of whatever site."""
        with reading(self.engine) as connection:
            row = store.newest(connection, kind)
        return None if row is None else Logged(row.idx, row.at_ms, row.kind, row.site, json.loads(row.body), row.leaf)

    def list(
        self, site: str | None = None, *, kind: str | None = None, limit: int = 100, after: int | None = None
    ) -> tuple[builtins.list[Logged], int | None]:
        """Entries in order after an index, and the index to go on after when there are more."""
        with reading(self.engine) as connection:
            rows = store.page(connection, site=site, kind=kind, after=after, limit=limit + 1)
        found = [Logged(r.idx, r.at_ms, r.kind, r.site, json.loads(r.body), r.leaf) for r in rows[:limit]]
        return found, found[-1].index if len(rows) > limit else None

    def size(self) -> int:
        """Number of entries."""
        with reading(self.engine) as connection:
            return store.size(connection)

    def root(self, size: int | None = None) -> tuple[int, bytes]:
        """A size, the present one when left out, and the root of the tree of that size. Raises `NoSuchEntry`."""
        with reading(self.engine) as connection:
            tree = self._tree(connection, size)
            return tree.size, tree.root()

    def inclusion(self, index: int, size: int | None = None) -> Inclusion:
        """Proof that an entry stands in the tree of a size, the present one when left out. Raises `NoSuchEntry`."""
        with reading(self.engine) as connection:
            tree = self._tree(connection, size)
            if not 0 <= index < tree.size:
                raise NoSuchEntry("the tree has no such index")
            path = tuple(tree.inclusion(index))
            (leaf,) = self._hashes(connection, 0, index, index + 1)
            return Inclusion(index, tree.size, leaf, tree.root(), path)

    def consistency(self, old: int, new: int | None = None) -> tuple[Tree, builtins.list[bytes]]:
        """The tree of size `new`, the present one when left out, and the proof that the one of size `old` is its beginning.

        Raises `NoSuchEntry`.
        """
        with reading(self.engine) as connection:
            tree = self._tree(connection, new)
            if not 0 <= old <= tree.size:
                raise NoSuchEntry("the older tree is larger than the newer one")
            tree.root()
            return tree, tree.consistency(old)

    def tile(self, level: int, tile: int, width: int) -> bytes:
        """The first `width` hashes of a tile (c2sp.org/tlog-tiles), one after the other. Raises `NoSuchEntry`."""
        start = tile * WIDTH
        with reading(self.engine) as connection:
            if level * HEIGHT > 64 or start + width > store.size(connection) >> (level * HEIGHT):
                raise NoSuchEntry("the log has not grown to this tile")
            return b"".join(self._hashes(connection, level, start, start + width))

    def _tree(self, connection: Connection, size: int | None) -> Tree:
        now = store.size(connection)
        if size is not None and not 0 <= size <= now:
            raise NoSuchEntry("the log is smaller than that")

        def tiles(level: int, tile: int, width: int) -> Sequence[bytes]:
            return self._hashes(connection, level, tile * WIDTH, tile * WIDTH + width)

        return Tree(now if size is None else size, tiles)

    @staticmethod
    def _hashes(connection: Connection, level: int, start: int, end: int) -> builtins.list[bytes]:
        found = store.hashes(connection, level, start, end)
        if len(found) != end - start:
            raise EvidenceDamaged(start << (level * HEIGHT), "hashes of the tree are missing")
        return found

    def _append(self, entries: Sequence[Entry], connection: Connection) -> builtins.list[int]:
        store.take_turns(connection)
        first, now_ms = store.size(connection), self._clock.now_ms()
        rows = [_row(index, now_ms, entry) for index, entry in enumerate(entries, start=first)]
        store.insert_entries(connection, rows)
        self._grow(connection, first, [row["leaf"] for row in rows])
        return [row["idx"] for row in rows]

    def _grow(self, connection: Connection, first: int, added: builtins.list[bytes]) -> None:
        """Store the subtrees that these leaves complete, level by level."""
        level = 0
        while (tiles := (first + len(added)) // WIDTH - (tile := first // WIDTH)) > 0:
            before = self._hashes(connection, level, tile * WIDTH, first) if first % WIDTH else []
            hashes = before + added
            added = [fold(hashes[i * WIDTH : (i + 1) * WIDTH]) for i in range(tiles)]
            level, first = level + 1, tile
            store.insert_subtrees(connection, level, first, added)


def _row(index: int, at_ms: int, entry: Entry) -> dict[str, Any]:
    body = canonical_body(dict(entry.body))
    leaf = leaf_hash(assemble(index, at_ms, entry.kind, entry.site, body))
    return {"idx": index, "at_ms": at_ms, "kind": entry.kind, "site": entry.site, "body": body.decode(), "leaf": leaf}


def _content(row: Any) -> bytes:
    """The leaf that a row stands for; whether it is canonical is the examiner's question."""
    return assemble(row.idx, row.at_ms, row.kind, row.site, str(row.body).encode())
