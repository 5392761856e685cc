"""A lookup key is replaced without anybody becoming unknown, counted twice or found after it is destroyed. On SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.exc import DatabaseError

from consent import subjects_store
from consent.errors import DestroyTooEarly
from consent.exports import ExportFormat, Exports
from consent.exports_store import Filters
from consent.gate import Outcome
from consent.rights_models import Kind
from consent.tables import consent_records, consent_state, subject_keys, wrapped_keys
from tacit import migrations
from tacit.core.db import connect, reading, writing
from tacit.core.errors import StorageUnavailable
from tests.consent.rights_world import PERSON, RightsWorld, open_rights, served_rows
from tests.consent.test_officers import NotedEvidence
from tests.ingest.world import DAY, SITE
from tests.postgres import empty_database, server


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RightsWorld]:
    """The same world on each of the two databases."""
    engine = None
    if request.param == "postgres":
        engine = connect(empty_database(request.getfixturevalue("postgres"), "rotation"))
    made = open_rights(tmp_path, engine=engine)
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RightsWorld]:
    made = open_rights(tmp_path)
    yield made
    made.close()


def pseudonyms(here: RightsWorld) -> list[bytes]:
    """Of the person's states and records, one for each row."""
    ring = here.subjects.reload(SITE)
    with reading(here.engine) as connection:
        found = [bytes(p) for table in (consent_state, consent_records) for p in connection.scalars(select(table.c.pseudonym))]
    assert all(len(p) == 32 for p in found)
    assert ring.versions
    return found


def test_a_person_known_under_the_old_key_stays_known_to_everybody(both: RightsWorld) -> None:
    both.says(measurement=True, personalisation=False)
    both.served(PERSON, "banner 3")
    old = both.subjects.pseudonym(SITE, "user", PERSON)
    both.rotation.rotate(SITE)
    new = both.subjects.pseudonym(SITE, "user", PERSON)
    assert new != old
    assert both.reason() == "granted"
    assert both.reason(purpose="personalisation") == "refused"
    assert both.send(both.event("1", subject=PERSON, category="news"))["accepted"] == 1
    assert len(both.consent.history(SITE, "user", PERSON)["records"]) == 2
    assert both.ask(Kind.ACCESS)["results"]["notices_served"] == [{"notice": "banner 3"}]


def test_the_first_contact_moves_all_rows_in_its_own_transaction(both: RightsWorld) -> None:
    both.says(measurement=True)
    both.says("somebody else", measurement=True)
    both.served(PERSON, "banner 3")
    old = both.subjects.pseudonym(SITE, "user", PERSON)
    other = both.subjects.pseudonym(SITE, "user", "somebody else")
    both.rotation.rotate(SITE)
    new = both.subjects.pseudonym(SITE, "user", PERSON)
    both.consent.withdraw(SITE, "user", PERSON, ["measurement"])
    assert sorted(pseudonyms(both)) == sorted([new] * 3 + [other] * 2), "the other one was not seen and stands where it stood"
    assert old not in pseudonyms(both)
    with reading(both.engine) as connection:
        assert list(connection.scalars(select(served_rows.c.pseudonym))) == [new]
    assert both.reason() == "withdrawn"
    states = [record["state"] for record in both.consent.history(SITE, "user", PERSON)["records"]]
    assert states == ["granted", "withdrawn"]
    assert both.ask(Kind.EXPORT)["results"]["notices_served"] == [{"notice": "banner 3"}]


@pytest.mark.parametrize("contact", ["query", "event"])
def test_looking_and_sending_events_are_contact_too(world: RightsWorld, contact: str) -> None:
    world.says(measurement=True)
    world.rotation.rotate(SITE)
    if contact == "query":
        world.consent.query(SITE, "user", PERSON)
    else:
        world.send(world.event("1", subject=PERSON, category="news"))
        world.door.settled()
    assert set(pseudonyms(world)) == {world.subjects.pseudonym(SITE, "user", PERSON)}


