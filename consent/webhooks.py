"""Webhooks as officers manage them. A secret is shown when it is made and never again; it is stored wrapped by the root key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Row

from consent import webhooks_store as store
from consent.outbox import Event
from tacit.core.clock import Clock, iso
from tacit.core.db import reading, writing
from tacit.core.errors import Conflict, NotFound
from tacit.core.outgoing import check_url
from tacit.core.rootkey import RootKey
from tacit.core.webhook_signing import new_secret

PAGE = 100
MOST = 20
"""The most webhooks of one site: each change is written once for each of them."""


class UnknownWebhook(NotFound):
    """The site has no webhook of this name."""

    type = "unknown-webhook"
    title = "Unknown webhook"
    default_next_step = "GET /v1/webhooks lists the site's webhooks."


class Webhooks:
    """All webhooks of one intake vault."""

    def __init__(self, engine: Engine, root: RootKey, clock: Clock) -> None:
        self._engine, self._root, self._clock = engine, root, clock

    def put(self, site: str, name: str, *, url: str, events: Sequence[Event], rotate_secret: bool = False) -> dict[str, Any]:
        """Make a webhook or change one. The answer has `secret` if a new one was made: for a new webhook, or when asked for.

        Raises `WebhookUrlRefused`, and `Conflict` for more than `MOST` webhooks.
        """
        check_url(url)
        now_ms, secret = self._clock.now_ms(), new_secret()
        values: dict[str, Any] = {"url": url, "events": json.dumps(sorted({event.value for event in events})), "changed_ms": now_ms}
        wrapped = self._root.wrap(_label(site, name), secret.encode())
        with writing(self._engine) as connection:
            known = store.find(connection, site)
            fresh = name not in {row.name for row in known}
            if fresh and len(known) >= MOST:
                raise Conflict(f"a site has at most {MOST} webhooks", next_step="Delete one first.")
            if fresh:
                store.add(connection, {"site": site, "name": name, "secret": wrapped, "created_ms": now_ms, **values})
            else:
                store.change(connection, site, name, values | ({"secret": wrapped} if rotate_secret else {}))
            stored = store.find(connection, site, name)[0]
            numbers = store.numbers(connection, site, name)
        return _shown(stored, numbers) | ({"secret": secret} if fresh or rotate_secret else {})

    def get(self, site: str, name: str) -> dict[str, Any]:
        """One webhook. Raises `UnknownWebhook`."""
        with reading(self._engine) as connection:
            found = store.find(connection, site, name)
            if not found:
                raise UnknownWebhook
            return _shown(found[0], store.numbers(connection, site, name))

    def list(self, site: str) -> dict[str, Any]:
        """All webhooks of a site."""
        with reading(self._engine) as connection:
            shown = [_shown(row, store.numbers(connection, site, row.name)) for row in store.find(connection, site)]
        return {"webhooks": shown, "next": None}

    def delete(self, site: str, name: str) -> None:
        """Remove a webhook with everything that was not sent yet. Raises `UnknownWebhook`."""
        with writing(self._engine) as connection:
            if not store.remove(connection, site, name):
                raise UnknownWebhook

    def messages(self, site: str, name: str, *, state: str | None = None, limit: int = PAGE, after: int = 0) -> dict[str, Any]:
        """Messages of a webhook in order, and where to go on. Raises `UnknownWebhook`."""
        with reading(self._engine) as connection:
            if not store.find(connection, site, name):
                raise UnknownWebhook
            rows = store.messages(connection, site, name, state=state, after=after, limit=limit + 1)
        return {"messages": [_message(row) for row in rows[:limit]], "next": str(rows[limit - 1].seq) if len(rows) > limit else None}

    def retry(self, site: str, name: str) -> int:
        """Send dead messages once more; how many. Raises `UnknownWebhook`."""
        with writing(self._engine) as connection:
            if not store.find(connection, site, name):
                raise UnknownWebhook
            return store.revive(connection, site, name, now_ms=self._clock.now_ms())

    def secret_of(self, row: Row[Any]) -> str:
        """The secret of a stored webhook or of a message that was read with it."""
        name = row.webhook if "webhook" in row._mapping else row.name
        return self._root.unwrap(_label(row.site, name), row.secret).decode()


def _label(site: str, name: str) -> str:
    return f"webhook {site} {name}"


def _shown(row: Row[Any], numbers: dict[str, int]) -> dict[str, Any]:
    return {
        "name": row.name,
        "url": row.url,
        "events": json.loads(row.events),
        "created_at": iso(row.created_ms),
        "changed_at": iso(row.changed_ms),
        "messages": numbers,
    }


def _message(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "event": row.event,
        "state": row.state,
        "attempts": row.attempts,
        "outcome": row.outcome,
        "created_at": iso(row.created_ms),
        "next_at": iso(row.next_ms) if row.state == store.PENDING else None,
        "settled_at": iso(row.settled_ms) if row.settled_ms is not None else None,
        "body": json.loads(row.body),
    }
