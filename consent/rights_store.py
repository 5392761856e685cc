"""The SQL of rights requests, objections and restrictions. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from consent.models import NOT_ASKED, State
from consent.rights_models import LAST_LOOK_MISSING, LOG_NOT_EMPTIED, Kind, Status
from consent.rights_tables import rights_requests
from consent.tables import consent_state

CUT_OFF_MS = 10 * 60_000
"""By then the process that erased has looked whether anything is left, or has died."""

OPEN = (Status.PENDING.value, Status.IN_PROGRESS.value)


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    """A new request."""
    connection.execute(insert(rights_requests).values(**row))


def change(connection: Connection, site: str, request_id: str, **values: Any) -> None:
    """Other values for a request."""
    connection.execute(update(rights_requests).where(rights_requests.c.site == site, rights_requests.c.id == request_id).values(**values))


def find(connection: Connection, site: str, request_id: str, *, lock: bool = False) -> Row[Any] | None:
    """A request of a site; with `lock` it stays as it is until the transaction ends."""
    query = select(rights_requests).where(rights_requests.c.site == site, rights_requests.c.id == request_id)
    return connection.execute(query.with_for_update() if lock else query).first()


def page(connection: Connection, site: str, *, state: str | None, after: str | None, limit: int) -> Sequence[Row[Any]]:
    """Requests in the order they came, from the one after `after` on."""
    query = select(rights_requests).where(rights_requests.c.site == site).order_by(rights_requests.c.id).limit(limit)
    if state is not None:
        query = query.where(rights_requests.c.state == state)
    return connection.execute(query if after is None else query.where(rights_requests.c.id > after)).all()


def overdue(connection: Connection, site: str, *, now_ms: int) -> Sequence[Row[Any]]:
    """Requests that should have been finished by now."""
    late = (rights_requests.c.site == site, rights_requests.c.state.in_(OPEN), rights_requests.c.due_ms < now_ms)
    return connection.execute(select(rights_requests).where(*late).order_by(rights_requests.c.due_ms)).all()


def waiting_for_the_log(connection: Connection, site: str, *, now_ms: int) -> Sequence[Row[Any]]:
    """Erasures done but for the write-ahead log, which a reader kept from being emptied, or whose process died before it looked."""
    cut_off = and_(rights_requests.c.reason == LAST_LOOK_MISSING, rights_requests.c.received_ms < now_ms - CUT_OFF_MS)
    waiting = (rights_requests.c.state == Status.IN_PROGRESS.value, or_(rights_requests.c.reason == LOG_NOT_EMPTIED, cut_off))
    here = (rights_requests.c.site == site, rights_requests.c.kind == Kind.ERASE.value)
    return connection.execute(select(rights_requests).where(*here, *waiting)).all()


def unevidenced(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """Finished requests that the evidence log does not know yet, oldest first."""
    waiting = (rights_requests.c.finished_ms.is_not(None), rights_requests.c.evidence_index.is_(None))
    return connection.execute(select(rights_requests).where(*waiting).order_by(rights_requests.c.id).limit(limit)).all()


def set_evidence(connection: Connection, request_id: str, index: int) -> None:
    """Note where a finished request stands in the evidence log."""
    here = (rights_requests.c.id == request_id, rights_requests.c.evidence_index.is_(None))
    connection.execute(update(rights_requests).where(*here).values(evidence_index=index))


def put_hold(connection: Connection, row: Mapping[str, Any], hold: State, *, now_ms: int, known: bool) -> None:
    """Let an objection or a restriction stand over the purpose of its record. One that stands already keeps its time."""
    column = _column(hold)
    if not known:
        new = {name: row[name] for name in ("site", "pseudonym", "purpose", "seq", "jurisdiction")}
        connection.execute(insert(consent_state).values(**new, state=NOT_ASKED, **{column: now_ms}))
        return
    here = (*_person(row["site"], row["pseudonym"]), consent_state.c.purpose == row["purpose"], consent_state.c[column].is_(None))
    connection.execute(update(consent_state).where(*here).values({column: now_ms}))


def lift_hold(connection: Connection, site: str, pseudonym: bytes, purpose: str, hold: State) -> None:
    """Take it back. Of somebody who was never asked nothing is left."""
    here = (*_person(site, pseudonym), consent_state.c.purpose == purpose)
    connection.execute(update(consent_state).where(*here).values({_column(hold): None}))
    free = (consent_state.c.objected_ms.is_(None), consent_state.c.restricted_ms.is_(None))
    connection.execute(delete(consent_state).where(*here, *free, consent_state.c.state == NOT_ASKED))


def _column(hold: State) -> str:
    return {State.OBJECTED: "objected_ms", State.RESTRICTED: "restricted_ms"}[hold]


def _person(site: str, pseudonym: bytes) -> tuple[Any, ...]:
    return consent_state.c.site == site, consent_state.c.pseudonym == pseudonym