def test_a_process_that_did_not_see_the_rotation_finds_and_withdraws_just_the_same(both: RightsWorld) -> None:
    both.says(measurement=True)
    elsewhere = both.again()
    assert elsewhere.reason() == "granted"
    both.rotation.rotate(SITE)
    both.says(measurement=True, personalisation=True)
    assert elsewhere.reason() == "granted", "moved to a key that the other process has not read"
    assert elsewhere.send(elsewhere.event("1", subject=PERSON, category="news"))["accepted"] == 1
    both.rotation.rotate(SITE)
    elsewhere.consent.withdraw(SITE, "user", PERSON)
    assert {both.reason(), elsewhere.reason()} == {"withdrawn"}
    assert set(pseudonyms(both)) == {both.subjects.pseudonym(SITE, "user", PERSON)}
    elsewhere.close()


def test_withdrawals_and_grants_of_many_workers_race_with_rotations_and_nobody_gets_two_standings(both: RightsWorld) -> None:
    people = [f"reader-{n}" for n in range(6)]
    for name in people:
        both.says(name, measurement=True)
    workers = [both.again() for _ in range(4)]
    start = Barrier(5)

    def work(number: int) -> None:
        start.wait()
        for turn in range(6):
            name = people[(number + turn) % len(people)]
            if (number + turn) % 2:
                workers[number].says(name, measurement=True, personalisation=True)
            else:
                workers[number].consent.withdraw(SITE, "user", name)
            workers[number].reason(name)

    def rotate() -> None:
        start.wait()
        for _ in range(3):
            both.rotation.rotate(SITE)

    with ThreadPoolExecutor(5) as threads:
        for done in [*(threads.submit(work, n) for n in range(4)), threads.submit(rotate)]:
            done.result()
    ring = both.subjects.reload(SITE)
    assert ring.versions == (4, 3, 2, 1)
    with reading(both.engine) as connection:
        for name in people:
            mine = ring.pseudonyms(b"\0\4user" + name.encode())
            under = set(connection.scalars(select(consent_state.c.pseudonym).where(consent_state.c.pseudonym.in_(mine))))
            of_records = set(connection.scalars(select(consent_records.c.pseudonym).where(consent_records.c.pseudonym.in_(mine))))
            assert len(under) == 1, "one standing, under one key"
            assert of_records == under
            latest = select(consent_records).where(consent_records.c.pseudonym.in_(mine), consent_records.c.purpose == "measurement")
            last = connection.execute(latest.order_by(consent_records.c.seq.desc())).first()
            assert last is not None
            assert both.consent.query(SITE, "user", name)["purposes"]["measurement"]["state"] == last.state
        assert connection.scalar(select(func.count()).select_from(consent_records)) == 6 + 4 * sum(2 + (turn % 2 == 0) for turn in range(6))
    for worker in workers:
        worker.close()


def test_two_workers_that_meet_a_person_at_once_move_the_rows_once(both: RightsWorld) -> None:
    both.says(measurement=True)
    both.rotation.rotate(SITE)
    workers = [both.again() for _ in range(4)]
    start = Barrier(4)

    def meet(worker: RightsWorld) -> None:
        start.wait()
        worker.consent.withdraw(SITE, "user", PERSON, ["measurement"])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(meet, workers))
    assert set(pseudonyms(both)) == {both.subjects.pseudonym(SITE, "user", PERSON)}
    assert len(pseudonyms(both)) == 1 + 5
    for worker in workers:
        worker.close()


def test_a_person_who_has_moved_has_one_number_in_an_export(world: RightsWorld) -> None:
    world.says(measurement=True)
    world.rotation.rotate(SITE)
    world.says(measurement=False)
    text = "".join(Exports(world.engine, NotedEvidence(), world.clock).start(SITE, Filters(), form=ExportFormat.CSV, by="key_1"))
    people = {line.split(",")[0] for line in text.splitlines()[1:]}
    assert len(people) == 1


def test_a_message_that_comes_again_after_the_rotation_is_not_counted_twice(world: RightsWorld) -> None:
    world.says(measurement=True)
    assert world.send(world.event("1", subject=PERSON, category="news"))["accepted"] == 1
    world.rotation.rotate(SITE)
    assert world.send(world.event("1", subject=PERSON, category="news"))["refused"] == {"duplicate": 1}


def test_a_repeated_request_is_recognised_across_a_rotation(world: RightsWorld) -> None:
    first = world.consent.withdraw(SITE, "user", PERSON, idempotency_key="k")
    world.rotation.rotate(SITE)
    assert world.consent.withdraw(SITE, "user", PERSON, idempotency_key="k") == first


