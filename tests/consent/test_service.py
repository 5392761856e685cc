"""Choices are recorded once, in order, with their effect on staged rows in the same transaction."""

from __future__ import annotations

import hmac
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, inspect, select

from consent.errors import CursorInvalid, IdempotencyConflict, UnknownPurpose
from consent.gate import Outcome, Reason
from consent.purposes import TERMS
from consent.tables import consent_records, consent_state, idempotency, wrapped_keys
from tacit.core.db import reading
from tacit.core.declaration import PURPOSES
from tacit.core.evidence import canonical
from tests.consent.support import CANARY, SITE, START_MS, Room, asking, room, states_of


def _rows(here: Room) -> list[tuple[object, ...]]:
    with reading(here.engine) as connection:
        return [tuple(row) for row in connection.execute(select(consent_records).order_by(consent_records.c.seq))]


def test_the_terms_cover_exactly_the_declared_purposes() -> None:
    assert tuple(TERMS) == PURPOSES


def test_a_choice_is_recorded_purpose_by_purpose(here: Room) -> None:
    receipt = here.service.record(SITE, asking(measurement=True, fairness_audit=False))
    assert states_of(receipt, here.receipts) == {"measurement": ("granted", "choice"), "fairness_audit": ("refused", "choice")}
    assert here.choices.counted == [{"measurement": "granted", "fairness_audit": "refused"}]


def test_gpc_turns_grants_into_refusals(here: Room) -> None:
    receipt = here.service.record(SITE, asking(gpc=True, measurement=True, personalisation=False))
    assert states_of(receipt, here.receipts) == {"measurement": ("refused", "gpc"), "personalisation": ("refused", "choice")}
    assert here.gate.check(SITE, "user", CANARY, "measurement").reason == Reason.GPC
    assert here.staged.calls == [("withdraw", CANARY, ["measurement", "personalisation"], 2)]


@pytest.mark.parametrize("purposes", [{}, {"ads": True}, {"measurement": True, CANARY: True}])
def test_unknown_purposes_are_refused_without_an_echo(here: Room, purposes: dict[str, bool]) -> None:
    request = asking()
    with pytest.raises(UnknownPurpose) as problem:
        here.service.record(SITE, type(request)(CANARY, purposes, request.notice, "banner"))
    assert CANARY not in problem.value.diagnostics()
    assert _rows(here) == []


def test_withdrawal_without_names_removes_every_purpose_even_of_a_stranger(here: Room) -> None:
    receipt = here.service.withdraw(SITE, "user", CANARY)
    assert states_of(receipt, here.receipts) == dict.fromkeys(PURPOSES, ("withdrawn", "withdrawal"))
    assert here.staged.calls == [("withdraw", CANARY, list(PURPOSES), 3)]


def test_staged_rows_follow_the_choice_in_its_own_transaction(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True))
    assert here.staged.calls == []
    here.service.withdraw(SITE, "user", CANARY, ["measurement"])
    here.service.record(SITE, asking(measurement=True, personalisation=True))
    here.service.record(SITE, asking(measurement=True))
    assert here.staged.calls == [("withdraw", CANARY, ["measurement"], 2), ("readmit", CANARY, ["measurement"], 4)]


def test_a_withdrawal_that_staging_cannot_follow_is_not_recorded(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True))
    here.staged.fail = True
    with pytest.raises(RuntimeError):
        here.service.withdraw(SITE, "user", CANARY, idempotency_key="k")
    assert len(_rows(here)) == 1
    here.staged.fail = False
    assert states_of(here.service.withdraw(SITE, "user", CANARY, idempotency_key="k"), here.receipts)


def test_a_counter_that_fails_does_not_fail_the_choice(here: Room) -> None:
    here.choices.fail = True
    here.service.record(SITE, asking(measurement=True))
    assert here.gate.check(SITE, "user", CANARY, "measurement").outcome is Outcome.ALLOW


def test_eight_writers_leave_one_current_row_a_person_and_purpose(tmp_path: Path) -> None:
    rooms = [room(tmp_path) for _ in range(8)]
    people = ["ann", "bob"]

    def write(number: int) -> None:
        for turn in range(10):
            person = people[turn % 2]
            if (number + turn) % 3:
                rooms[number].service.record(SITE, asking(person, measurement=bool(turn % 2), personalisation=True))
            else:
                rooms[number].service.withdraw(SITE, "user", person, ["measurement", "personalisation"])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    with reading(rooms[0].engine) as connection:
        keys = connection.execute(select(consent_state.c.pseudonym, consent_state.c.purpose)).all()
        current = dict(connection.execute(select(consent_state.c.seq, consent_state.c.state)).all())
        latest = select(func.max(consent_records.c.seq)).group_by(consent_records.c.pseudonym, consent_records.c.purpose)
        newest_rows = select(consent_records.c.seq, consent_records.c.state).where(consent_records.c.seq.in_(latest))
        newest = dict(connection.execute(newest_rows).all())
        assert connection.scalar(select(func.count()).select_from(wrapped_keys)) == 1
        assert connection.scalar(select(func.count()).select_from(consent_records)) == 8 * 10 * 2
    assert len(keys) == len(set(keys)) == 4
    assert current == newest
    assert inspect(rooms[0].engine).get_pk_constraint("consent_state")["constrained_columns"] == ["site", "pseudonym", "purpose"]
    for one in rooms:
        one.close()


