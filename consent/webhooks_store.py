"""All SQL of webhooks and their outbox. Every function works inside the caller's transaction.

A message stands in the outbox if and only if the change that it tells of was committed, because both are one transaction.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from consent.models import State
from consent.officer_tables import lapse_marks, webhook_outbox, webhooks
from consent.tables import consent_records, consent_state

PENDING, DELIVERED, DEAD = "pending", "delivered", "dead"


def listening(connection: Connection, site: str) -> defaultdict[str, list[str]]:
    """Names of the webhooks of a site by the event that they want."""
    names = defaultdict[str, list[str]](list)
    for row in connection.execute(select(webhooks.c.name, webhooks.c.events).where(webhooks.c.site == site).order_by(webhooks.c.name)):
        for event in json.loads(row.events):
            names[event].append(row.name)
    return names


def find(connection: Connection, site: str, name: str | None = None) -> Sequence[Row[Any]]:
    """The webhooks of a site, or the one of that name."""
    query = select(webhooks).where(webhooks.c.site == site).order_by(webhooks.c.name)
    return connection.execute(query if name is None else query.where(webhooks.c.name == name)).all()


def add(connection: Connection, row: dict[str, Any]) -> None:
    """A new webhook."""
    connection.execute(insert(webhooks).values(**row))


def change(connection: Connection, site: str, name: str, values: dict[str, Any]) -> None:
    """Other values for a webhook that there is."""
    connection.execute(update(webhooks).where(webhooks.c.site == site, webhooks.c.name == name).values(**values))


def remove(connection: Connection, site: str, name: str) -> bool:
    """Remove a webhook with all its messages; whether there was one."""
    connection.execute(delete(webhook_outbox).where(webhook_outbox.c.site == site, webhook_outbox.c.webhook == name))
    return connection.execute(delete(webhooks).where(webhooks.c.site == site, webhooks.c.name == name)).rowcount == 1


def enqueue(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Put messages into the outbox."""
    if rows:
        connection.execute(insert(webhook_outbox), list(rows))


def take_due(connection: Connection, *, now_ms: int, lease_ms: int, limit: int) -> Sequence[Row[Any]]:
    """Messages to send now with their webhook, the oldest first. They are leased: nobody else gets them until the lease has run out."""
    due = connection.execute(
        select(webhook_outbox, webhooks.c.url, webhooks.c.secret)
        .join(webhooks, (webhooks.c.site == webhook_outbox.c.site) & (webhooks.c.name == webhook_outbox.c.webhook))
        .where(webhook_outbox.c.state == PENDING, webhook_outbox.c.next_ms <= now_ms)
        .order_by(webhook_outbox.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True, of=webhook_outbox)
    ).all()
    if due:
        taken = webhook_outbox.c.seq.in_([row.seq for row in due])
        connection.execute(update(webhook_outbox).where(taken).values(next_ms=now_ms + lease_ms))
    return due


def settle(connection: Connection, seq: int, values: dict[str, Any]) -> None:
    """What became of a message. One that somebody has settled meanwhile stays as it is."""
    connection.execute(update(webhook_outbox).where(webhook_outbox.c.seq == seq, webhook_outbox.c.state == PENDING).values(**values))


def messages(connection: Connection, site: str, name: str, *, state: str | None, after: int, limit: int) -> Sequence[Row[Any]]:
    """Messages of a webhook in order."""
    query = select(webhook_outbox).where(webhook_outbox.c.site == site, webhook_outbox.c.webhook == name, webhook_outbox.c.seq > after)
    if state is not None:
        query = query.where(webhook_outbox.c.state == state)
    return connection.execute(query.order_by(webhook_outbox.c.seq).limit(limit)).all()


def numbers(connection: Connection, site: str, name: str) -> dict[str, int]:
    """How many messages of a webhook are in which state."""
    rows = connection.execute(
        select(webhook_outbox.c.state, func.count())
        .where(webhook_outbox.c.site == site, webhook_outbox.c.webhook == name)
        .group_by(webhook_outbox.c.state)
    )
    return dict.fromkeys((PENDING, DELIVERED, DEAD), 0) | {state: int(number) for state, number in rows}


def revive(connection: Connection, site: str, name: str, *, now_ms: int) -> int:
    """Send dead messages once more, with a whole new series of attempts; how many there are."""
    dead = (webhook_outbox.c.site == site, webhook_outbox.c.webhook == name, webhook_outbox.c.state == DEAD)
    again = {"state": PENDING, "next_ms": now_ms, "attempts": 0, "created_ms": now_ms, "settled_ms": None}
    return connection.execute(update(webhook_outbox).where(*dead).values(**again)).rowcount


def lapses(connection: Connection, site: str, *, after_ms: int, until_ms: int) -> Sequence[Row[Any]]:
    """Grants that lapsed after one moment and not after another, with the record each rests on."""
    return connection.execute(
        select(consent_records)
        .join(consent_state, consent_state.c.seq == consent_records.c.seq)
        .where(consent_state.c.site == site, consent_state.c.state == State.GRANTED.value)
        .where(consent_state.c.expires_ms > after_ms, consent_state.c.expires_ms <= until_ms)
        .order_by(consent_state.c.expires_ms)
    ).all()


def records(connection: Connection, site: str, seqs: Iterable[int]) -> Sequence[Row[Any]]:
    """Records by number."""
    wanted = consent_records.c.seq.in_(list(seqs))
    return connection.execute(select(consent_records).where(consent_records.c.site == site, wanted).order_by(consent_records.c.seq)).all()


def mark(connection: Connection, site: str) -> int | None:
    """Up to which moment lapses of a site were announced, locked; None where nobody has looked yet."""
    return connection.scalar(select(lapse_marks.c.until_ms).where(lapse_marks.c.site == site).with_for_update())


def set_mark(connection: Connection, site: str, until_ms: int, *, known: bool) -> None:
    """Note up to which moment lapses were announced."""
    if known:
        connection.execute(update(lapse_marks).where(lapse_marks.c.site == site).values(until_ms=until_ms))
    else:
        connection.execute(insert(lapse_marks).values(site=site, until_ms=until_ms))
