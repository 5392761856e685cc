"""A log with a notary, damage to it, and a tree that is as slow and plain as the RFC writes it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from audit.log import Log
from audit.notary import Notary
from audit.notes import WITNESS, Signer
from tacit.core.evidence import Entry
from tacit.core.evidence_terms import EvidenceTerms
from tests.audit.examples import FixedClock, released_vault

ORIGIN = "example.org/evidence"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
WATCHER = Signer("witness.example/w1", WITNESS_KEY, WITNESS)


@dataclass
class Bench:
    """A log and who signs for it."""

    log: Log
    notary: Notary
    clock: FixedClock

    @property
    def engine(self) -> Engine:
        return self.log.engine

    def fill(self, count: int, kind: str = "consent.changed") -> None:
        start = self.log.size()
        self.log.append(
            [Entry(kind, "newsroom", {"commitment": hashlib.sha256(b"%d" % i).hexdigest()}) for i in range(start, start + count)]
        )


def bench(place: Path | Engine, *, witnesses: Sequence[str] = (str(WATCHER.verifier),), origin: str | None = ORIGIN) -> Bench:
    """A log in an empty vault, or in the one that is handed in."""
    clock = FixedClock()
    log = Log(released_vault(place) if isinstance(place, Path) else place, clock)
    return Bench(log, Notary(log, KEY, EvidenceTerms(origin=origin, witnesses=tuple(witnesses)), clock), clock)


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, over leaf hashes."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(m: int, leaves: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*naive_proof(m, leaves[:k], whole=whole), naive_root(leaves[k:])]
    return [*naive_proof(m - k, leaves[k:], whole=False), naive_root(leaves[:k])]