def test_history_is_only_added_to(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True))
    before = _rows(here)
    here.service.withdraw(SITE, "user", CANARY)
    here.service.record(SITE, asking(measurement=False))
    assert _rows(here)[: len(before)] == before
    assert len(_rows(here)) == 5


def test_history_pages_through_every_record_once_and_in_order(here: Room) -> None:
    for turn in range(7):
        here.clock.at_ms = START_MS + turn
        here.service.record(SITE, asking(measurement=bool(turn % 2)))
        here.service.record(SITE, asking("somebody else", measurement=True))
    seen, cursor = [], None
    while True:
        page = here.service.history(SITE, "user", CANARY, limit=3, cursor=cursor)
        seen += page["records"]
        cursor = page["next"]
        if cursor is None:
            break
        here.service.record(SITE, asking("a third", measurement=True))
    assert [r["at"] for r in seen] == sorted({r["at"] for r in seen})
    assert [r["state"] for r in seen] == ["refused", "granted"] * 3 + ["refused"]
    assert here.service.history(SITE, "user", CANARY, ["personalisation"]) == {"records": [], "next": None}


def test_a_cursor_says_nothing_about_other_people(here: Room) -> None:
    for number in range(20):
        here.service.record(SITE, asking(f"u{number}", measurement=True))
    here.service.record(SITE, asking(measurement=True))
    here.service.record(SITE, asking(measurement=False))
    assert here.service.history(SITE, "user", CANARY, limit=1)["next"] == "1"


@pytest.mark.parametrize("cursor", ["", "-1", "x", "1.5", "٣", "9" * 30])
def test_a_cursor_of_nobodys_making_is_refused(here: Room, cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        here.service.history(SITE, "user", CANARY, cursor=cursor)


def test_a_repeated_request_gets_the_same_receipt_and_is_recorded_once(here: Room) -> None:
    first = here.service.record(SITE, asking(measurement=True), idempotency_key="key-1")
    here.clock.at_ms += 5
    assert here.service.record(SITE, asking(measurement=True), idempotency_key="key-1") == first
    assert len(_rows(here)) == 1
    assert len(here.choices.counted) == 1


@pytest.mark.parametrize("other", [asking(measurement=False), asking("x", measurement=True), asking(gpc=True, measurement=True)])
def test_another_request_under_the_same_key_conflicts(here: Room, other: object) -> None:
    here.service.record(SITE, asking(measurement=True), idempotency_key="key-1")
    with pytest.raises(IdempotencyConflict):
        here.service.record(SITE, other, idempotency_key="key-1")  # type: ignore[arg-type]
    with pytest.raises(IdempotencyConflict):
        here.service.withdraw(SITE, "user", CANARY, idempotency_key="key-1")
    assert len(_rows(here)) == 1


def test_a_key_belongs_to_its_site_and_is_forgotten_after_a_day(here: Room) -> None:
    first = here.service.record(SITE, asking(measurement=True), idempotency_key="key-1")
    assert here.service.record("other", asking(measurement=True), idempotency_key="key-1") != first
    here.clock.at_ms += 86_400_000
    assert here.service.record(SITE, asking(measurement=True), idempotency_key="key-1") != first
    with reading(here.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(idempotency)) == 1


def test_eight_repeats_at_once_are_recorded_once(here: Room) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: here.service.record(SITE, asking(), idempotency_key="k")["signature"], range(8)))
    assert len(set(answers)) == 1
    assert len(_rows(here)) == 1


def test_query_says_what_rules_and_why(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True, personalisation=False))
    answer = here.service.query(SITE, "user", CANARY)["purposes"]
    assert {p: (a["state"], a["outcome"], a["reason"]) for p, a in answer.items()} == {
        "measurement": ("granted", "allow", "granted"),
        "personalisation": ("refused", "deny", "refused"),
        "fairness_audit": (None, "deny", "no_consent"),
    }
    assert here.service.query(SITE, "user", CANARY, ["measurement"], gpc=True)["purposes"]["measurement"]["reason"] == "gpc"


def test_evidence_holds_a_commitment_that_opens_with_the_nonce_and_nothing_else(here: Room) -> None:
    receipt = here.service.record(SITE, asking(measurement=True, personalisation=True))
    pending = here.service.pending_evidence(10)
    assert [(entry.kind, entry.site, set(entry.body)) for _, entry in pending] == [("consent.changed", SITE, {"commitment"})] * 2
    promised = [d["commitment"] for d in here.receipts.verify(receipt)["decisions"]]
    assert [entry.body["commitment"] for _, entry in pending] == promised
    with reading(here.engine) as connection:
        row = dict(connection.execute(select(consent_records).where(consent_records.c.seq == pending[0][0])).one()._mapping)
    nonce, said = row.pop("nonce"), {k: v for k, v in row.items() if k not in ("seq", "evidence_index", "pseudonym")}
    said["who"] = said["who"].hex()
    assert hmac.digest(nonce, canonical(said), "sha256").hex() == promised[0]


def test_evidence_is_handed_out_until_it_has_its_place_and_keeps_it(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True, personalisation=True))
    (first, _), (second, _) = here.service.pending_evidence(10)
    assert [seq for seq, _ in here.service.pending_evidence(1)] == [first]
    here.service.set_evidence({first: 41})
    here.service.set_evidence({first: 99, second: 42})
    here.service.set_evidence({})
    assert here.service.pending_evidence(10) == []
    assert [r["evidence"] for r in here.service.history(SITE, "user", CANARY)["records"]] == [{"index": 41}, {"index": 42}]
