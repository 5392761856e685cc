"""Puts the installation's name to its evidence log: signed checkpoints with the signatures of witnesses, and proofs that go with them.

The invariant: it never signs two roots for one size where it knows of the first, whatever has been done to the tables meanwhile.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy.exc import IntegrityError

from audit import log_store as store
from audit import notes
from audit.evidence_errors import EvidenceDamaged, NoSuchEntry, NoteRefused
from audit.examination import Examiner
from audit.log import Log
from audit.notes import Checkpoint, Note, Signer, VerifierKey
from tacit.core.clock import Clock
from tacit.core.db import reading, writing
from tacit.core.evidence_terms import EvidenceTerms

AHEAD_SECONDS = 600
"""A cosignature's time may be so far ahead of our clock."""


def origin_of(terms: EvidenceTerms, key: Ed25519PublicKey) -> str:
    """The log's name: the declared one, or one that is made from its key and so belongs to no other installation."""
    return terms.origin or f"tacit/{sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]}"


class Notary:
    """The signer of one log, and the keeper of its witnesses' signatures."""

    def __init__(self, log: Log, key: Ed25519PrivateKey, terms: EvidenceTerms, clock: Clock) -> None:
        self._log, self._clock = log, clock
        self._signer = Signer(origin_of(terms, key.public_key()), key)
        self._witnesses = {key.name: key for key in map(VerifierKey.parse, terms.witnesses)}

    @property
    def key(self) -> VerifierKey:
        """What checkpoints are checked with; its name is the log's origin."""
        return self._signer.verifier

    def checkpoint(self, size: int | None = None, *, witnessed: bool = False) -> Note:
        """The signed checkpoint of a size, the present one when left out; with `witnessed`, the newest that a witness has signed.

        Raises `NoSuchEntry`, and `EvidenceDamaged` where another root was signed for that size before.
        """
        if witnessed:
            with reading(self._log.engine) as connection:
                size = store.newest_witnessed(connection, list(self._witnesses))
            if size is None:
                raise NoSuchEntry("no witness has signed a checkpoint yet")
        return self._signed(*self._log.root(size))

    def inclusion(self, index: int, size: int | None = None) -> dict[str, Any]:
        """That an entry stands in the log: index, size, leaf hash, root, path (base64) and the checkpoint. Raises `NoSuchEntry`."""
        found = self._log.inclusion(index, size)
        return {
            "index": found.index,
            "size": found.size,
            "leaf": _base64(found.leaf),
            "root": _base64(found.root),
            "path": [_base64(one) for one in found.path],
            "checkpoint": str(self._signed(found.size, found.root)),
        }

    def consistency(self, old: int, new: int | None = None) -> dict[str, Any]:
        """That the log of size `old` is a beginning of the one of size `new`: both sizes, path (base64) and both checkpoints."""
        tree, path = self._log.consistency(old, new)
        return {
            "from": old,
            "to": tree.size,
            "path": [_base64(one) for one in path],
            "checkpoints": [str(self.checkpoint(old)), str(self._signed(tree.size, tree.root()))],
        }

    def keep(self) -> Note | None:
        """Sign the present checkpoint and keep the signature, so that the log is held against it from now on; nothing of an empty log."""
        size, root = self._log.root()
        if not size:
            return None
        note = self._signed(size, root)
        self._store(note, note.lines[:1])
        return note

    def cosign(self, content: bytes) -> list[str]:
        """Keep the signatures of our witnesses under a checkpoint of ours; the names of those that are under it now.

        Raises `NoteRefused` for a note that is not ours as it stands, or that no witness of the configuration has signed.
        """
        note = notes.parse(content)
        found = [line for witness in self._witnesses.values() if (line := witness.line_of(note))]
        checkpoint = note.checkpoint()
        if not found:
            raise NoteRefused("no witness of the configuration has signed it")
        if any(int.from_bytes(line.blob[:8], "big") > self._clock.now_ms() // 1000 + AHEAD_SECONDS for line in found):
            raise NoteRefused("it was signed in the future")
        size, root = self._log.root(checkpoint.size)
        ours = self._signed(size, root)
        if ours.text != note.text:
            raise NoteRefused("it is not the checkpoint of this log at that size")
        self._store(ours, [ours.lines[0], *found])
        return [line.name for line in self._signed(size, root).lines[1:]]

    def verify(self, since: Sequence[Note] = (), *, advance: Callable[[int], None] | None = None) -> Examiner:
        """Read the whole log and hold it against every checkpoint that was kept and those in `since`. Raises `EvidenceDamaged`."""
        expected: dict[int, bytes] = {}
        for note in since:
            notes.expect(expected, notes.checkpoint_of(note, self.key))
        for note in self._kept():
            notes.expect(expected, notes.checkpoint_of(note, self.key))
        return self._log.examine(expected, advance=advance)

    def _signed(self, size: int, root: bytes) -> Note:
        checkpoint = Checkpoint(self.key.name, size, root)
        with reading(self._log.engine) as connection:
            rows = store.signatures_at(connection, size)
        if any(bytes(row.root) != root for row in rows):
            raise EvidenceDamaged(0, f"the checkpoint of size {size} was signed with another root before")
        text = checkpoint.text()
        kept = [line for row in rows if row.name != self.key.name for line in notes.parse(f"{text}\n{row.line}".encode()).lines]
        return Note(text, (self._signer.line(text), *kept))

    def _store(self, note: Note, lines: Sequence[notes.Line]) -> None:
        checkpoint, now_ms = note.checkpoint(), self._clock.now_ms()
        for line in lines:
            row = {"size": checkpoint.size, "name": line.name, "root": checkpoint.root, "line": str(line), "at_ms": now_ms}
            try:
                with writing(self._log.engine) as connection:
                    if store.signature(connection, checkpoint.size, line.name) is None:
                        store.add_signature(connection, row)
            except IntegrityError:  # somebody else has just kept it
                continue

    def _kept(self) -> list[Note]:
        with reading(self._log.engine) as connection:
            rows = store.all_signatures(connection)
        return [
            notes.parse(f"{Checkpoint(self.key.name, row.size, bytes(row.root)).text()}\n{row.line}".encode())
            for row in rows
            if row.name == self.key.name
        ]


def as_text(proof: Mapping[str, Any]) -> str:
    """An inclusion proof as one text that can be checked offline (c2sp.org/tlog-proof)."""
    return "\n".join(["c2sp.org/tlog-proof@v1", f"index {proof['index']}", *proof["path"], "", proof["checkpoint"]])


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
