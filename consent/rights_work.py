"""What a rights request does: changes in one transaction with the request's own row, then what can only be done after it has committed."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection, Engine

from consent import erasure_store, rights_store
from consent.disclosure import disclosure
from consent.errors import UnknownPurpose
from consent.holds import Holds
from consent.models import Cause, Change, Circumstances, State
from consent.ports import StagedCounts, StagedData
from consent.receipts import Receipts
from consent.rights_models import LAST_LOOK_MISSING, LOG_NOT_EMPTIED, ROWS_STAGED, Kind, RightsRequest, Status
from consent.service import PAGE, ConsentService
from consent.store import current
from consent.subjects import Subjects
from tacit.core.clock import Clock, iso
from tacit.core.db import empty_wal, reading, writing
from tacit.core.declaration import BOOKKEEPING, PURPOSES, Declaration
from tacit.core.evidence import canonical
from tacit.core.mac import subject_bytes

EXPORT_SCHEMA = "tacit-export 1"

_ERASED = {
    "tombstone": "kept, so that nothing is counted without a new grant",
    "commitments": "their nonces are destroyed",
}


class RightsWork:
    """Does the work of `Rights`."""

    def __init__(
        self,
        engine: Engine,
        subjects: Subjects,
        consent: ConsentService,
        staged: StagedData,
        counts: StagedCounts,
        signer: Receipts,
        declaration: Declaration,
        clock: Clock,
    ) -> None:
        self._engine, self._subjects, self._consent, self._staged, self._counts = engine, subjects, consent, staged, counts
        self.signer, self._declaration, self._clock = signer, declaration, clock
        self._holds = Holds(subjects, staged)

    def change(self, connection: Connection, site: str, request_id: str, request: RightsRequest, *, now_ms: int) -> dict[str, Any]:
        """What a request changes, within the transaction that notes it. What it returns is for `afterwards`."""
        who = (request.id_type, request.subject)
        if request.kind is Kind.ERASE:
            done = self._erase(connection, site, who, now_ms=now_ms)
            # If we are killed before the last look, the worker has it.
            left = canonical({"records_left": 0, **_ERASED}).decode()
            rights_store.change(connection, site, request_id, reason=LAST_LOOK_MISSING, summary=left)
            return done
        purposes = _known(request.purposes)
        jurisdiction = self._declaration.sites[site].jurisdiction
        if request.kind is Kind.LIFT:
            if request.of is None:
                raise UnknownPurpose("say what is to be lifted")
            purposes = self._holds.lift(connection, site, who, purposes, request.of, jurisdiction=jurisdiction, now_ms=now_ms)
        else:
            hold = State.OBJECTED if request.kind is Kind.OBJECT else State.RESTRICTED
            self._holds.put(connection, site, who, purposes, hold, jurisdiction=jurisdiction, now_ms=now_ms)
        done = {"purposes": purposes} | ({"of": request.of.value} if request.of else {})
        rights_store.change(connection, site, request_id, **_finished(done, now_ms=now_ms))
        return done

    def afterwards(self, site: str, request_id: str, request: RightsRequest, done: dict[str, Any]) -> dict[str, Any] | None:
        """What the person gets, and for an erasure the look at whether it has left anything."""
        if request.kind in (Kind.ACCESS, Kind.EXPORT):
            return self._tell(site, request_id, request)
        if request.kind is Kind.ERASE and "receipts" in done:
            return self._verify(site, request_id, (request.id_type, request.subject), done)
        return done or None

    def finish(self, site: str, request_id: str, summary: dict[str, Any] | None = None) -> None:
        """Complete a request that is in progress. Without a summary it keeps the one it has."""
        with writing(self._engine) as connection:
            row = rights_store.find(connection, site, request_id, lock=True)
            if row is not None and row.state == Status.IN_PROGRESS:
                values = _finished(summary, now_ms=self._clock.now_ms())
                rights_store.change(connection, site, request_id, **values)

    def _tell(self, site: str, request_id: str, request: RightsRequest) -> dict[str, Any]:
        """Everything there is of the person. Not kept: a repeat gets what there is then."""
        who = (request.id_type, request.subject)
        records: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self._consent.history(site, *who, limit=PAGE, cursor=cursor)
            records += page["records"]
            cursor = page["next"]
            if cursor is None:
                break
        with reading(self._engine) as connection:
            pseudonyms = self._subjects.held(site, connection).pseudonyms(subject_bytes(*who))
            served = [row for rows in self._subjects.others for row in rows.of(connection, site, pseudonyms)]
            holds = [
                {"purpose": row.purpose, "kind": kind, "since": iso(since)}
                for row in current(connection, site, pseudonyms).values()
                for kind, since in (("objection", row.objected_ms), ("restriction", row.restricted_ms))
                if since is not None
            ]
        results: dict[str, Any] = {
            "id_type": request.id_type,
            "found": bool(records or served or holds),
            "consent": self._consent.query(site, *who)["purposes"],
            "records": records,
            "holds": holds,
            "notices_served": served,
            "staged": self._counts.count(site, *who),
        }
        if request.kind is Kind.ACCESS:
            results["about"] = disclosure(self._declaration.sites[site])
        else:
            results = {"schema": EXPORT_SCHEMA, "made_at": iso(self._clock.now_ms()), **results}
        self.finish(site, request_id, {"results_sha256": hashlib.sha256(canonical(results)).hexdigest()})
        return results

    def _erase(self, connection: Connection, site: str, who: tuple[str, str], *, now_ms: int) -> dict[str, Any]:
        changes = [Change(purpose, State.WITHDRAWN, Cause.RIGHTS, None) for purpose in PURPOSES]
        how = Circumstances("rights", self._declaration.sites[site].jurisdiction)
        receipt = self._consent.apply(connection, site, changes, how, now_ms=now_ms, staged_as=who)
        self._staged.withdraw(site, *who, [BOOKKEEPING], connection)
        person = subject_bytes(*who)
        pseudonym = self._subjects.settle(site, person, connection)
        mac = self._subjects.fingerprint(site, b"person " + person)
        receipts = erasure_store.erase(connection, site, pseudonym, person_mac=mac)
        erasure_store.bury(connection, site, pseudonym)
        for rows in self._subjects.others:
            rows.erase(connection, site, pseudonym)
        if erasure_store.left_of(connection, site, [pseudonym]):
            raise AssertionError("records were left")
        return {"receipts": receipts, "withdrawal": receipt}

    def _verify(self, site: str, request_id: str, who: tuple[str, str], done: dict[str, Any]) -> dict[str, Any]:
        """Look whether anything is left, and complete the request when nothing is."""
        with writing(self._engine) as connection:
            undelivered = erasure_store.forget_messages(connection, site, done["receipts"])
        rows = sum(one["rows"] for one in self._counts.count(site, *who))
        emptied = empty_wal(self._engine)
        summary = {
            "records_left": 0,
            "staged_rows_left": rows,
            "messages_to_deliver": undelivered,
            **_ERASED,
        }
        if rows and not self._granted_again(site, who):
            self._leave_open(site, request_id, ROWS_STAGED, summary)
        elif not emptied:
            self._leave_open(site, request_id, LOG_NOT_EMPTIED, summary)
        else:
            self.finish(site, request_id, summary)
        return {"withdrawal_receipt": done["withdrawal"], **summary}

    def _granted_again(self, site: str, who: tuple[str, str]) -> bool:
        return any(purpose["state"] == State.GRANTED for purpose in self._consent.query(site, *who)["purposes"].values())

    def _leave_open(self, site: str, request_id: str, reason: str, summary: dict[str, Any]) -> None:
        with writing(self._engine) as connection:
            row = rights_store.find(connection, site, request_id, lock=True)
            if row is not None and row.state == Status.IN_PROGRESS:
                rights_store.change(connection, site, request_id, reason=reason, summary=canonical(summary).decode())


def _finished(summary: dict[str, Any] | None, *, now_ms: int) -> dict[str, Any]:
    values: dict[str, Any] = {"state": Status.COMPLETED.value, "reason": None, "finished_ms": now_ms}
    return values if summary is None else values | {"summary": canonical(summary).decode()}


def _known(purposes: Any) -> list[str]:
    if purposes is None:
        return list(PURPOSES)
    if not purposes or not set(purposes) <= set(PURPOSES):
        raise UnknownPurpose
    return [purpose for purpose in PURPOSES if purpose in purposes]
