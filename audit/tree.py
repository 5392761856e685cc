"""The Merkle tree of RFC 9162, section 2.1 (that of RFC 6962): roots, inclusion and consistency proofs, and how an outsider checks them.

Nothing here knows a database. A tree reads the hashes of perfect subtrees whose heights are multiples of eight, as tiles of 256
(c2sp.org/tlog-tiles) hold them; what lies between is hashed anew, so a proof costs a few hundred hashes whatever the size of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

HEIGHT = 8
"""Binary levels from one level of tiles to the next."""
WIDTH = 1 << HEIGHT
"""Hashes in a full tile."""
LEAF_PREFIX, NODE_PREFIX = b"\x00", b"\x01"
EMPTY = sha256(b"").digest()
"""The root of a tree without leaves."""

Tiles = Callable[[int, int, int], Sequence[bytes]]
"""`(level, tile, width)` -> the first `width` hashes of a tile; level 0 holds leaf hashes."""


class ProofInvalid(ValueError):
    """A proof that does not lead to the root it was given for."""


def leaf_hash(content: bytes) -> bytes:
    """Hash of a leaf's content."""
    return sha256(LEAF_PREFIX + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return sha256(NODE_PREFIX + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root of a perfect tree over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = [sha256(NODE_PREFIX + hashes[i] + hashes[i + 1]).digest() for i in range(0, len(hashes), 2)]
    return hashes[0]


def widths(size: int) -> Iterator[tuple[int, int]]:
    """`(level, hashes at this level)` of a tree, from the leaves up, as long as there are any."""
    level = 0
    while size:
        yield level, size
        level, size = level + 1, size >> HEIGHT


class Tree:
    """The first `size` leaves of a log. Each tile is read once for each `Tree`."""

    def __init__(self, size: int, tiles: Tiles) -> None:
        self.size, self._tiles = size, tiles
        self._read: dict[tuple[int, int], Sequence[bytes]] = {}

    def root(self) -> bytes:
        """The tree's root hash."""
        return self._hash(0, self.size) if self.size else EMPTY

    def inclusion(self, index: int) -> list[bytes]:
        """Audit path of a leaf, from its sibling up (RFC 9162, 2.1.3.1). Raises `ValueError` outside the tree."""
        if not 0 <= index < self.size:
            raise ValueError("the tree has no such leaf")
        path: list[bytes] = []
        start, end = 0, self.size
        while end - start > 1:
            middle = start + _split(end - start)
            path.append(self._hash(middle, end) if index < middle else self._hash(start, middle))
            start, end = (start, middle) if index < middle else (middle, end)
        return path[::-1]

    def consistency(self, old: int) -> list[bytes]:
        """Proof that the tree of the first `old` leaves is a beginning of this one (RFC 9162, 2.1.4.1); empty when they are the same one.

        Raises `ValueError` for an `old` outside 0 … size.
        """
        if not 0 <= old <= self.size:
            raise ValueError("the log has not been that large")
        if old in (0, self.size):
            return []
        path: list[bytes] = []
        start, end = 0, self.size
        while old != end:
            middle = start + _split(end - start)
            path.append(self._hash(middle, end) if old <= middle else self._hash(start, middle))
            start, end = (start, middle) if old <= middle else (middle, end)
        return ([self._hash(start, end)] if start else []) + path[::-1]

    def _hash(self, start: int, end: int) -> bytes:
        """Hash over the leaves from `start` to before `end`, `start` a multiple of the least power of two not below their number."""
        count = end - start
        if count & (count - 1):
            middle = start + _split(count)
            return node_hash(self._hash(start, middle), self._hash(middle, end))
        level, rest = divmod(count.bit_length() - 1, HEIGHT)
        first = start >> (level * HEIGHT)
        tile, place = divmod(first, WIDTH)
        return fold(self._tile(level, tile)[place : place + (1 << rest)])

    def _tile(self, level: int, tile: int) -> Sequence[bytes]:
        found = self._read.get((level, tile))
        if found is None:
            width = min(WIDTH, (self.size >> (level * HEIGHT)) - tile * WIDTH)
            found = self._read[level, tile] = self._tiles(level, tile, width)
        return found


class Accumulator:
    """The root of everything that was added so far, in a few hashes of memory: for reading a log once, from its first entry to its last."""

    def __init__(self) -> None:
        self.size = 0
        self._perfect: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Append a leaf hash."""
        count = self.size
        while count & 1:
            leaf = node_hash(self._perfect.pop(), leaf)
            count >>= 1
        self._perfect.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Root of the leaves so far."""
        if not self._perfect:
            return EMPTY
        found = self._perfect[-1]
        for left in reversed(self._perfect[:-1]):
            found = node_hash(left, found)
        return found


def root_of_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that an audit path leads to (RFC 9162, 2.1.3.2). Raises `ProofInvalid` when the path has the wrong length."""
    if not 0 <= index < size:
        raise ProofInvalid("the tree has no such leaf")
    node, last, found = index, size - 1, leaf
    for sibling in path:
        if not last:
            raise ProofInvalid("the path is too long")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofInvalid("the path is too short")
    return found


def check_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """Raise `ProofInvalid` unless the leaf stands at that place of the tree with this root."""
    if root_of_inclusion(index, size, leaf, path) != root:
        raise ProofInvalid("the path leads to another root")


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Raise `ProofInvalid` unless the older tree is a beginning of the newer one (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        raise ProofInvalid("the older tree is the larger one")
    if old in (0, new):
        if path or (old == new and old_root != new_root) or (not old and old_root != EMPTY):
            raise ProofInvalid("the roots differ")
        return
    hashes = list(path)
    if not old & (old - 1):
        hashes.insert(0, old_root)
    if not hashes:
        raise ProofInvalid("the path is too short")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    older = newer = hashes[0]
    for sibling in hashes[1:]:
        if not last:
            raise ProofInvalid("the path is too long")
        if node & 1 or node == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        node, last = node >> 1, last >> 1
    if last or older != old_root or newer != new_root:
        raise ProofInvalid("the path leads to other roots")


def _split(count: int) -> int:
    """The largest power of two below a count above one."""
    return int(1 << (count - 1).bit_length() - 1)
