"""What the rules promise holds under older lookup keys, objections and restrictions, and what those promise holds under every rule."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DatabaseError

from audit.log import Log
from audit.notary import Notary
from audit.tree import check_inclusion, leaf_hash
from consent import notices_store, webhooks_store
from consent.gate import Outcome
from consent.models import NOT_ASKED, Cause, State
from consent.notice_tables import served_notices
from consent.outbox import Event
from consent.retention import Retention
from consent.rights_models import Kind
from consent.served import ServedNotices
from consent.tables import consent_records, consent_state
from consent.webhooks import Webhooks
from ingest.tables import tombstones
from tacit import migrations
from tacit.core.clock import from_iso
from tacit.core.configuration import parse
from tacit.core.db import connect, reading, writing
from tacit.core.declaration import PURPOSES
from tacit.core.evidence_terms import EvidenceTerms
from tacit.core.mac import subject_bytes
from tacit.core.rootkey import RootKey
from tests.consent.rights_world import PERSON, RightsWorld, open_rights
from tests.ingest.world import DAY, NOTICE, SITE, YAML
from tests.postgres import empty_database, server

OPT_OUT = YAML.replace("privacy:", "jurisdiction: {default: us-ca, opt_out: true}\n    privacy:", 1)
LAPSED, HOLDS = "lapsed", (None, "objected", "restricted")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def opted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RightsWorld]:
    """A site under an opt-out regime, on each of the two databases."""
    engine = None
    if request.param == "postgres":
        engine = connect(empty_database(request.getfixturevalue("postgres"), "opted"))
    made = open_rights(tmp_path, engine=engine, text=OPT_OUT)
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RightsWorld]:
    made = open_rights(tmp_path)
    yield made
    made.close()


def told(here: RightsWorld, subject: str = PERSON, purpose: str = "measurement") -> set[tuple[str, str]]:
    """What the gate, a query and an explanation say about one purpose; a set of one where they agree."""
    decision = here.gate.check(SITE, "user", subject, purpose)
    explained = here.explanations.explain(SITE, "user", subject)["purposes"][purpose]
    queried = here.consent.query(SITE, "user", subject)["purposes"][purpose]
    answers = {(decision.outcome.value, str(decision.reason))}
    return answers | {(one["outcome"], one["reason"]) for one in (explained, queried)}


def served(here: RightsWorld, subject: str = PERSON) -> list[str]:
    return [one["notice"]["version"] for one in here.ask(Kind.ACCESS, subject)["results"]["notices_served"] if "version" in one["notice"]]


def lifted(here: RightsWorld) -> set[bool]:
    """Of the tombstones for measurement, whether they are lifted."""
    with reading(here.engine) as connection:
        until = connection.scalars(select(tombstones.c.until_ms).where(tombstones.c.purpose == "measurement"))
        return {until_ms is not None for until_ms in until}


# who is silent


@pytest.mark.parametrize("contact", ["gate", "explain", "query", "event"])
def test_whoever_said_no_under_an_older_key_is_not_taken_for_silent(opted: RightsWorld, contact: str) -> None:
    opted.says("refused", place="us-ca", measurement=False, personalisation=False)
    opted.consent.withdraw(SITE, "user", "withdrew", jurisdiction="us-ca")
    opted.ask(Kind.OBJECT, "objects")
    elsewhere = opted.again()
    opted.rotation.rotate(SITE)
    for here in (elsewhere, opted):
        for name, reason in (("refused", "refused"), ("withdrew", "withdrawn"), ("objects", "objected"), ("silent", "opt_out_regime")):
            if contact == "gate":
                found = here.reason(name)
            elif contact == "explain":
                found = here.explanations.explain(SITE, "user", name)["purposes"]["measurement"]["reason"]
            elif contact == "query":
                found = here.consent.query(SITE, "user", name)["purposes"]["measurement"]["reason"]
            else:
                sent = here.send(here.event(f"{name} {id(here)}", subject=name, category="news"))
                found = "opt_out_regime" if sent["accepted"] else next(iter(sent["refused"]))
            assert found == reason, name
    elsewhere.close()


def test_whose_grant_lapsed_long_ago_is_no_stranger(opted: RightsWorld) -> None:
    opted.says("german", place="de", measurement=True)
    opted.clock.at_ms += 4 * 365 * DAY
    with writing(opted.engine) as connection:
        connection.execute(update(consent_records).values(evidence_index=1))
    Retention(opted.engine, parse(OPT_OUT), opted.clock).run(SITE)
    assert told(opted, "german") == {("deny", "expired")}
    assert told(opted, "german", "personalisation") == {("deny", "no_consent")}


def test_nobody_is_presumed_to_agree_once_a_key_is_gone_under_which_people_said_no(opted: RightsWorld) -> None:
    opted.says("refused", place="us-ca", measurement=False)
    opted.ask(Kind.OBJECT, "objects")
    opted.ask(Kind.ERASE, "erased")
    opted.says("agreed", place="us-ca", measurement=True)
    opted.rotation.rotate(SITE, destroy_after_days=365)
    assert told(opted, "silent") == {("allow", "opt_out_regime")}
    elsewhere = opted.again()
    assert elsewhere.reason("silent") == "opt_out_regime"
    opted.clock.at_ms += 365 * DAY
    opted.rotation.destroy_due(SITE)
    for here in (elsewhere, opted):
        for name in ("refused", "objects", "erased", "agreed", "silent"):
            assert told(here, name) == {("deny", "no_consent")}, name
    opted.says("agreed", place="us-ca", measurement=True)
    assert told(opted, "agreed") == {("allow", "granted")}
    elsewhere.close()


def test_what_is_known_of_a_person_s_place_is_known_under_an_older_key(opted: RightsWorld) -> None:
    opted.says("from europe", place="eu", measurement=True)
    opted.says("from california", place="us-ca", measurement=True)
    opted.ask(Kind.OBJECT, "has objected only", purposes=["measurement"])
    opted.rotation.rotate(SITE)
    assert opted.reason("from europe", "personalisation") == "no_consent"
    assert opted.reason("from california", "personalisation") == "opt_out_regime"
    assert opted.reason("has objected only", "personalisation") == "opt_out_regime"
    assert opted.reason("has objected only") == "objected"


def test_nobody_seems_silent_who_moves_to_the_newest_key_between_two_statements_of_one_look(opted: RightsWorld) -> None:
    opted.says(place="us-ca", measurement=False)
    opted.rotation.rotate(SITE)
    strangers = [subject_bytes("user", f"stranger-{n}") for n in range(700)]
    person = subject_bytes("user", PERSON)
    rows, looks = opted.gate._rows, 0

    def moving(site: str, pseudonyms: Sequence[bytes], place: str) -> Sequence[Any]:
        nonlocal looks
        looks += 1
        found = rows(site, pseudonyms, place)
        opted.subjects.bring_forward(SITE, [person])
        return found

    opted.gate._rows = moving  # type: ignore[method-assign]
    for people in ([person, *strangers], [*strangers, person]):
        standings, _ = opted.gate.standings(SITE, people)
        assert standings[person]["measurement"][0] == "refused"
        assert len(standings) == 701
    assert looks == 4


def test_a_lifted_objection_of_a_stranger_leaves_a_stranger(opted: RightsWorld) -> None:
    assert opted.send(opted.event("1", subject=PERSON, category="news"))["accepted"] == 1
    opted.ask(Kind.OBJECT)
    assert told(opted) == {("deny", "objected")}
    opted.ask(Kind.LIFT, of=State.OBJECTED)
    assert told(opted) == {("allow", "opt_out_regime")}
    opted.later()
    opted.send(opted.event("2", subject=PERSON, category="news"))
    opted.later()
    assert [row[0] for row in opted.labelled()].count("pages") == 1, "what was staged before the objection stays out"


# holds and rules


@pytest.mark.parametrize("text", [None, OPT_OUT])
def test_gate_query_and_explanation_agree_on_every_standing_under_either_key(tmp_path: Path, text: str | None) -> None:
    here = open_rights(tmp_path, text=text)
    here.says(place="us-ca", measurement=True)
    now_ms = here.clock.now_ms()
    states = [str(State.GRANTED), LAPSED, str(State.REFUSED), str(State.WITHDRAWN), str(State.STALE), NOT_ASKED]
    causes = [None, str(Cause.GPC), str(Cause.MINOR), str(Cause.TCF), str(Cause.SIGNAL_INVALID)]
    for turn, (state, cause, objected, restricted) in enumerate(product(states, causes, (None, 1), (None, 2))):
        if (cause and state != State.REFUSED) or (state == NOT_ASKED and not (objected or restricted)):
            continue
        values = {"state": state if state != LAPSED else "granted", "expires_ms": now_ms - 1 if state == LAPSED else None, "cause": cause}
        with writing(here.engine) as connection:
            connection.execute(update(consent_state).values(**values, objected_ms=objected, restricted_ms=restricted))
        if turn == 12:
            here.rotation.rotate(SITE)
        ((outcome, reason),) = told(here)
        expected = "objected" if objected else "restricted" if restricted else cause or {LAPSED: "expired"}.get(state, state)
        assert (outcome, reason) == ("allow" if expected == State.GRANTED else "deny", expected)
        shown = here.explanations.explain(SITE, "user", PERSON)["purposes"]["measurement"]
        assert shown["state"] == (None if state == NOT_ASKED else values["state"])
        decided = [one["input"] for one in shown["inputs"] if one["decided"]]
        assert decided == ["withdrawal"] if objected or restricted else decided != []
        assert told(here, purpose="personalisation") == {("allow", "opt_out_regime") if text else ("deny", "no_consent")}
    here.close()


@pytest.mark.parametrize("hold", [Kind.OBJECT, Kind.RESTRICT])
def test_a_grant_under_a_hold_lets_nothing_in_until_the_hold_is_lifted(world: RightsWorld, hold: Kind) -> None:
    of = State.OBJECTED if hold is Kind.OBJECT else State.RESTRICTED
    world.says(measurement=True)
    world.ask(hold)
    for _ in range(2):
        receipt = world.signer.verify(world.says(measurement=True))
        assert receipt["decisions"][0]["held"] == of
        assert lifted(world) == {False}
    world.ask(Kind.LIFT, of=of)
    assert lifted(world) == {True}


def test_a_refusal_by_a_signal_and_a_stale_grant_are_readmitted_by_a_grant(world: RightsWorld) -> None:
    world.says(measurement=False)
    assert lifted(world) == {False}
    world.says(measurement=True)
    assert lifted(world) == {True}


def test_a_material_notice_reaches_a_grant_under_an_objection(world: RightsWorld) -> None:
    world.says(measurement=True)
    world.ask(Kind.OBJECT)
    world.register("4", material=True)
    assert told(world) == {("deny", "objected")}
    world.says(measurement=True)
    world.ask(Kind.LIFT, of=State.OBJECTED)
    assert told(world) == {("deny", "stale")}, "the version that was agreed to is older than the material one"
    assert lifted(world) == {False}


def test_webhooks_hear_of_a_grant_when_it_takes_effect(world: RightsWorld) -> None:
    Webhooks(world.engine, RootKey(b"r" * 32), world.clock).put(SITE, "mail", url="http://127.0.0.1:9/", events=list(Event))
    world.says(measurement=True)
    world.ask(Kind.OBJECT, purposes=["measurement"])
    world.says(measurement=True)

    def events() -> list[str]:
        with reading(world.engine) as connection:
            return [row.event for row in webhooks_store.messages(connection, SITE, "mail", state=None, after=0, limit=100)]

    assert events() == ["consent.granted", "consent.withdrawn"]
    world.ask(Kind.LIFT, of=State.OBJECTED)
    assert events() == ["consent.granted", "consent.withdrawn", "consent.granted"]


@pytest.mark.parametrize("before", [None, "refused", "granted"])
def test_whoever_objects_is_not_asked_again_at_once(world: RightsWorld, before: str | None) -> None:
    if before:
        world.says(measurement=before == "granted")
    world.later(170 * DAY)
    asked_ms = world.clock.now_ms()
    world.ask(Kind.OBJECT)
    for answer in (world.consent.query(SITE, "user", PERSON), world.explanations.explain(SITE, "user", PERSON)):
        shown = answer["purposes"]["measurement"]
        assert shown["state"] == before
        assert from_iso(shown["ask_again_after"]) == asked_ms + 180 * DAY
    world.clock.at_ms += 180 * DAY
    assert world.consent.query(SITE, "user", PERSON)["purposes"]["measurement"]["ask_again_after"] is None


# notices that were served


def test_a_served_notice_is_listed_follows_the_newest_key_and_is_erased(opted: RightsWorld) -> None:
    opted.register("4")
    opted.shows()
    opted.shows("somebody else")
    opted.rotation.rotate(SITE)
    assert served(opted) == ["4"], "under the older key"
    elsewhere = opted.again()
    elsewhere.subjects.ring(SITE)
    opted.rotation.rotate(SITE)
    opted.register("5")
    elsewhere.shows(version="5")  # by a process that has not seen the latest rotation
    newest = opted.subjects.pseudonym(SITE, "user", PERSON)
    with reading(opted.engine) as connection:
        under = [bytes(p) for p in connection.scalars(select(served_notices.c.pseudonym))]
    assert sorted(under.count(p) for p in set(under)) == [1, 2]
    assert under.count(newest) == 2
    assert served(opted) == ["4", "5"]
    assert [one["notice"]["version"] for one in opted.consent.history(SITE, "user", PERSON)["served"]] == ["4", "5"]
    opted.ask(Kind.ERASE)
    assert served(opted) == []
    assert served(opted, "somebody else") == ["4"]
    elsewhere.close()


def test_showing_a_notice_is_contact_and_moves_everything(opted: RightsWorld) -> None:
    opted.register("4")
    opted.says(measurement=True)
    opted.rotation.rotate(SITE)
    opted.shows()
    newest = opted.subjects.pseudonym(SITE, "user", PERSON)
    with reading(opted.engine) as connection:
        for table in (consent_state, consent_records, served_notices):
            assert [bytes(p) for p in connection.scalars(select(table.c.pseudonym))] == [newest]


def test_what_was_shown_under_two_pseudonyms_keeps_its_first_and_its_last_time(world: RightsWorld) -> None:
    world.register("4")
    old, new = b"o" * 32, b"n" * 32
    same = {"site": SITE, "notice": NOTICE.id, "version": "4", "locale": NOTICE.locale}
    with writing(world.engine) as connection:
        connection.execute(insert(served_notices).values(**same, pseudonym=old, first_ms=1, last_ms=4))
        connection.execute(insert(served_notices).values(**same, pseudonym=new, first_ms=2, last_ms=3))
        ServedNotices().move(connection, SITE, [old], new)
        (row,) = notices_store.served(connection, SITE, [old, new])
        assert (bytes(row.pseudonym), row.first_ms, row.last_ms) == (new, 1, 4)


def test_after_erasure_no_state_tells_why_or_where(opted: RightsWorld) -> None:
    opted.says(place="us-tx", measurement=False)
    opted.ask(Kind.OBJECT)
    with writing(opted.engine) as connection:
        connection.execute(update(consent_state).values(cause="gpc"))
    opted.ask(Kind.ERASE)
    with reading(opted.engine) as connection:
        rows = [dict(row._mapping) for row in connection.execute(select(consent_state))]
    assert {row.pop("purpose") for row in rows} == set(PURPOSES)
    mine = opted.subjects.pseudonym(SITE, "user", PERSON)
    nothing = dict.fromkeys(("expires_ms", "objected_ms", "restricted_ms", "cause", "jurisdiction"))
    assert all(row == {"site": SITE, "pseudonym": mine, "state": "withdrawn", "seq": 0, **nothing} for row in rows)
    assert opted.gate.check(SITE, "user", PERSON, "measurement").outcome is Outcome.DENY


def test_no_column_of_a_record_can_be_changed_but_its_place_in_evidence(opted: RightsWorld) -> None:
    opted.says(measurement=True)
    for column in consent_records.columns:
        if column.name == "evidence_index":
            continue
        value = 9 if column.type.python_type is int else b"x" * 16 if column.type.python_type is bytes else "x"
        with pytest.raises(DatabaseError, match="append-only"), writing(opted.engine) as connection:
            connection.execute(update(consent_records).values({column: value}))
    with pytest.raises(DatabaseError, match="append-only"), writing(opted.engine) as connection:
        connection.execute(delete(consent_records))


# the evidence log's proof


def test_a_receipt_and_a_finished_request_come_with_the_log_s_own_proof(tmp_path: Path) -> None:
    released, root = connect(f"sqlite:///{tmp_path / 'released.db'}"), RootKey(b"r" * 32)
    migrations.upgrade(released, "released")
    plain = open_rights(tmp_path)
    log = Log(released, plain.clock)
    notary = Notary(log, root.signing_key(), EvidenceTerms(), plain.clock)
    here = open_rights(tmp_path, clock=plain.clock, log=notary)
    said = here.signer.verify(here.says(measurement=True, personalisation=False))
    request = here.ask(Kind.ACCESS)
    assert request["evidence"] is None
    before = here.consent.receipt(SITE, "user", PERSON, said["receipt_id"])["evidence"]
    assert [(one["index"], one["inclusion"]) for one in before] == [(None, None)] * 2
    for source in (here.consent, here.rights):
        pending: list[tuple[Any, Any]] = source.pending_evidence(10)  # type: ignore[assignment]
        indices = log.append([entry for _, entry in pending])
        source.set_evidence({name: index for (name, _), index in zip(pending, indices, strict=True)})
    entries = {entry.index: entry for entry in log.list()[0]}
    shown = here.consent.receipt(SITE, "user", PERSON, said["receipt_id"])["evidence"]
    assert [one["commitment"] for one in shown] == [decision["commitment"] for decision in said["decisions"]]
    for one in shown:
        assert entries[one["index"]].body == {"commitment": one["commitment"]}
    for one in [*shown, here.rights.query(SITE, request["request_id"])["evidence"]]:
        proof = one["inclusion"]
        leaf, top, *path = (base64.b64decode(text) for text in (proof["leaf"], proof["root"], *proof["path"]))
        assert leaf == leaf_hash(entries[one["index"]].content())
        check_inclusion(one["index"], proof["size"], leaf, path, top)
        assert proof["checkpoint"] == str(notary.checkpoint(3))
    listed = here.rights.requests(SITE)["requests"][0]["evidence"]
    assert listed == {"index": 2}
    here.close()
    plain.close()
    released.dispose()
