"""The gate's look at consent in an SQLite vault, for people drawn at random, and how long a material notice holds the vault."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine, insert

from benchmarks.result import Result
from consent import notices_store
from consent.gate import Gate, decide
from consent.subjects import Subjects
from consent.tables import consent_records, consent_state
from tacit.core.clock import SystemClock
from tacit.core.db import connect, intake_metadata, writing
from tacit.core.rootkey import RootKey

SITE, PURPOSES, LOOKS, ROUNDS = "bench", ("measurement", "personalisation"), 20_000, 5
NOTICE = '{"id":"banner","locale":"en","sha256":"' + "0" * 64 + '","version":"1"}'
BATCH = 1_000


def run() -> Iterator[Result]:
    """The gate's lines. Times are the processor's, so that what else the machine does is not what is measured."""
    for people in (5_000, 100_000):
        with tempfile.TemporaryDirectory() as place:
            engine = connect(f"sqlite:///{Path(place) / 'intake.db'}")
            intake_metadata.create_all(engine)
            known = _fill(engine, people)
            for batch in (50, BATCH):
                spent = _look(engine, known, batch)
                what = f"us a person, gate, {people:,} people with 2 purposes, {batch:,} a look"
                yield Result(what, f"{spent:.1f}", "<= 2", spent <= 2)
            if people == 100_000:
                started = time.process_time()
                with writing(engine) as connection:
                    found = len(notices_store.make_stale(connection, SITE, "banner", but="2"))
                yield Result(f"  a material notice makes {found:,} grants stale", f"{time.process_time() - started:.1f} s")
            engine.dispose()


def _fill(engine: Engine, people: int) -> list[bytes]:
    source = random.Random(20261124)
    known = [source.randbytes(32) for _ in range(people)]
    rows = [(person, purpose) for person in known for purpose in PURPOSES]
    now_ms = SystemClock().now_ms()
    same = {"site": SITE, "state": "granted", "jurisdiction": "eu", "expires_ms": now_ms + 86_400_000}
    record = {"receipt_id": "rcpt", "reason": "choice", "method": "banner", "notice": NOTICE, "signals": "{}", "rule_version": "1"}
    times = {"at_ms": now_ms, "nonce": b"0" * 16}
    with writing(engine) as connection:
        for start in range(0, len(rows), 10_000):
            part = [{"pseudonym": person, "purpose": purpose} for person, purpose in rows[start : start + 10_000]]
            numbered = [{"seq": start + index + 1, **one, **same} for index, one in enumerate(part)]
            connection.execute(insert(consent_records), [{**one, **record, **times} for one in numbered])
            connection.execute(insert(consent_state), numbered)
    return known


def _look(engine: Engine, known: list[bytes], batch: int) -> float:
    clock = SystemClock()
    gate = Gate(engine, Subjects(engine, RootKey(b"r" * 32), clock), clock)
    now_ms, taken = clock.now_ms(), []
    for _ in range(ROUNDS):
        batches = [random.sample(known, batch) for _ in range(LOOKS // batch)]
        started = time.process_time()
        for people in batches:
            states = gate.states(SITE, people)
            for person in people:
                decide(states[person]["measurement"], gpc=False, now_ms=now_ms)
        taken.append((time.process_time() - started) / LOOKS * 1e6)
    gate.close()
    return min(taken)
