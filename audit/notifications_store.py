"""All SQL of subscriptions and their outbox. Every function works inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from audit.officer_tables import notifications, subscriptions

PENDING, DELIVERED, DEAD = "pending", "delivered", "dead"


def listening(connection: Connection, site: str, event: str) -> list[str]:
    """Names of the subscriptions of a site that want an event."""
    rows = connection.execute(
        select(subscriptions.c.name, subscriptions.c.events).where(subscriptions.c.site == site).order_by(subscriptions.c.name)
    )
    return [row.name for row in rows if event in json.loads(row.events)]


def find(connection: Connection, site: str, name: str | None = None) -> Sequence[Row[Any]]:
    """The subscriptions of a site, or the one of that name."""
    query = select(subscriptions).where(subscriptions.c.site == site).order_by(subscriptions.c.name)
    return connection.execute(query if name is None else query.where(subscriptions.c.name == name)).all()


def put(connection: Connection, site: str, name: str, values: dict[str, Any]) -> None:
    """Make a subscription or give it other values."""
    same = (subscriptions.c.site == site, subscriptions.c.name == name)
    if not connection.execute(update(subscriptions).where(*same).values(**values)).rowcount:
        connection.execute(insert(subscriptions).values(site=site, name=name, **values))


def remove(connection: Connection, site: str, name: str) -> bool:
    """Remove a subscription with all its messages; whether there was one."""
    connection.execute(delete(notifications).where(notifications.c.site == site, notifications.c.subscription == name))
    return connection.execute(delete(subscriptions).where(subscriptions.c.site == site, subscriptions.c.name == name)).rowcount == 1


def enqueue(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Put messages into the outbox."""
    connection.execute(insert(notifications), list(rows))


def take_due(connection: Connection, *, now_ms: int, lease_ms: int, limit: int) -> Sequence[Row[Any]]:
    """Messages to send now with their subscription, the oldest first. Leased: nobody else gets them until the lease has run out."""
    due = connection.execute(
        select(notifications, subscriptions.c.channel, subscriptions.c.address, subscriptions.c.secret)
        .join(subscriptions, (subscriptions.c.site == notifications.c.site) & (subscriptions.c.name == notifications.c.subscription))
        .where(notifications.c.state == PENDING, notifications.c.next_ms <= now_ms)
        .order_by(notifications.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True, of=notifications)
    ).all()
    if due:
        taken = notifications.c.seq.in_([row.seq for row in due])
        connection.execute(update(notifications).where(taken).values(next_ms=now_ms + lease_ms))
    return due


def settle(connection: Connection, seq: int, values: dict[str, Any]) -> None:
    """What became of a message. One that somebody has settled meanwhile stays as it is."""
    connection.execute(update(notifications).where(notifications.c.seq == seq, notifications.c.state == PENDING).values(**values))


def forget(connection: Connection, site: str, before_ms: int) -> int:
    """Delete messages that were settled before a moment; how many."""
    old = (notifications.c.site == site, notifications.c.settled_ms < before_ms)
    return connection.execute(delete(notifications).where(*old)).rowcount


def numbers(connection: Connection, site: str, name: str) -> dict[str, int]:
    """How many messages of a subscription are in which state."""
    rows = connection.execute(
        select(notifications.c.state, func.count())
        .where(notifications.c.site == site, notifications.c.subscription == name)
        .group_by(notifications.c.state)
    )
    return dict.fromkeys((PENDING, DELIVERED, DEAD), 0) | {state: int(number) for state, number in rows}
