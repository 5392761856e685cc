"""Objection and restriction: a person's own request stands over whatever was chosen, and the gate refuses until it is lifted.

A choice that is made meanwhile is recorded and waits. What is staged is kept out of every release in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from consent import outbox, records, rights_store, store
from consent.models import Cause, Change, Circumstances, State
from consent.ports import StagedData
from consent.subjects import Subjects
from tacit.core.ids import new_id
from tacit.core.mac import subject_bytes


class Holds:
    """Puts and lifts objections and restrictions within a transaction of the caller's."""

    def __init__(self, subjects: Subjects, staged: StagedData) -> None:
        self._subjects, self._staged = subjects, staged

    def put(
        self,
        connection: Connection,
        site: str,
        who: tuple[str, str],
        purposes: Sequence[str],
        hold: State,
        *,
        jurisdiction: str,
        now_ms: int,
    ) -> None:
        """Let `hold` stand over these purposes of a person, `who` being id type and subject."""
        pseudonym = self._subjects.settle(site, subject_bytes(*who), connection)
        before = store.locked_states(connection, site, pseudonym, purposes)
        for purpose, row in self._rows(connection, site, who, pseudonym, purposes, hold, jurisdiction=jurisdiction, now_ms=now_ms).items():
            seq = store.add(connection, row)
            known = purpose in before
            rights_store.put_hold(connection, row | {"seq": seq}, hold, now_ms=now_ms, known=known)
            if before.get(purpose) == State.GRANTED:
                outbox.changed(connection, site, [(row, State.GRANTED)], now_ms=now_ms)
        self._staged.withdraw(site, *who, purposes, connection)

    def lift(
        self,
        connection: Connection,
        site: str,
        who: tuple[str, str],
        purposes: Sequence[str],
        hold: State,
        *,
        jurisdiction: str,
        now_ms: int,
    ) -> list[str]:
        """Take `hold` back where it stands; the purposes where it did. What was granted rules again from the next window on."""
        pseudonym = self._subjects.settle(site, subject_bytes(*who), connection)
        store.locked_states(connection, site, pseudonym, purposes)
        column = "objected_ms" if hold is State.OBJECTED else "restricted_ms"
        stands = store.current(connection, site, [pseudonym])
        held = [purpose for purpose in purposes if purpose in stands and stands[purpose]._mapping[column] is not None]
        rows = self._rows(connection, site, who, pseudonym, held, State.LIFTED, jurisdiction=jurisdiction, now_ms=now_ms)
        for purpose, row in rows.items():
            store.add(connection, row)
            rights_store.lift_hold(connection, site, pseudonym, purpose, hold)
        stands = store.current(connection, site, [pseudonym])
        again = [purpose for purpose in held if purpose in stands and stands[purpose].effective == State.GRANTED]
        for purpose in again:
            told = rows[purpose] | {"state": State.GRANTED.value, "expires_ms": stands[purpose].expires_ms}
            outbox.changed(connection, site, [(told, hold)], now_ms=now_ms)
        # Whoever has said nothing else is a stranger again: where the rules presume something of strangers, it holds from here on.
        if let_in := [purpose for purpose in held if purpose in again or purpose not in stands]:
            self._staged.readmit(site, *who, let_in, connection)
        return held

    def _rows(
        self,
        connection: Connection,
        site: str,
        who: tuple[str, str],
        pseudonym: bytes,
        purposes: Sequence[str],
        state: State,
        *,
        jurisdiction: str,
        now_ms: int,
    ) -> dict[str, dict[str, object]]:
        receipt_id = new_id("rcpt", now_ms=now_ms)
        on_receipt = self._subjects.held(site, connection).on_receipt(receipt_id, subject_bytes(*who))
        how = Circumstances("rights", jurisdiction)
        return {
            purpose: records.row(
                receipt_id,
                site,
                pseudonym=pseudonym,
                who=on_receipt,
                change=Change(purpose, state, Cause.RIGHTS, None),
                how=how,
                now_ms=now_ms,
            )
            for purpose in purposes
        }
