"""Record, withdraw, query and look back.

A choice, its effect on staged rows and its receipt are one transaction of the intake vault: when the answer goes out, the choice rules,
and whoever repeats a request gets the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from consent import erasure_store, notices_store, outbox, receipts, records, repeats, standings, store
from consent.errors import AlreadyRecorded, CursorInvalid, GrantLapsed, NothingSaid, ReceiptUnknown, UnknownPurpose
from consent.gate import decide
from consent.hearing import hear
from consent.models import HOLDS, STRICTEST, Cause, Change, Circumstances, ConsentRequest, State
from consent.ports import ChoiceCounter, InclusionProofs, NothingProven, StagedData
from consent.purposes import RULE_SHA256, RULE_VERSION
from consent.receipts import Receipt, Receipts
from consent.rules import Rules, SiteRules
from consent.subjects import Subjects
from consent.weighing import judged
from tacit.core.clock import Clock
from tacit.core.db import reading, writing
from tacit.core.declaration import PURPOSES
from tacit.core.errors import StorageUnavailable
from tacit.core.evidence import Entry
from tacit.core.ids import new_id
from tacit.core.logs import Log
from tacit.core.mac import subject_bytes

PAGE = 100
"""The most records of a history that one answer holds."""

T = TypeVar("T")

_ATTEMPTS = 10
_log = Log("consent")


class ConsentService:
    """What apps may do with consent, and what the sanitiser needs to put it into evidence."""

    def __init__(
        self,
        engine: Engine,
        subjects: Subjects,
        staged: StagedData,
        choices: ChoiceCounter,
        signer: Receipts,
        clock: Clock,
        *,
        rules: Rules | None = None,
        controllers: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
        log: InclusionProofs | None = None,
    ) -> None:
        self._engine, self._subjects, self._staged = engine, subjects, staged
        self._choices, self._signer, self._clock, self._controllers = choices, signer, clock, controllers
        self._rules, self._log = rules or Rules(), log or NothingProven()

    def record(self, site: str, request: ConsentRequest, *, idempotency_key: str | None = None) -> Receipt:
        """Record a person's answer, or what the signals say where no purpose was asked. Signals and age turn grants into refusals.

        Raises `UnknownPurpose`, `NothingSaid`, `IdempotencyConflict`, `StorageUnavailable`; nothing is recorded then.
        """
        now_ms = self._clock.now_ms()
        changes = changes_of(request, self._rules.of(site), now_ms=now_ms)
        how = circumstances(request)
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
        answers = changes_of(request, self._rules.of(site), now_ms=given_ms)
        changes = [change for change in answers if change.expires_ms is None or change.expires_ms > now_ms]
        if not changes:
            raise GrantLapsed
        how = circumstances(request)
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
        """What rules now: by purpose the state (null without a record), the gate's outcome and reason, the expiry, and the moment before
        which the person should not be asked again (null when they may be).
        """
        named = _known(PURPOSES if purposes is None else purposes)
        person, now_ms = subject_bytes(id_type, subject), self._clock.now_ms()
        pseudonyms, rows = self._read(site, person, store.current)
        rules = self._rules.of(site).with_keys(self._subjects.ring(site).versions)
        if any(row.pseudonym != pseudonyms[0] for row in rows.values()):
            with suppress(StorageUnavailable):  # what was asked is answered; the next contact moves the rows
                self._subjects.bring_forward(site, [person])
        standing = standings.of(rows, rules, now_ms=now_ms)
        answer: dict[str, Any] = {}
        for purpose in named:
            row, decision = rows.get(purpose), decide(standing.get(purpose), gpc=gpc, now_ms=now_ms)
            answer[purpose] = {
                "state": standings.said(row),
                "outcome": decision.outcome.value,
                "reason": str(decision.reason),
                **standings.times(row, rules, now_ms=now_ms),
            }
        return {"purposes": answer, "rule_version": RULE_VERSION, "rule_sha256": RULE_SHA256}

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

        Before the first page's `next` stands `served`, the notices that the person was shown, if there are any. A cursor counts this
        person's own records: a record's number in the table would tell how many there are of everybody.
        """
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
            raise CursorInvalid
        named, start, size = _known(PURPOSES if purposes is None else purposes), int(cursor or 0), max(1, min(limit, PAGE))

        def look(connection: Connection, site: str, pseudonyms: Sequence[bytes]) -> tuple[Sequence[Row[Any]], Sequence[Row[Any]]]:
            rows = store.history(connection, site, pseudonyms, purposes=named, start=start, limit=size + 1)
            return rows, notices_store.served(connection, site, pseudonyms) if not start else ()

        _, (rows, served) = self._read(site, subject_bytes(id_type, subject), look)
        answer: dict[str, Any] = {"records": [records.shown(row) for row in rows[:size]]}
        if served:
            answer["served"] = [records.shown_served(row) for row in served]
        return answer | {"next": str(start + size) if len(rows) > size else None}

    def receipt(self, site: str, id_type: str, subject: str, receipt_id: str) -> dict[str, Any]:
        """A person's receipt again, word for word, with where its commitments stand in the evidence log. Raises `ReceiptUnknown`.

        `index` and `inclusion`, the log's proof that it stands there, are null until the log has the commitment.
        """
        look = partial(store.receipt, receipt_id=receipt_id)
        _, (said, rows) = self._read(site, subject_bytes(id_type, subject), look)
        if not said:
            raise ReceiptUnknown
        evidence = [
            {
                "purpose": row.purpose,
                "commitment": records.commitment(dict(row._mapping)),
                "index": row.evidence_index,
                "inclusion": self._log.inclusion(row.evidence_index) if row.evidence_index is not None else None,
            }
            for row in rows
        ]
        return {"receipt": self._signer.sign(said), "evidence": evidence}

    def pending_evidence(self, limit: int) -> list[tuple[int, Entry]]:
        """Records that the evidence log does not know yet, as entries that hold a commitment and nothing else.

        Commitments to records that were erased before the log had them have negative numbers.
        """
        with reading(self._engine) as connection:
            rows, loose = store.unevidenced(connection, limit), erasure_store.loose(connection, limit)
        found = [(-row.seq, row.site, row.commitment) for row in loose]
        found += [(row.seq, row.site, records.commitment(dict(row._mapping))) for row in rows]
        return [(number, Entry("consent.changed", site, {"commitment": committed})) for number, site, committed in found]

    def set_evidence(self, indices: Mapping[int, int]) -> None:
        """Note which index in the evidence log each record got."""
        with writing(self._engine) as connection:
            store.set_evidence(connection, {seq: index for seq, index in indices.items() if seq > 0})
            erasure_store.drop_loose(connection, [-seq for seq in indices if seq < 0])

    def _read(self, site: str, person: bytes, look: Callable[[Connection, str, Sequence[bytes]], T]) -> tuple[tuple[bytes, ...], T]:
        """A person's pseudonyms, newest first, and what `look` finds under them while no key can come or go."""
        self._subjects.ring(site)
        with reading(self._engine) as connection:
            pseudonyms = self._subjects.held(site, connection).pseudonyms(person)
            return pseudonyms, look(connection, site, pseudonyms)

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
        person = subject_bytes(id_type, subject)
        self._subjects.ring(site)  # before the transaction: the first call of a site makes its key
        repeat = repeats.repeat(self._subjects, site, key, {**asked, **how.to_json()}, person=person)
        for _ in range(_ATTEMPTS):
            try:
                with writing(self._engine) as connection:
                    if earlier := repeats.replayed(connection, site, repeat, now_ms=now_ms):
                        return earlier
                    text = standings.text(connection, site, how.notice)  # before any other lock
                    made = text.rule(changes)
                    if only_first:
                        made = _unknown(connection, site, self._subjects.settle(site, person, connection), made)
                    receipt = self.apply(connection, site, made, how, now_ms=now_ms, staged_as=(id_type, subject), text=text)
                    if repeat:
                        store.remember(connection, site, repeat, receipt, now_ms=now_ms)
                break
            except IntegrityError:  # Postgres: the same person's first choice, or the same key, was written between our look and our insert
                continue
        else:
            raise StorageUnavailable("too many writes for one person at once")
        self._count(site, id_type, subject, {change.purpose: change.state.value for change in made})
        return receipt

    def apply(
        self,
        connection: Connection,
        site: str,
        changes: Sequence[Change],
        how: Circumstances,
        *,
        now_ms: int,
        staged_as: tuple[str, str],
        text: standings.TextStanding = standings.NO_TEXT,
    ) -> Receipt:
        """Make changes of one person, `staged_as` (id type, subject), rule within the caller's transaction on the intake vault."""
        person = subject_bytes(*staged_as)
        ring = self._subjects.held(site, connection)
        pseudonym = self._subjects.settle(site, person, connection, ring=ring)
        before = store.locked_states(connection, site, pseudonym, [change.purpose for change in changes])
        receipt_id = new_id("rcpt", now_ms=now_ms)
        who = ring.on_receipt(receipt_id, person)
        decisions, rows, told = [], [], []
        for change in changes:
            row = records.row(receipt_id, site, pseudonym=pseudonym, who=who, change=change, how=how, now_ms=now_ms)
            rows.append(row)
            held = before.get(change.purpose) if before.get(change.purpose) in HOLDS else None
            if held is None or change.state is State.WITHDRAWN:  # a grant that waits is told when the hold is lifted
                told.append((row, before.get(change.purpose)))
            decisions.append(records.decision(change, records.commitment(row), held=held))
        store.append(connection, rows, known=before)
        outbox.changed(connection, site, told, now_ms=now_ms)
        removed = [c.purpose for c in changes if c.state not in (State.GRANTED, State.STALE)]
        let_in = (State.GRANTED, *HOLDS)  # a grant under an objection lets nothing in: lifting the objection does
        readmitted = [c.purpose for c in changes if c.state is State.GRANTED and before.get(c.purpose, State.GRANTED) not in let_in]
        if removed:
            self._staged.withdraw(site, *staged_as, removed, connection)
        if readmitted:
            self._staged.readmit(site, *staged_as, readmitted, connection)
        payload = receipts.payload(
            receipt_id,
            site,
            decisions,
            how,
            who=who,
            notice=text.to_json(how.notice),
            controller=self._controllers.get(site),
            now_ms=now_ms,
        )
        until_ms = max(change.expires_ms or now_ms for change in changes)
        store.keep_receipt(connection, site, payload, until_ms=until_ms)
        return self._signer.sign(payload)

    def _count(self, site: str, id_type: str, subject: str, choices: Mapping[str, str]) -> None:
        try:
            self._choices.count(site, id_type, subject, choices)
        except Exception as error:  # the choice is committed; a figure that lacks it must not make the caller think otherwise
            _log.fault("choice_not_counted", error, site=site)


def changes_of(request: ConsentRequest, rules: SiteRules, *, now_ms: int) -> list[Change]:
    """What a request changes, before its notice is looked at. Raises `UnknownPurpose` and `NothingSaid`."""
    if request.purposes or not request.signals.any():
        _known(list(request.purposes))
    heard = hear(request.signals, id_type=request.id_type, now_ms=now_ms)
    changes = judged(request, heard, rules.place(request.jurisdiction), presumed=rules.presumable, now_ms=now_ms)
    if not changes:
        raise NothingSaid
    return changes


def circumstances(request: ConsentRequest) -> Circumstances:
    """How a request came about."""
    said = (request.notice, request.signals, request.age_band, request.parental, request.client_at_ms)
    return Circumstances(request.method, request.jurisdiction, *said)


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
