"""The evidence log on SQLite with every commit synced: batches, single entries, proofs and heads at a million entries, and a full check."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.log import Log
from audit.notary import Notary
from audit.tree import check_inclusion
from benchmarks.result import Result
from tacit.core.clock import SystemClock
from tacit.core.db import connect, released_metadata
from tacit.core.evidence import Entry
from tacit.core.evidence_terms import EvidenceTerms

BATCH, BATCHES, SINGLES, PROOFS = 100_000, 10, 2_000, 500


def run() -> Iterator[Result]:
    """The log's lines."""
    with tempfile.TemporaryDirectory(prefix="tacit-evidence-") as place:
        engine, clock = connect(f"sqlite:///{Path(place) / 'released.db'}"), SystemClock()
        released_metadata.create_all(engine)
        log = Log(engine, clock)
        notary = Notary(log, Ed25519PrivateKey.generate(), EvidenceTerms(), clock)
        taken = [_seconds(lambda batch=batch: log.append(batch)) for batch in _batches()]  # type: ignore[misc]
        rate = BATCH / statistics.median(taken)
        spread = f"{rate:,.0f} ({BATCH / max(taken):,.0f} to {BATCH / min(taken):,.0f})"
        yield Result(f"evidence entries/s in batches of {BATCH:,}", spread, ">= 50,000", rate >= 50_000)
        one = [Entry("consent.changed", "newsroom", {"commitment": "0" * 64})]
        single = SINGLES / _seconds(lambda: [log.append(one) for _ in range(SINGLES)])
        yield Result("evidence entries/s one by one, each synced", f"{single:,.0f}", ">= 500", single >= 500)
        size, root = log.root()
        yield from _proofs(log, notary, size, root)
        examined = size / _seconds(log.examine)
        yield Result("evidence entries/s checked from the first to the last", f"{examined:,.0f}")
        yield Result("  size of the database for each entry", f"{(Path(place) / 'released.db').stat().st_size / size:.0f} bytes")
        engine.dispose()


def _proofs(log: Log, notary: Notary, size: int, root: bytes) -> Iterator[Result]:
    source = random.Random(20261124)
    places = [source.randrange(1, size) for _ in range(PROOFS)]

    def prove(index: int) -> None:
        found = log.inclusion(index)
        check_inclusion(index, size, found.leaf, found.path, root)

    for what, work, goal in (
        ("an inclusion proof, checked", prove, 0.005),
        ("a consistency proof", log.consistency, None),
        ("a signed checkpoint of any size", notary.checkpoint, None),
    ):
        taken = sorted(_seconds(lambda work=work, place=place: work(place)) for place in places)  # type: ignore[misc]
        middle, late = taken[PROOFS // 2], taken[PROOFS * 99 // 100]
        measured = f"{middle * 1000:.1f} ms (99 %: {late * 1000:.1f})"
        yield Result(f"{what}, at {size:,} entries", measured, "< 5 ms" if goal else "", middle < goal if goal else None)


def _batches() -> Iterator[list[Entry]]:
    for number in range(BATCHES):
        yield [Entry("consent.changed", "newsroom", {"commitment": f"{i:064x}"}) for i in range(number * BATCH, (number + 1) * BATCH)]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
