"""Keys, claims, access and logs."""

from __future__ import annotations

import io
import json
import logging
import multiprocessing
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tacit.core import logs, rootkey
from tacit.core.access import Caller, KeyStore, Role
from tacit.core.claims import Claims
from tacit.core.db import connect, empty_wal, reading, released_metadata, writing
from tacit.core.errors import Forbidden, Problem, StorageUnavailable, Unauthenticated, UnknownKey, UnknownSite
from tacit.core.rootkey import RootKey, RootKeyUnusable
from tacit.core.settings import Settings


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = connect(f"sqlite:///{tmp_path / 'released.db'}")
    released_metadata.create_all(engine)
    return engine


def test_a_key_is_shown_once_and_only_its_hash_is_stored(engine: Engine, tmp_path: Path) -> None:
    key = KeyStore(engine).create("newsroom", Role.APP, now_ms=1)
    assert KeyStore(engine).identify(key).site == "newsroom"
    engine.dispose()
    stored = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert key.encode() not in stored
    assert key.rsplit("_", 1)[1].encode() not in stored
    with pytest.raises(Unauthenticated):
        KeyStore(engine).identify(key + "x")


def test_a_revoked_key_is_known_to_nobody_and_stays_in_the_list(engine: Engine) -> None:
    store = KeyStore(engine)
    gone, other = store.create("newsroom", Role.APP, now_ms=1), store.create("shop", Role.APP, now_ms=2)
    key_id = store.identify(gone).key_id
    store.revoke(key_id, now_ms=5)
    store.revoke(key_id, now_ms=9)
    with pytest.raises(Unauthenticated):
        store.identify(gone)
    assert store.identify(other).site == "shop"
    assert [(row["site"], row["revoked_ms"]) for row in store.all()] == [("newsroom", 5), ("shop", None)]
    assert [row["id"] for row in store.all("newsroom")] == [key_id]
    with pytest.raises(UnknownKey):
        store.revoke("key_nobody", now_ms=5)


def test_a_key_speaks_for_its_own_site_only() -> None:
    assert Caller("k", "a", Role.APP).site_for(None) == "a"
    with pytest.raises(Forbidden):
        Caller("k", "a", Role.APP).site_for("b")
    with pytest.raises(UnknownSite):
        Caller("k", "*", Role.ADMIN).site_for(None)


def _claim_all(url: str, owner: str, slots: int, answers: multiprocessing.Queue[int]) -> None:
    claims = Claims(connect(url), owner=owner)
    answers.put(sum(claims.take("job", slot, now_ms=1_000) for slot in range(slots)))


def test_each_slot_has_one_owner_among_processes(engine: Engine) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    workers = [context.Process(target=_claim_all, args=(str(engine.url), f"w{i}", 50, answers)) for i in range(3)]
    for worker in workers:
        worker.start()
    taken = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sum(taken) == 50


def test_a_dead_owners_slot_is_taken_over_after_its_lease(engine: Engine) -> None:
    dead, heir = Claims(engine, owner="dead", lease_ms=100), Claims(engine, owner="heir", lease_ms=100)
    assert dead.take("job", 1, now_ms=1_000)
    assert not heir.take("job", 1, now_ms=1_050)
    assert heir.take("job", 1, now_ms=1_200)
    heir.finish("job", 1)
    assert not dead.take("job", 1, now_ms=9_999)
    assert dead.is_done("job", 1)


def test_only_the_owner_of_the_moment_ends_a_slot_together_with_its_result(engine: Engine) -> None:
    sleeper, heir = Claims(engine, owner="sleeper", lease_ms=100), Claims(engine, owner="heir", lease_ms=100)
    assert sleeper.take("job", 1, now_ms=1_000)
    assert heir.take("job", 1, now_ms=1_200)
    with writing(engine) as connection:
        assert not sleeper.settle("job", 1, connection)
        assert heir.settle("job", 1, connection)
        assert not heir.settle("job", 1, connection)
    assert heir.is_done("job", 1)


def test_a_lease_from_before_the_clock_was_set_back_does_not_hold_the_work_up(engine: Engine) -> None:
    dead, heir = Claims(engine, owner="dead", lease_ms=100), Claims(engine, owner="heir", lease_ms=100)
    assert dead.take("job", 1, now_ms=10_000_000)
    assert heir.take("job", 1, now_ms=1_000)
    assert not dead.take("job", 1, now_ms=1_050)
    assert dead.take("job", 2, now_ms=1_090)  # hosts' clocks differ a little
    assert not heir.take("job", 2, now_ms=1_000)


