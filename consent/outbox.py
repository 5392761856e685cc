"""What webhooks are told, written beside the change itself: a message exists exactly when the change was committed.

A message names a receipt, a purpose and a state, and no person: whoever recorded the choice has the receipt and knows whose it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine

from consent import webhooks_store as store
from consent.models import State
from tacit.core.clock import iso
from tacit.core.db import writing
from tacit.core.evidence import canonical
from tacit.core.ids import new_id


class Event(StrEnum):
    """What a webhook may ask for."""

    GRANTED = "consent.granted"
    WITHDRAWN = "consent.withdrawn"
    EXPIRED = "consent.expired"
    STALE = "consent.stale"


def changed(connection: Connection, site: str, records: Iterable[tuple[Mapping[str, Any], str | None]], *, now_ms: int) -> None:
    """Tell of new records of a site, each with the state before it. A refusal after a grant ends it and is told as `consent.withdrawn`; any
    other refusal is nothing new.
    """
    told = [(event, row) for row, before in records if (event := _event_of(row["state"], before)) is not None]
    if told:
        listening = store.listening(connection, site)
        for event, row in told:
            _announce(connection, listening[event], event, row, now_ms=now_ms)


def stale(connection: Connection, site: str, seqs: Iterable[int], *, now_ms: int) -> None:
    """Tell of grants that a new notice has made stale, by the numbers of the records they rest on. For the transaction that does so."""
    if names := store.listening(connection, site)[Event.STALE]:
        for row in store.records(connection, site, seqs):
            _announce(connection, names, Event.STALE, dict(row._mapping), now_ms=now_ms)


def announce_lapses(engine: Engine, site: str, *, now_ms: int) -> None:
    """Tell of the grants that lapsed since the last look, each once. What lapsed before anybody listened stays untold."""
    with writing(engine) as connection:
        after_ms = store.mark(connection, site)
        if after_ms is not None and after_ms >= now_ms:
            return
        if after_ms is not None and (names := store.listening(connection, site)[Event.EXPIRED]):
            for row in store.lapses(connection, site, after_ms=after_ms, until_ms=now_ms):
                _announce(connection, names, Event.EXPIRED, dict(row._mapping), now_ms=now_ms)
        store.set_mark(connection, site, now_ms, known=after_ms is not None)


def _event_of(state: str, before: str | None) -> Event | None:
    if state == State.STALE:
        return Event.STALE
    if state == State.GRANTED:
        return Event.GRANTED
    return Event.WITHDRAWN if state == State.WITHDRAWN or before == State.GRANTED else None


def _announce(connection: Connection, names: Sequence[str], event: Event, row: Mapping[str, Any], *, now_ms: int) -> None:
    if not names:
        return
    content = {
        "type": event.value,
        "timestamp": iso(now_ms),
        "data": {
            "site": row["site"],
            "receipt_id": row["receipt_id"],
            "purpose": row["purpose"],
            "state": event.value.partition(".")[2] if event in (Event.EXPIRED, Event.STALE) else row["state"],
            "reason": row["reason"],
            "notice": json.loads(row["notice"]) if row["notice"] else None,
            "jurisdiction": row["jurisdiction"],
            "at": iso(row["at_ms"]),
            "expires_at": iso(row["expires_ms"]) if row["expires_ms"] is not None else None,
        },
    }
    body = canonical(content).decode()
    message = {"site": row["site"], "event": event.value, "body": body, "state": store.PENDING, "attempts": 0}
    times = {"created_ms": now_ms, "next_ms": now_ms}
    store.enqueue(connection, [{"id": new_id("msg", now_ms=now_ms), "webhook": name, **message, **times} for name in names])