def test_an_old_key_is_destroyed_when_its_time_has_come_and_whoever_was_not_seen_is_unknown_for_good(both: RightsWorld) -> None:
    both.says(measurement=False)
    both.says("seen again", measurement=False)
    both.rotation.rotate(SITE, destroy_after_days=365)
    both.consent.query(SITE, "user", "seen again")
    both.clock.at_ms += 365 * DAY - 1
    assert both.rotation.destroy_due(SITE) == ()
    both.clock.at_ms += 1
    assert both.rotation.destroy_due(SITE) == (1,)
    assert both.rotation.destroy_due(SITE) == ()
    assert both.reason("seen again") == "refused"
    assert both.gate.check(SITE, "user", PERSON, "measurement").outcome is Outcome.DENY
    assert both.reason() == "no_consent"
    assert both.consent.history(SITE, "user", PERSON)["records"] == []
    with reading(both.engine) as connection:
        names = set(connection.scalars(select(wrapped_keys.c.name)))
    assert f"consent subjects {SITE}" not in names
    ((key, entry),) = both.rotation.pending_evidence(10)
    assert (entry.kind, entry.body["version"]) == ("subject_key.destroyed", 1)
    both.rotation.set_evidence({key: 7})
    assert both.rotation.pending_evidence(10) == []
    proof = both.rotation.standing(SITE)
    assert [(row["version"], row["destroyed_at"] is not None, row["evidence"]) for row in proof] == [
        (1, True, {"index": 7}),
        (2, False, None),
    ]


def test_a_destroyed_key_is_in_no_byte_of_the_database(world: RightsWorld) -> None:
    world.says(measurement=True)
    with reading(world.engine) as connection:
        wrapped = subjects_store.wrapped(connection, f"consent subjects {SITE}")
    assert wrapped is not None
    files = [world.path / name for name in ("intake.db", "intake.db-wal")]
    assert any(wrapped in file.read_bytes() for file in files)
    world.rotation.rotate(SITE, destroy_after_days=365)
    world.clock.at_ms += 365 * DAY
    world.gate.close()
    world.rotation.destroy_due(SITE)
    assert not any(wrapped in file.read_bytes() for file in files)


def test_no_key_goes_while_a_grant_that_it_finds_may_be_in_force(world: RightsWorld) -> None:
    with pytest.raises(DestroyTooEarly):
        world.rotation.rotate(SITE, destroy_after_days=364)
    assert world.subjects.reload(SITE).versions == (1,)
    world.rotation.rotate(SITE, destroy_after_days=365)


def test_only_a_permit_lets_records_move_and_nothing_lets_them_change(both: RightsWorld) -> None:
    both.says(measurement=True)
    for values in ({"pseudonym": b"x" * 32}, {"who": b"x" * 16}, {"nonce": b"x" * 16}, {"state": "refused"}):
        with pytest.raises(DatabaseError, match="append-only"), writing(both.engine) as connection:
            connection.execute(update(consent_records).values(**values))


def test_a_key_made_before_keys_had_versions_is_the_first_version(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'intake.db'}")
    migrations.upgrade(engine, "intake", to="intake_0003")
    with writing(engine) as connection:
        subjects_store.keep_key(connection, f"consent subjects {SITE}", b"wrapped", now_ms=5)
    migrations.upgrade(engine, "intake")
    with reading(engine) as connection:
        assert [tuple(row)[:3] for row in connection.execute(select(subject_keys))] == [(SITE, 1, 5)]
    engine.dispose()


def test_on_postgres_keys_wait_for_writers_and_writers_for_keys(postgres: str, tmp_path: Path) -> None:
    here = open_rights(tmp_path, engine=connect(empty_database(postgres, "rotation_locks")))
    here.says(measurement=True)

    def waits(do: Callable[[Connection], object]) -> bool:
        try:
            with writing(here.engine) as connection:
                connection.execute(text("set local lock_timeout = '100ms'"))
                do(connection)
        except StorageUnavailable:
            return True
        return False

    def rotate(connection: Connection) -> object:
        return here.subjects.make_next(SITE, connection, destroy_ms=1)

    def write(connection: Connection) -> object:
        return here.subjects.held(SITE, connection)

    for first, second, must_wait in ((write, rotate, True), (rotate, write, True), (rotate, rotate, True), (write, write, False)):
        with here.engine.connect() as connection, connection.begin() as transaction:
            first(connection)
            assert waits(second) is must_wait, (first, second)
            transaction.rollback()
    here.close()