def test_wrapped_keys_open_only_under_their_own_root_and_name() -> None:
    root = RootKey(b"r" * 32)
    wrapped = root.wrap("consent/newsroom", b"k" * 32)
    assert root.unwrap("consent/newsroom", wrapped) == b"k" * 32
    for other, name, content in (
        (RootKey(b"s" * 32), "consent/newsroom", wrapped),
        (root, "consent/other", wrapped),
        (root, "consent/newsroom", wrapped[:-1]),
    ):
        with pytest.raises(RootKeyUnusable):
            other.unwrap(name, content)


def test_the_root_key_file_is_private_and_made_once(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    with pytest.raises(RootKeyUnusable):
        rootkey.load(settings)
    first = rootkey.load(settings, create=True)
    assert (tmp_path / "root.key").stat().st_mode & 0o777 == 0o600
    assert rootkey.load(settings, create=True).secret("x") == first.secret("x")


def test_a_log_line_cannot_contain_an_identifier() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.SafeFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        logs.allow(["newsroom"])
        secret = "alice@example.org"
        try:
            raise ValueError(secret)
        except ValueError as error:
            logs.Log("test").fault("it.failed", error, site="newsroom", person=secret, many=[secret, 3])
            logging.getLogger("somebody.elses").warning("cannot parse %s", secret, exc_info=True)
            logging.getLogger("somebody.elses").warning(f"cannot parse {secret}")
    finally:
        root.removeHandler(handler)
    assert secret not in stream.getvalue()
    first, *others = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["site"] == "newsroom"
    assert first["person"] == logs.WITHHELD
    assert first["many"] == [logs.WITHHELD, 3]
    assert first["error"] == "ValueError"
    assert [o["event"] for o in others] == ["library", "library"]


def test_libraries_write_a_line_only_when_something_is_wrong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    root, chatty = logging.getLogger(), logging.getLogger("somebody.chatty")
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(chatty, "level", logging.INFO)
    monkeypatch.setattr(logging.getLogger("tacit"), "level", logging.INFO)
    logs.configure()
    logging.captureWarnings(capture=False)
    chatty.info("loaded")
    chatty.warning("broken")
    logs.Log("test").info("it.happened")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["library", "it.happened"]


def test_a_database_that_cannot_be_written_is_a_problem_with_a_next_step(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'absent' / 'x.db'}")
    with pytest.raises(StorageUnavailable) as caught, writing(engine):
        pass
    assert "Nothing was stored" in caught.value.diagnostics()


def test_an_emptied_write_ahead_log_holds_nothing_and_a_reader_only_puts_it_off(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'x.db'}")
    log = tmp_path / "x.db-wal"
    with writing(engine) as connection:
        connection.exec_driver_sql("create table secrets (secret text)")
        connection.exec_driver_sql("insert into secrets values ('canary')")
    with writing(engine) as connection:
        connection.exec_driver_sql("delete from secrets")
    assert b"canary" in log.read_bytes()
    with reading(engine) as connection:
        connection.exec_driver_sql("select * from secrets").all()
        assert not empty_wal(engine)
    assert empty_wal(engine)
    assert log.read_bytes() == b""
    assert b"canary" not in (tmp_path / "x.db").read_bytes()
    with reading(engine) as connection:
        assert connection.exec_driver_sql("pragma busy_timeout").scalar() == 30_000
    engine.dispose()
    with pytest.raises(StorageUnavailable):
        empty_wal(connect(f"sqlite:///{tmp_path / 'absent' / 'x.db'}"))


def _all_problems(base: type[Problem]) -> set[type[Problem]]:
    return {base} | {q for p in base.__subclasses__() for q in _all_problems(p)}


def test_every_problem_has_a_type_of_its_own_and_a_status() -> None:
    import tacit.app
    import tacit.migrations.tables

    rooms = ("tacit.core", "consent", "ingest", "privacy", "adjust", "audit", "dashboards")
    problems = {p for p in _all_problems(Problem) if p.__module__.startswith(rooms)}
    types = [p.type for p in problems]
    assert len(types) == len(set(types))
    assert set(tacit.app.STATUS) - set(types) == set()
