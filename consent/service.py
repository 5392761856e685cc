"""Record, withdraw, query and look back.

A choice, its effect on staged rows and its receipt are one transaction of the intake vault: when the answer goes out, the choice rules,
and whoever repeats a request gets the same answer.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from consent import outbox, records, store
from consent.errors import AlreadyRecorded, CursorInvalid, GrantLapsed, IdempotencyConflict, UnknownPurpose
from consent.gate import decide
from consent.models import STRICTEST, Cause, Change, Circumstances, ConsentRequest, State
from consent.ports import ChoiceCounter, StagedData
from consent.purposes import RULE_VERSION, TERMS
from consent.receipts import Receipt, Receipts
from consent.subjects import Subjects
from consent.tables import consent_state
from tacit.core.clock import Clock, iso
from tacit.core.db import reading, writing
from tacit.core.declaration import PURPOSES
from tacit.core.errors import StorageUnavailable
from tacit.core.evidence import Entry, canonical
from tacit.core.ids import new_id
from tacit.core.logs import Log

PAGE = 100
"""The most records of a history that one answer holds."""

_ATTEMPTS = 10
_log = Log("consent")


class ConsentService:
    """What apps may do with consent, and what the sanitiser needs to put it into evidence."""

    def __init__(
        self, engine: Engine, subjects: Subjects, staged: StagedData, choices: ChoiceCounter, signer: Receipts, clock: Clock
    ) -> None:
        self._engine, self._subjects, self._staged = engine, subjects, staged
        self._choices, self._signer, self._clock = choices, signer, clock

    def record(self, site: str, request: ConsentRequest, *, idempotency_key: str | None = None) -> Receipt:
        """Record a person's answer. A grant under Global Privacy Control becomes a refusal.

        Raises `UnknownPurpose`, `IdempotencyConflict`, `StorageUnavailable`; nothing is recorded then.
        """
        now_ms = self._clock.now_ms()
        changes = [_answer(p, request.purposes[p], gpc=request.signals.gpc, now_ms=now_ms) for p in _known(list(request.purposes))]
        how = Circumstances(request.method, request.jurisdiction, request.notice, request.signals, request.age_band)
        asked: dict[str, Any] = {"do": "record", "purposes": dict(request.purposes)}
        return self._write(site, request.id_type, request.subject, changes, how, asked=asked, key=idempotency_key, now_ms=now_ms)

    def bring_in(self, site: str, request: ConsentRequest, *, given_ms: int) -> Receipt:
        """Record an answer that was given elsewhere at `given_ms`, for purposes that the person has no record of here: nothing that was
        said here is ever overruled. A grant lapses as if it had been given here then.

        Raises `AlreadyRecorded` when there is nothing to add (so that a repeated import adds nothing), `GrantLapsed` when every grant in it
        would have lapsed by now, and what `record` raises.
        """
        now_ms = self._clock.now_ms()
        given_ms = min(given_ms, now_ms)
        answers = [_answer(p, request.purposes[p], gpc=request.signals.gpc, now_ms=given_ms) for p in _known(list(request.purposes))]
        changes = [change for change in answers if change.expires_ms is None or change.expires_ms > now_ms]
        if not changes:
            raise GrantLapsed
        how = Circumstances(request.method, request.jurisdiction, request.notice, request.signals, request.age_band)
        asked: dict[str, Any] = {"do": "bring_in", "purposes": dict(request.purposes)}
        who = (request.id_type, request.subject)
        return self._write(site, *who, changes, how, asked=asked, key=None, now_ms=now_ms, only_first=True)

    def withdraw(
        self,
        site: str,
        id_type: str,
        subject: str,
        purposes: Sequence[str] | None = None,
        *,
        method: str = "api",
        jurisdiction: str = STRICTEST,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Withdraw these purposes, or all of them. Once this returns, nothing of them enters any later release.

        Works for somebody who never granted anything, too. Raises as `record` does.
        """
        now_ms = self._clock.now_ms()
        named = _known(PURPOSES if purposes is None else purposes)
        changes = [Change(purpose, State.WITHDRAWN, Cause.WITHDRAWAL, None) for purpose in named]
        how = Circumstances(method, jurisdiction)
        asked = {"do": "withdraw", "purposes": list(named)}
        return self._write(site, id_type, subject, changes, how, asked=asked, key=idempotency_key, now_ms=now_ms)

    def query(self, site: str, id_type: str, subject: str, purposes: Sequence[str] | None = None, *, gpc: bool = False) -> dict[str, Any]:
        """What rules now: by purpose the state (null without a record), the gate's outcome and reason, and the expiry."""
        named = _known(PURPOSES if purposes is None else purposes)
        pseudonym, now_ms = self._subjects.pseudonym(site, id_type, subject), self._clock.now_ms()
        with reading(self._engine) as connection:
            rows = connection.execute(
                consent_state.select().where(consent_state.c.site == site, consent_state.c.pseudonym == pseudonym)
            ).all()
        standing = {row.purpose: (row.state, row.expires_ms) for row in rows}
        answer: dict[str, Any] = {}
        for purpose in named:
            state = standing.get(purpose)
            decision = decide(state, gpc=gpc, now_ms=now_ms)
            answer[purpose] = {
                "state": state[0] if state else None,
                "outcome": decision.outcome.value,
                "reason": str(decision.reason),
                "expires_at": iso(state[1]) if state and state[1] is not None else None,
            }
        return {"purposes": answer, "rule_version": RULE_VERSION}

    def history(
        self,
        site: str,
        id_type: str,
        subject: str,
        purposes: Sequence[str] | None = None,
        *,
        limit: int = PAGE,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """`{"records": [...], "next": cursor or null}`, oldest first. Raises `CursorInvalid`.

        A cursor counts this person's own records: a record's number in the table would tell how many there are of everybody.
        """
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
            raise CursorInvalid
        named, start, size = _known(PURPOSES if purposes is None else purposes), int(cursor or 0), max(1, min(limit, PAGE))
        pseudonym = self._subjects.pseudonym(site, id_type, subject)
        with reading(self._engine) as connection:
            rows = store.history(connection, site, pseudonym, purposes=named, start=start, limit=size + 1)
        return {"records": [records.shown(row) for row in rows[:size]], "next": str(start + size) if len(rows) > size else None}

    def pending_evidence(self, limit: int) -> list[tuple[int, Entry]]:
        """Records that the evidence log does not know yet, as entries that hold a commitment and nothing else."""
        with reading(self._engine) as connection:
            rows = store.unevidenced(connection, limit)
        return [(row.seq, Entry("consent.changed", row.site, {"commitment": records.commitment(dict(row._mapping))})) for row in rows]

    def set_evidence(self, indices: Mapping[int, int]) -> None:
        """Note which index in the evidence log each record got."""
        with writing(self._engine) as connection:
            store.set_evidence(connection, indices)

    def _write(
        self,
        site: str,
        id_type: str,
        subject: str,
        changes: Sequence[Change],
        how: Circumstances,
        *,
        asked: Mapping[str, Any],
        key: str | None,
        now_ms: int,
        only_first: bool = False,
    ) -> Receipt:
        pseudonym = self._subjects.pseudonym(site, id_type, subject)  # before the transaction: the first one of a site makes its key
        repeat = None
        if key is not None:
            request = canonical({**asked, **how.to_json(), "who": pseudonym.hex()})
            repeat = store.Repeat(self._subjects.fingerprint(site, b"key " + key.encode()), self._subjects.fingerprint(site, request))
        for _ in range(_ATTEMPTS):
            try:
                with writing(self._engine) as connection:
                    if repeat and (earlier := _replayed(connection, site, repeat, now_ms=now_ms)):
                        return earlier
                    if only_first:
                        changes = _unknown(connection, site, pseudonym, changes)
                    receipt = self._apply(connection, site, pseudonym, changes, how, now_ms=now_ms, staged_as=(id_type, subject))
                    if repeat:
                        store.remember(connection, site, repeat, receipt, now_ms=now_ms)
                break
            except IntegrityError:  # Postgres: the same person's first choice, or the same key, was written between our look and our insert
                continue
        else:
            raise StorageUnavailable("too many writes for one person at once")
        self._count(site, id_type, subject, {change.purpose: change.state.value for change in changes})
        return receipt

    def _apply(
        self,
        connection: Connection,
        site: str,
        pseudonym: bytes,
        changes: Sequence[Change],
        how: Circumstances,
        *,
        now_ms: int,
        staged_as: tuple[str, str],
    ) -> Receipt:
        before = store.locked_states(connection, site, pseudonym, [change.purpose for change in changes])
        receipt_id = new_id("rcpt", now_ms=now_ms)
        decisions = []
        for change in changes:
            row = records.row(receipt_id, site, pseudonym=pseudonym, change=change, how=how, now_ms=now_ms)
            store.append(connection, row, known=change.purpose in before)
            outbox.changed(connection, row, before=before.get(change.purpose), now_ms=now_ms)
            decisions.append(records.decision(change, records.commitment(row)))
        removed = [c.purpose for c in changes if c.state is not State.GRANTED]
        readmitted = [c.purpose for c in changes if c.state is State.GRANTED and before.get(c.purpose) in (State.REFUSED, State.WITHDRAWN)]
        if removed:
            self._staged.withdraw(site, *staged_as, removed, connection)
        if readmitted:
            self._staged.readmit(site, *staged_as, readmitted, connection)
        return self._signer.sign(
            {
                "receipt_id": receipt_id,
                "site": site,
                "at": iso(now_ms),
                "decisions": decisions,
                "rule_version": RULE_VERSION,
                "withdraw": "POST /v1/consents/withdraw",
                **how.to_json(),
            }
        )

    def _count(self, site: str, id_type: str, subject: str, choices: Mapping[str, str]) -> None:
        try:
            self._choices.count(site, id_type, subject, choices)
        except Exception as error:  # the choice is committed; a figure that lacks it must not make the caller think otherwise
            _log.fault("choice_not_counted", error, site=site)


def _known(purposes: Sequence[str]) -> list[str]:
    if not purposes or not set(purposes) <= set(PURPOSES):
        raise UnknownPurpose
    return [purpose for purpose in PURPOSES if purpose in purposes]


def _unknown(connection: Connection, site: str, pseudonym: bytes, changes: Sequence[Change]) -> list[Change]:
    known = store.locked_states(connection, site, pseudonym, [change.purpose for change in changes])
    fresh = [change for change in changes if change.purpose not in known]
    if not fresh:
        raise AlreadyRecorded
    return fresh


def _answer(purpose: str, granted: bool, *, gpc: bool, now_ms: int) -> Change:
    if not granted:
        return Change(purpose, State.REFUSED, Cause.CHOICE, None)
    if gpc:
        return Change(purpose, State.REFUSED, Cause.GPC, None)
    return Change(purpose, State.GRANTED, Cause.CHOICE, TERMS[purpose].expires_ms(now_ms))


def _replayed(connection: Connection, site: str, repeat: store.Repeat, *, now_ms: int) -> Receipt | None:
    found = store.answered(connection, site, repeat, now_ms=now_ms)
    if found is None:
        return None
    request_mac, response = found
    if not hmac.compare_digest(request_mac, repeat.request_mac):
        raise IdempotencyConflict
    return response
