"""Rights requests: access, export, erasure, objection and restriction by a presented identifier.

A request is a row without a person: whoever holds its id knows whom it is about. Each has a state, a time by which it must be finished and,
when it is, a signed proof whose hash stands in the evidence log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from consent import repeats, rights_store, store
from consent.errors import CursorInvalid, RequestSettled, RequestUnknown
from consent.ports import InclusionProofs, NothingProven
from consent.rights_answers import answer, proof_of, row_of
from consent.rights_models import (
    LAST_LOOK_MISSING,
    LOG_NOT_EMPTIED,
    UNVERIFIED,
    VERIFICATION_NEEDED,
    Kind,
    Level,
    Refusal,
    RightsRequest,
    Status,
)
from consent.rights_work import RightsWork
from consent.subjects import Subjects
from tacit.core.clock import Clock
from tacit.core.db import empty_wal, reading, writing
from tacit.core.declaration import Declaration
from tacit.core.errors import StorageUnavailable
from tacit.core.evidence import Entry, canonical
from tacit.core.ids import new_id
from tacit.core.mac import subject_bytes

PAGE = 100
EXTENSION_MS = 60 * 86_400_000
"""Art. 12(3) GDPR: two further months where necessary, once."""

_ATTEMPTS = 10
_READING = frozenset({Kind.ACCESS, Kind.EXPORT})


class Rights:
    """Rights requests of all sites of one intake vault."""

    def __init__(
        self,
        engine: Engine,
        subjects: Subjects,
        work: RightsWork,
        declaration: Declaration,
        clock: Clock,
        *,
        log: InclusionProofs | None = None,
    ) -> None:
        self._engine, self._subjects, self._work = engine, subjects, work
        self._declaration, self._clock, self._log = declaration, clock, log or NothingProven()

    def ask(self, site: str, request: RightsRequest, *, idempotency_key: str | None = None) -> dict[str, Any]:
        """Take a request, or take an open one up again, and do what it asks for as far as the caller's attestation allows.

        Raises `UnknownPurpose`, `RequestUnknown`, `RequestSettled`, `IdempotencyConflict`, `StorageUnavailable`.
        """
        person, now_ms = subject_bytes(request.id_type, request.subject), self._clock.now_ms()
        self._subjects.ring(site)  # before the transaction, like the next line: a site's first call makes its keys
        self._subjects.fingerprint(site, b"")
        repeat = repeats.repeat(self._subjects, site, idempotency_key, _asked(request), person=person)
        for _ in range(_ATTEMPTS):
            try:
                with writing(self._engine) as connection:
                    earlier = repeats.replayed(connection, site, repeat, now_ms=now_ms)
                    row = self._taken_up(connection, site, request, earlier, now_ms=now_ms)
                    done: dict[str, Any] = {}
                    undone = row.state == Status.IN_PROGRESS and row.reason in (None, LAST_LOOK_MISSING)
                    if undone and request.kind not in _READING and _attested(request):
                        done = self._work.change(connection, site, row.id, request, now_ms=now_ms)
                    if repeat and not earlier:  # after the work: erasure deletes what is kept of the person's earlier requests
                        kept = replace(repeat, person=None) if request.kind is Kind.ERASE else repeat
                        store.remember(connection, site, kept, {"request_id": row.id}, now_ms=now_ms)
                break
            except IntegrityError:  # Postgres: the same person or key was written between our look and our insert
                continue
        else:
            raise StorageUnavailable("too many writes for one person at once")
        # A repeat is not asked again what it attested: it may repeat what was rejected, or was only ever granted to a better attested one.
        granted = row.state in (Status.IN_PROGRESS, Status.COMPLETED) and _attested(request)
        results = self._work.afterwards(site, row.id, request, done) if granted else None
        return {**self.query(site, row.id), "results": results}

    def query(self, site: str, request_id: str) -> dict[str, Any]:
        """A request as it stands, without what it gave. Raises `RequestUnknown`."""
        with reading(self._engine) as connection:
            row = rights_store.find(connection, site, request_id)
        if row is None:
            raise RequestUnknown
        return answer(row, self._work.signer, self._log, now_ms=self._clock.now_ms())

    def requests(self, site: str, *, status: Status | None = None, limit: int = PAGE, cursor: str | None = None) -> dict[str, Any]:
        """`{"requests", "next", "overdue"}`, in the order they came, without anything of a person. Raises `CursorInvalid`."""
        size, now_ms = max(1, min(limit, PAGE)), self._clock.now_ms()
        if cursor is not None and not (cursor.isascii() and len(cursor) <= 40):
            raise CursorInvalid
        with reading(self._engine) as connection:
            rows = rights_store.page(connection, site, state=status.value if status else None, after=cursor, limit=size + 1)
            late = bool(rights_store.overdue(connection, site, now_ms=now_ms))
        shown = [row_of(row, now_ms=now_ms) for row in rows[:size]]
        return {"requests": shown, "next": rows[size - 1].id if len(rows) > size else None, "overdue": late}

    def reject(self, site: str, request_id: str, refusal: Refusal) -> dict[str, Any]:
        """Refuse a request that has changed nothing yet; the reason goes into the proof. Raises `RequestUnknown`, `RequestSettled`."""
        with writing(self._engine) as connection:
            row = self._open(connection, site, request_id)
            if row.state != Status.PENDING and row.kind not in _READING:
                raise RequestSettled("what it asks for has been done but for the last look", next_step="It is finished by itself.")
            values = {"state": Status.REJECTED.value, "reason": refusal.value, "finished_ms": self._clock.now_ms()}
            rights_store.change(connection, site, request_id, **values)
        return self.query(site, request_id)

    def extend(self, site: str, request_id: str) -> dict[str, Any]:
        """Give an open request two more months, once (Art. 12(3) GDPR). Raises `RequestUnknown`, `RequestSettled`."""
        with writing(self._engine) as connection:
            row = self._open(connection, site, request_id)
            if row.due_ms >= row.received_ms + self._due_ms(site) + EXTENSION_MS:
                raise RequestSettled("its time was extended already", next_step="Finish it or reject it.")
            rights_store.change(connection, site, request_id, due_ms=row.due_ms + EXTENSION_MS)
        return self.query(site, request_id)

    def tend(self, site: str) -> None:
        """Finish erasures that only waited for the write-ahead log. For the worker; may be repeated."""
        with reading(self._engine) as connection:
            waiting = rights_store.waiting_for_the_log(connection, site, now_ms=self._clock.now_ms())
        if waiting and empty_wal(self._engine):
            for row in waiting:
                self._work.finish(site, row.id)

    def overdue(self, site: str) -> list[str]:
        """The kinds of the requests that should have been finished by now, most overdue first."""
        with reading(self._engine) as connection:
            rows = rights_store.overdue(connection, site, now_ms=self._clock.now_ms())
        return list(dict.fromkeys(row.kind for row in rows))

    def pending_evidence(self, limit: int) -> list[tuple[str, Entry]]:
        """Finished requests that the evidence log does not know yet: the hash of each proof's content, and nothing else."""
        with reading(self._engine) as connection:
            rows = rights_store.unevidenced(connection, limit)
        return [
            (row.id, Entry("rights.finished", row.site, {"proof_sha256": hashlib.sha256(canonical(proof_of(row))).hexdigest()}))
            for row in rows
        ]

    def set_evidence(self, indices: Mapping[str, int]) -> None:
        """Note which index in the evidence log each finished request got."""
        with writing(self._engine) as connection:
            for request_id, index in indices.items():
                rights_store.set_evidence(connection, request_id, index)

    def _taken_up(
        self, connection: Connection, site: str, request: RightsRequest, earlier: Mapping[str, str] | None, *, now_ms: int
    ) -> Row[Any]:
        """The request's row: a new one, or an open one that is taken up. A finished one is given back only to a repeat."""
        request_id = earlier["request_id"] if earlier else request.request_id
        if request_id is None:
            request_id = new_id("rights", now_ms=now_ms)
            rights_store.add(
                connection,
                {
                    "id": request_id,
                    "site": site,
                    "kind": request.kind.value,
                    "state": Status.PENDING.value,
                    "reason": VERIFICATION_NEEDED,
                    "level": request.verification.level.value,
                    "method": request.verification.method,
                    "received_ms": now_ms,
                    "due_ms": now_ms + self._due_ms(site),
                    "summary": "{}",
                },
            )
        elif not earlier:
            open_row = self._open(connection, site, request_id)
            if open_row.kind != request.kind or open_row.reason == LOG_NOT_EMPTIED:
                raise RequestSettled
        attested = request.verification
        if not earlier and _attested(request):
            values = {"level": attested.level.value, "method": attested.method}
            rights_store.change(connection, site, request_id, state=Status.IN_PROGRESS.value, reason=None, **values)
        row = rights_store.find(connection, site, request_id)
        if row is None:
            raise RequestUnknown
        return row

    def _open(self, connection: Connection, site: str, request_id: str) -> Row[Any]:
        row = rights_store.find(connection, site, request_id, lock=True)
        if row is None:
            raise RequestUnknown
        if row.state not in rights_store.OPEN:
            raise RequestSettled
        return row

    def _due_ms(self, site: str) -> int:
        return self._declaration.sites[site].rights_due_ms


def _attested(request: RightsRequest) -> bool:
    """Whether the caller is as sure of who asks as this kind of request needs."""
    return request.verification.level is not Level.NONE or request.kind in UNVERIFIED


def _asked(request: RightsRequest) -> dict[str, Any]:
    return {
        "do": f"rights.{request.kind.value}",
        "level": request.verification.level.value,
        "method": request.verification.method,
        "purposes": list(request.purposes) if request.purposes is not None else None,
        "of": request.of.value if request.of else None,
        "request_id": request.request_id,
    }
