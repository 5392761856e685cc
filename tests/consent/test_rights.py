"""Rights requests: what each does, what it answers, and what is left afterwards. Erasure is tried on SQLite and on Postgres."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from audit.log import Log
from consent import erasure_store
from consent.errors import IdempotencyConflict, RequestSettled, RequestUnknown, UnknownPurpose
from consent.models import State
from consent.receipts import PROOF_TYPE, verify
from consent.rights import EXTENSION_MS
from consent.rights_models import Kind, Refusal, Status, Verification
from consent.rights_store import CUT_OFF_MS
from consent.rights_tables import erased_records, loose_commitments, rights_requests
from consent.rights_work import RightsWork
from consent.tables import consent_receipts, consent_records, consent_state, idempotency
from tacit import migrations
from tacit.core.db import connect, reading, writing
from tacit.core.declaration import PURPOSES
from tacit.core.evidence import canonical
from tests.consent.rights_world import PERSON, RightsWorld, open_rights
from tests.ingest.world import DAY, MINUTE, SITE
from tests.postgres import empty_database, server

NOBODY_KNOWS = Verification()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RightsWorld]:
    """The same world on each of the two databases."""
    engine = None
    if request.param == "postgres":
        engine = connect(empty_database(request.getfixturevalue("postgres"), "rights"))
    made = open_rights(tmp_path, engine=engine)
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RightsWorld]:
    made = open_rights(tmp_path)
    yield made
    made.close()


def proven(here: RightsWorld, answer: dict[str, Any]) -> dict[str, Any]:
    """What the proof of an answer says."""
    return verify(answer["proof"], here.signer.public_key, kind=PROOF_TYPE)


def number(here: RightsWorld, table: Any) -> int:
    with reading(here.engine) as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


# access and export


def test_access_answers_with_everything_there_is_and_counts_nobody_else(world: RightsWorld) -> None:
    world.says(measurement=True, personalisation=False)
    world.says("somebody else", measurement=True, personalisation=True)
    world.served(PERSON, "banner 3")
    world.send(
        world.event("1", subject=PERSON, category="news"),
        world.event("2", subject=PERSON, category="tech"),
        world.event("3", "dwell", PERSON, zone="hero", seconds=9),
        world.event("4", "search", PERSON, term="a very private word", results=3),
        world.event("1", subject="somebody else", category="news"),
        world.trial("5", "somebody else"),
    )
    answer = world.ask(Kind.ACCESS)
    results = answer["results"]
    assert (answer["request_status"], answer["request_type"]) == ("completed", "access")
    assert results["found"]
    assert {(one["purpose"], one["measure"]): one["rows"] for one in results["staged"] if one["purpose"] != "bookkeeping"} == {
        ("measurement", "pages"): 2,
        ("measurement", "visits"): 2,
        ("measurement", "dwell"): 1,
        ("measurement", "terms"): 1,
        ("measurement", "results"): 1,
    }
    assert results["consent"]["measurement"]["reason"] == "granted"
    assert [(r["purpose"], r["state"]) for r in results["records"]] == [("measurement", "granted"), ("personalisation", "refused")]
    assert results["notices_served"] == [{"notice": "banner 3"}]
    about = results["about"]
    assert {"purposes", "logic", "retention", "recipients", "released", "not_shown", "rights"} <= set(about)
    assert "epsilon 1.0" in about["released"]
    assert "event page" in about["purposes"][0]["categories"]
    assert PERSON not in json.dumps(answer)
    assert proven(world, answer)["done"] == {"results_sha256": hashlib.sha256(canonical(results)).hexdigest()}


def test_what_is_staged_is_found_in_every_live_window_and_gone_with_it(world: RightsWorld) -> None:
    def pages() -> int:
        return sum(one["rows"] for one in world.ask(Kind.ACCESS)["results"]["staged"] if one["measure"] == "pages")

    world.says(measurement=True)
    world.send(world.event("1", subject=PERSON, category="news"))
    world.later()
    world.send(world.event("2", subject=PERSON, category="news"))
    assert pages() == 2
    (window,) = [w for w in world.windows() if w.end_ms <= world.clock.at_ms][-1:]
    world.source.forget(window)
    assert pages() == 1
    world.withdraw(PERSON, "measurement")
    assert pages() == 0, "what no release will have is not shown as staged"


def test_an_export_is_the_persons_data_with_a_schema_and_without_our_texts(world: RightsWorld) -> None:
    world.says(measurement=True)
    answer = world.ask(Kind.EXPORT)
    assert answer["request_type"] == "portability"
    assert answer["results"]["schema"] == "tacit-export 1"
    assert "about" not in answer["results"]
    assert answer["results"]["records"][0]["notice"]["version"] == "3"


def test_a_stranger_is_told_that_nothing_was_found_and_what_holds_for_everybody(world: RightsWorld) -> None:
    results = world.ask(Kind.ACCESS, "nobody")["results"]
    assert not results["found"]
    assert (results["records"], results["staged"]) == ([], [])
    assert results["about"]["logic"]


def test_a_history_of_many_pages_is_answered_whole(world: RightsWorld) -> None:
    for _ in range(70):
        world.says(measurement=True, personalisation=True)
    assert len(world.ask(Kind.ACCESS)["results"]["records"]) == 140


# states, verification, idempotency


@pytest.mark.parametrize("kind", [Kind.ACCESS, Kind.EXPORT, Kind.ERASE, Kind.LIFT])
def test_nothing_is_told_or_erased_before_the_caller_knows_who_asks(world: RightsWorld, kind: Kind) -> None:
    world.says(measurement=True)
    more = {"of": State.OBJECTED} if kind is Kind.LIFT else {}
    answer = world.ask(kind, sure=NOBODY_KNOWS, **more)
    assert (answer["request_status"], answer["reason"], answer["results"]) == ("pending", "verification_needed", None)
    assert answer["proof"] is None
    assert world.reason() == "granted"
    again = world.ask(kind, request_id=answer["request_id"], **more)
    assert (again["request_status"], again["request_id"]) == ("completed", answer["request_id"])
    assert proven(world, again)["verification"] == {"level": "substantial", "method": "session"}


def test_a_finished_request_is_not_taken_up_and_one_of_another_kind_or_site_neither(world: RightsWorld) -> None:
    done = world.ask(Kind.ACCESS)
    with pytest.raises(RequestSettled):
        world.ask(Kind.ACCESS, request_id=done["request_id"])
    pending = world.ask(Kind.ACCESS, sure=NOBODY_KNOWS)
    with pytest.raises(RequestSettled):
        world.ask(Kind.ERASE, request_id=pending["request_id"])
    with pytest.raises(RequestUnknown):
        world.rights.query("other", pending["request_id"])


@pytest.mark.parametrize("kind", [Kind.ACCESS, Kind.ERASE, Kind.OBJECT])
def test_a_repeat_is_the_same_request_and_another_one_under_its_key_conflicts(both: RightsWorld, kind: Kind) -> None:
    both.says(measurement=True)
    first = both.ask(kind, key="k")
    again = both.ask(kind, key="k")
    assert again["request_id"] == first["request_id"]
    assert again["proof"] == first["proof"]
    assert number(both, rights_requests) == 1
    with pytest.raises(IdempotencyConflict):
        both.ask(kind, "somebody else", key="k")


def test_a_repeated_erasure_does_not_erase_what_was_granted_since(world: RightsWorld) -> None:
    world.ask(Kind.ERASE, key="k")
    world.says(measurement=True)
    assert world.ask(Kind.ERASE, key="k")["results"] is None
    assert world.reason() == "granted"


def test_officers_see_requests_in_order_and_nothing_of_anybody(world: RightsWorld) -> None:
    for turn, kind in enumerate((Kind.ACCESS, Kind.OBJECT, Kind.ERASE)):
        world.clock.at_ms += turn + 1
        world.ask(kind)
    world.clock.at_ms += 1
    pending = world.ask(Kind.ACCESS, sure=NOBODY_KNOWS)
    page = world.rights.requests(SITE, limit=2)
    rest = world.rights.requests(SITE, cursor=page["next"])
    kinds = [one["request_type"] for one in (*page["requests"], *rest["requests"])]
    assert kinds == ["access", "objection", "erasure", "access"]
    assert rest["next"] is None
    only = world.rights.requests(SITE, status=Status.PENDING)["requests"]
    assert [one["request_id"] for one in only] == [pending["request_id"]]
    text = json.dumps([page, rest])
    assert PERSON not in text
    assert world.subjects.pseudonym(SITE, "user", PERSON).hex()[:16] not in text


def test_a_request_is_due_in_thirty_days_is_extended_once_and_is_overdue_after(world: RightsWorld) -> None:
    asked = world.ask(Kind.ACCESS, sure=NOBODY_KNOWS)
    assert world.rights.overdue(SITE) == []
    world.clock.at_ms += 30 * DAY + 1
    assert world.rights.overdue(SITE) == ["access"]
    assert world.rights.requests(SITE)["overdue"]
    assert world.rights.query(SITE, asked["request_id"])["overdue"]
    world.rights.extend(SITE, asked["request_id"])
    assert world.rights.overdue(SITE) == []
    with pytest.raises(RequestSettled):
        world.rights.extend(SITE, asked["request_id"])
    world.clock.at_ms += EXTENSION_MS
    assert world.rights.overdue(SITE) == ["access"]
    world.rights.reject(SITE, asked["request_id"], Refusal.NOT_IDENTIFIED)
    assert world.rights.overdue(SITE) == []
    assert not world.rights.requests(SITE)["overdue"]


@pytest.mark.parametrize("kind", [Kind.ACCESS, Kind.EXPORT])
def test_a_repeat_learns_no_more_than_what_it_attested_allows(world: RightsWorld, kind: Kind) -> None:
    world.says(measurement=True)
    asked = world.ask(kind, sure=NOBODY_KNOWS, key="rejected")
    world.rights.reject(SITE, asked["request_id"], Refusal.NOT_IDENTIFIED)
    again = world.ask(kind, sure=NOBODY_KNOWS, key="rejected")
    assert (again["request_status"], again["results"]) == ("rejected", None)
    waiting = world.ask(kind, sure=NOBODY_KNOWS, key="waits")
    assert world.ask(kind, request_id=waiting["request_id"])["results"]["found"]
    again = world.ask(kind, sure=NOBODY_KNOWS, key="waits")
    assert (again["request_id"], again["request_status"], again["results"]) == (waiting["request_id"], "completed", None)


def test_a_rejection_is_proven_with_its_reason_and_final(world: RightsWorld) -> None:
    asked = world.ask(Kind.ERASE, sure=NOBODY_KNOWS)
    answer = world.rights.reject(SITE, asked["request_id"], Refusal.UNFOUNDED)
    assert proven(world, answer)["reason"] == "manifestly_unfounded"
    with pytest.raises(RequestSettled):
        world.ask(Kind.ERASE, request_id=asked["request_id"])


def test_an_erasure_whose_process_dies_before_its_last_look_is_finished_by_the_worker(
    world: RightsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.says(measurement=True)
    with monkeypatch.context() as killed:
        killed.setattr(RightsWork, "afterwards", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.ask(Kind.ERASE)
    (waiting,) = world.rights.requests(SITE)["requests"]
    assert (waiting["request_status"], waiting["reason"]) == ("in_progress", "last_look_missing")
    world.gate.close()
    world.rights.tend(SITE)
    assert world.rights.query(SITE, waiting["request_id"])["request_status"] == "in_progress", "its process may still be at it"
    world.clock.at_ms += CUT_OFF_MS + 1
    world.rights.tend(SITE)
    answer = world.rights.query(SITE, waiting["request_id"])
    assert (answer["request_status"], proven(world, answer)["done"]["records_left"]) == ("completed", 0)
    assert world.reason() == "withdrawn"


def test_every_finished_request_goes_into_evidence_once_as_the_hash_of_its_proof(world: RightsWorld) -> None:
    answer = world.ask(Kind.ERASE)
    world.ask(Kind.ACCESS, sure=NOBODY_KNOWS)
    ((request_id, entry),) = world.rights.pending_evidence(10)
    assert request_id == answer["request_id"]
    assert entry.body == {"proof_sha256": hashlib.sha256(canonical(proven(world, answer))).hexdigest()}
    world.rights.set_evidence({request_id: 4})
    assert world.rights.pending_evidence(10) == []
    assert world.rights.query(SITE, request_id)["evidence"]["index"] == 4
    assert world.rights.query(SITE, request_id)["proof"] == answer["proof"]


# objection and restriction


@pytest.mark.parametrize(
    ("kind", "reason", "of"), [(Kind.OBJECT, "objected", State.OBJECTED), (Kind.RESTRICT, "restricted", State.RESTRICTED)]
)
def test_a_hold_refuses_whatever_is_chosen_until_it_is_lifted(both: RightsWorld, kind: Kind, reason: str, of: State) -> None:
    both.says(measurement=True, personalisation=True)
    both.send(both.event("1", subject=PERSON, category="news"))
    both.ask(kind, purposes=["measurement"], sure=NOBODY_KNOWS)
    assert (both.reason(), both.reason(purpose="personalisation")) == (reason, "granted")
    assert both.send(both.event("2", subject=PERSON, category="news"))["refused"] == {reason: 1}
    receipt = both.signer.verify(both.says(measurement=True))
    assert receipt["decisions"][0]["held"] == reason
    assert both.reason() == reason, "a choice made meanwhile waits"
    standing = both.consent.query(SITE, "user", PERSON)["purposes"]["measurement"]
    assert (standing["state"], standing["outcome"], standing["reason"]) == ("granted", "deny", reason)
    both.later()
    assert [row for row in both.labelled() if row[0] == "pages"] == [], "what was staged before is kept out"
    lifted = both.ask(Kind.LIFT, of=of)
    assert lifted["results"]["purposes"] == ["measurement"]
    assert both.reason() == "granted"
    both.later()
    assert both.send(both.event("3", subject=PERSON, category="news"))["accepted"] == 1
    both.later()
    assert [row[0] for row in both.labelled()].count("pages") == 1
    states = [record["state"] for record in both.consent.history(SITE, "user", PERSON, ["measurement"])["records"]]
    assert states == ["granted", reason, "granted", "lifted"]


def test_an_objection_and_a_restriction_are_lifted_one_by_one(world: RightsWorld) -> None:
    world.says(measurement=True)
    world.ask(Kind.RESTRICT, purposes=["measurement"])
    world.ask(Kind.OBJECT, purposes=["measurement"])
    assert world.reason() == "objected"
    assert [(hold["kind"], hold["purpose"]) for hold in world.ask(Kind.ACCESS)["results"]["holds"]] == [
        ("objection", "measurement"),
        ("restriction", "measurement"),
    ]
    world.ask(Kind.LIFT, of=State.OBJECTED)
    assert world.reason() == "restricted"
    assert world.ask(Kind.LIFT, of=State.OBJECTED)["results"]["purposes"] == []
    world.ask(Kind.LIFT, of=State.RESTRICTED)
    assert world.reason() == "granted"


def test_a_stranger_can_object_and_is_a_stranger_again_when_it_is_lifted(world: RightsWorld) -> None:
    world.ask(Kind.OBJECT)
    assert {world.reason(purpose=purpose) for purpose in PURPOSES} == {"objected"}
    assert world.consent.query(SITE, "user", PERSON)["purposes"]["measurement"]["state"] is None
    world.ask(Kind.LIFT, of=State.OBJECTED)
    assert world.reason() == "no_consent"
    assert number(world, consent_state) == 0


def test_a_refusal_under_an_objection_stays_a_refusal_when_it_is_lifted(world: RightsWorld) -> None:
    world.says(measurement=True)
    world.ask(Kind.OBJECT)
    world.says(measurement=False)
    world.ask(Kind.LIFT, of=State.OBJECTED)
    assert world.reason() == "refused"


def test_an_unknown_purpose_holds_nothing(world: RightsWorld) -> None:
    with pytest.raises(UnknownPurpose):
        world.ask(Kind.OBJECT, purposes=["ads"])
    assert number(world, rights_requests) == 0


def test_a_hold_survives_retention_when_the_grant_under_it_has_lapsed(world: RightsWorld) -> None:
    from consent import retention_store

    world.says(measurement=True)
    world.ask(Kind.OBJECT, purposes=["measurement"])
    world.clock.at_ms += 400 * DAY
    with writing(world.engine) as connection:
        retention_store.delete_records(connection, SITE, world.clock.at_ms)
    assert world.reason() == "objected"


# erasure


def evidence_of(here: RightsWorld, path: Path) -> Log:
    """A real evidence log, as the worker fills it."""
    engine = connect(f"sqlite:///{path / 'released.db'}")
    migrations.upgrade(engine, "released")
    return Log(engine, here.clock)


def put_into_evidence(here: RightsWorld, log: Log) -> None:
    pending = here.consent.pending_evidence(100)
    indices = log.append([entry for _, entry in pending])
    here.consent.set_evidence({seq: index for (seq, _), index in zip(pending, indices, strict=True)})
    finished = here.rights.pending_evidence(100)
    indices = log.append([entry for _, entry in finished])
    here.rights.set_evidence({name: index for (name, _), index in zip(finished, indices, strict=True)})


def test_after_erasure_nothing_is_counted_until_a_new_grant(both: RightsWorld) -> None:
    both.says(measurement=True)
    both.says("somebody else", measurement=True)
    both.send(both.event("1", subject=PERSON, category="news"), both.event("1", subject="somebody else", category="news"))
    answer = both.ask(Kind.ERASE)
    assert answer["request_status"] == "completed"
    assert both.send(both.event("2", subject=PERSON, category="news"))["refused"] == {"withdrawn": 1}
    both.later()
    assert [row[0] for row in both.labelled()].count("pages") == 1, "somebody else's"
    both.says(measurement=True)
    both.later()
    assert both.send(both.event("3", subject=PERSON, category="news"))["accepted"] == 1
    both.later()
    assert [row[0] for row in both.labelled()].count("pages") == 2
    assert [r["state"] for r in both.consent.history(SITE, "user", PERSON)["records"]] == ["granted"]


def test_erasure_leaves_nobody_elses_record_out_and_one_s_own_in(both: RightsWorld) -> None:
    both.says(measurement=True, personalisation=True)
    both.says("somebody else", measurement=True)
    both.served(PERSON, "banner 3")
    both.served("somebody else", "banner 3")
    both.ask(Kind.OBJECT)
    both.ask(Kind.ERASE)
    results = both.ask(Kind.ACCESS)["results"]
    assert (results["records"], results["notices_served"], results["staged"], results["holds"]) == ([], [], [], [])
    assert {one["reason"] for one in results["consent"].values()} == {"withdrawn"}
    other = both.ask(Kind.ACCESS, "somebody else")["results"]
    assert len(other["records"]) == len(other["notices_served"]) == 1
    assert number(both, consent_records) == 1
    assert number(both, consent_receipts) == 1


def test_erasure_under_an_older_key_reaches_everything(both: RightsWorld) -> None:
    both.says(measurement=True)
    both.rotation.rotate(SITE)
    both.ask(Kind.ERASE)
    assert number(both, consent_records) == 0
    assert both.reason() == "withdrawn"


def test_the_evidence_log_verifies_after_erasure_and_has_every_commitment(world: RightsWorld, tmp_path: Path) -> None:
    log = evidence_of(world, tmp_path)
    first = world.signer.verify(world.says(measurement=True))
    put_into_evidence(world, log)
    second = world.signer.verify(world.says(measurement=False))
    answer = world.ask(Kind.ERASE)
    third = world.signer.verify(answer["results"]["withdrawal_receipt"])
    put_into_evidence(world, log)
    assert log.verify() is None
    logged = {entry.body["commitment"] for entry in log.list(kind="consent.changed")[0]}
    promised = {decision["commitment"] for receipt in (first, second, third) for decision in receipt["decisions"]}
    assert logged == promised, "what a receipt promises stands in the log, once, also where the record went first"
    assert number(world, loose_commitments) == 0
    assert [entry.kind for entry in log.list()[0]].count("rights.finished") == 1


def test_nothing_that_is_left_in_any_file_links_back_to_an_erased_person(world: RightsWorld, tmp_path: Path) -> None:
    log = evidence_of(world, tmp_path)
    key = "canary-key-91f2"
    receipts = [world.consent.record(SITE, replace_subject(world, measurement=True, personalisation=True), idempotency_key=key)]
    put_into_evidence(world, log)
    receipts.append(world.says(fairness_audit=False))
    world.served(PERSON, "canary-notice-77")
    world.send(world.event("1", subject=PERSON, category="news"))
    with reading(world.engine) as connection:
        records = connection.execute(select(consent_records)).all()
        kept = [response.encode() for response in connection.scalars(select(idempotency.c.response))]
    said = [world.signer.verify(receipt) for receipt in receipts]
    links = {bytes(row.nonce) for row in records} | {bytes(row.who) for row in records}
    links |= {receipt["receipt_id"].encode() for receipt in said} | {receipt["pii_principal_id"].encode() for receipt in said}
    links |= {receipt["signature"].encode() for receipt in receipts} | set(kept) | {b"canary-notice-77"}
    assert len(links) >= 10

    def found() -> set[bytes]:
        content = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert PERSON.encode() not in content
        assert key.encode() not in content
        return {link for link in links if link in content}

    assert links - found() <= {receipt["signature"].encode() for receipt in receipts[1:]}, "the search sees what is stored"
    withdrawal = world.ask(Kind.ERASE)["results"]["withdrawal_receipt"]
    world.gate.close()
    put_into_evidence(world, log)
    links.add(world.signer.verify(withdrawal)["receipt_id"].encode())
    assert found() == set()
    assert log.verify() is None


def replace_subject(here: RightsWorld, **purposes: bool) -> Any:
    from consent.models import ConsentRequest
    from tests.ingest.world import NOTICE

    assert here
    return ConsentRequest(PERSON, purposes, NOTICE, "banner")


def test_of_erased_records_is_left_how_many_were_decided_under_which_notice_on_which_day(both: RightsWorld) -> None:
    for name in (PERSON, "second"):
        both.says(name, measurement=True)
        both.ask(Kind.ERASE, name)
    with reading(both.engine) as connection:
        tally = erasure_store.tally(connection, SITE)
    assert {(one["purpose"], one["state"], one["number"]) for one in tally} == {
        ("measurement", "granted", 2),
        *((purpose, "withdrawn", 2) for purpose in PURPOSES),
    }
    assert {one["day"] for one in tally} == {"2023-11-15"}
    assert set(erased_records.c.keys()) == {"site", "key", "facts", "number"}


def test_erasure_and_a_grant_at_the_same_time_leave_one_or_the_other_whole(both: RightsWorld) -> None:
    workers = [both.again() for _ in range(2)]
    for turn in range(4):
        name = f"reader-{turn}"
        both.says(name, measurement=True)
        start = threading.Barrier(2)

        def erase(name: str = name, start: threading.Barrier = start) -> None:
            start.wait()
            workers[0].ask(Kind.ERASE, name)

        def grant(name: str = name, start: threading.Barrier = start) -> None:
            start.wait()
            workers[1].says(name, measurement=True)

        threads = [threading.Thread(target=erase), threading.Thread(target=grant)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        records = both.consent.history(SITE, "user", name, ["measurement"])["records"]
        assert (both.reason(name), len(records)) in {("withdrawn", 0), ("granted", 1)}
    for worker in workers:
        worker.close()


def test_an_erasure_waits_for_a_reader_that_keeps_the_log_and_is_finished_by_the_worker(world: RightsWorld) -> None:
    world.says(measurement=True)
    reader = world.engine.connect()
    reader.execute(select(consent_records)).all()
    answer = world.ask(Kind.ERASE)
    assert (answer["request_status"], answer["reason"], answer["proof"]) == ("in_progress", "log_not_emptied", None)
    with pytest.raises(RequestSettled):
        world.rights.reject(SITE, answer["request_id"], Refusal.CANCELLED)
    world.rights.tend(SITE)
    assert world.rights.query(SITE, answer["request_id"])["request_status"] == "in_progress"
    reader.close()
    world.gate.close()
    world.rights.tend(SITE)
    done = world.rights.query(SITE, answer["request_id"])
    assert done["request_status"] == "completed"
    assert proven(world, done)["done"]["staged_rows_left"] == 0


def test_an_erasure_that_was_cut_off_is_taken_up_by_its_repeat(world: RightsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.says(measurement=True)
    with monkeypatch.context() as patched:
        patched.setattr(erasure_store, "forget_messages", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.ask(Kind.ERASE, key="k")
    assert world.reason() == "withdrawn", "what matters was committed"
    again = world.ask(Kind.ERASE, key="k")
    assert again["request_status"] == "completed"
    assert number(world, rights_requests) == 1


def test_only_a_permit_lets_records_be_deleted(both: RightsWorld) -> None:
    both.says(measurement=True)
    with pytest.raises(Exception, match="append-only"), writing(both.engine) as connection:
        connection.execute(delete(consent_records))


def test_an_erased_grant_is_told_to_webhooks_and_delivered_messages_about_it_go(world: RightsWorld) -> None:
    from consent import webhooks_store
    from consent.officer_tables import webhook_outbox
    from consent.outbox import Event
    from consent.webhooks import Webhooks
    from tacit.core.rootkey import RootKey

    Webhooks(world.engine, RootKey(b"r" * 32), world.clock).put(SITE, "mail", url="http://127.0.0.1:1/", events=list(Event))
    world.says(measurement=True)
    with writing(world.engine) as connection:
        webhooks_store.settle(connection, 1, {"state": webhooks_store.DELIVERED, "settled_ms": world.clock.at_ms})
    answer = world.ask(Kind.ERASE)
    with reading(world.engine) as connection:
        left = connection.execute(select(webhook_outbox.c.event, webhook_outbox.c.state)).all()
    assert {tuple(row) for row in left} == {("consent.withdrawn", "pending")}
    assert answer["results"]["messages_to_deliver"] == len(left)


def test_requests_are_deleted_for_their_age_once_they_are_in_evidence(world: RightsWorld) -> None:
    from consent import retention_store

    answer = world.ask(Kind.ACCESS)
    world.ask(Kind.ACCESS, sure=NOBODY_KNOWS)

    def sweep() -> int:
        with writing(world.engine) as connection:
            return retention_store.delete_requests(connection, SITE, world.clock.at_ms + MINUTE)

    assert sweep() == 0
    world.rights.set_evidence({answer["request_id"]: 1})
    assert sweep() == 1
    assert number(world, rights_requests) == 1
