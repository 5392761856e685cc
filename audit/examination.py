"""Reads a log once from its first entry on and says where it stops being what it should be: in the vault, and in an exported folder.

Four things are held against each other: each entry against its leaf hash, leaf hashes against the stored hashes of subtrees, the whole
against roots that were signed, and the number of entries against all of them. The first one that does not fit has an index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from audit.evidence_errors import EvidenceDamaged
from audit.leaves import fault_of
from audit.tree import HEIGHT, WIDTH, Accumulator, fold, leaf_hash

_STEP = 1000

StoredHash = Callable[[int, int], bytes | None]
"""`(level, index)` -> what is stored as the hash of that subtree; nothing where it is missing."""


class StoredTiles:
    """Stored hashes one by one, read a tile at a time."""

    def __init__(self, read: Callable[[int, int], Sequence[bytes]]) -> None:
        self._read = read
        self._newest: dict[int, tuple[int, Sequence[bytes]]] = {}

    def hash(self, level: int, index: int) -> bytes | None:
        """The hash of a subtree, or nothing where it is missing."""
        tile, place = divmod(index, WIDTH)
        if self._newest.get(level, (-1, ()))[0] != tile:
            self._newest[level] = (tile, self._read(level, tile))
        found = self._newest[level][1]
        return found[place] if place < len(found) else None


class Examiner:
    """Takes entries in order. Raises `EvidenceDamaged` at the first that cannot be the one that was appended."""

    def __init__(self, stored: StoredHash, checkpoints: Mapping[int, bytes], *, advance: Callable[[int], None] | None = None) -> None:
        self._stored, self._checkpoints, self._advance = stored, dict(checkpoints), advance
        self._tree = Accumulator()
        self._levels: list[list[bytes]] = [[]]
        self._confirmed = 0
        self._confirm()

    @property
    def size(self) -> int:
        """Entries so far."""
        return self._tree.size

    @property
    def confirmed(self) -> int:
        """The largest size whose root was given and has been found."""
        return self._confirmed

    def root(self) -> bytes:
        """Root of the entries so far."""
        return self._tree.root()

    def add(self, content: bytes, leaf: bytes | None = None) -> None:
        """The next entry, and the leaf hash that stands with it; from the stored tiles when left out."""
        index = self.size
        if reason := fault_of(content, index):
            raise EvidenceDamaged(index, reason)
        found = leaf_hash(content)
        if found != (self._stored(0, index) if leaf is None else leaf):
            raise EvidenceDamaged(index, "it is not the entry whose hash stands in the tree")
        self._tree.add(found)
        self._complete(found)
        self._confirm()
        if self._advance and not self.size % _STEP:
            self._advance(_STEP)

    def finish(self) -> None:
        """No more entries. Raises `EvidenceDamaged` where a checkpoint knows of more."""
        if self._advance:
            self._advance(self.size % _STEP)
        if self._checkpoints:
            raise EvidenceDamaged(self.size, f"the log ends here; a signed checkpoint has {max(self._checkpoints)} entries")

    def _complete(self, leaf: bytes) -> None:
        """Hold the subtrees that this leaf completes against the stored ones."""
        level, found = 0, leaf
        while True:
            self._levels[level].append(found)
            if len(self._levels[level]) < WIDTH:
                return
            found = fold(self._levels[level])
            self._levels[level] = []
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            span = 1 << level * HEIGHT
            if self._stored(level, self.size // span - 1) != found:
                raise EvidenceDamaged(self.size - span, f"the stored hash over this and the next {span - 1} entries is not theirs")

    def _confirm(self) -> None:
        """Hold the root against the checkpoint of this size, where there is one."""
        expected = self._checkpoints.pop(self.size, None)
        if expected is None:
            return
        if expected != self.root():
            reason = f"between here and entry {self.size} the log is not the one whose checkpoint of size {self.size} was signed"
            raise EvidenceDamaged(self._confirmed, reason)
        self._confirmed = self.size
