"""Who is told of findings, as officers manage it: webhooks and mail addresses. A webhook's secret is shown once, when it is made."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row

from audit import notifications_store as store
from audit.errors import AddressRefused, UnknownSubscription
from audit.notifications import Channel, Notice
from tacit.core.clock import Clock, iso
from tacit.core.db import reading, writing
from tacit.core.errors import Conflict
from tacit.core.evidence import Entry, EvidenceLog
from tacit.core.outgoing import check_url
from tacit.core.rootkey import RootKey
from tacit.core.webhook_signing import new_secret

MOST = 20
MAIL = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,2}$"
"""The usual form of an address, for documents; `put` decides."""

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
"""HTML's definition of a valid e-mail address; no list, no name, no line break can get through."""


class Subscriptions:
    """All subscriptions of one released vault."""

    def __init__(self, engine: Engine, root: RootKey, evidence: EvidenceLog, clock: Clock) -> None:
        self._engine, self._root, self._evidence, self._clock = engine, root, evidence, clock

    def put(
        self, site: str, name: str, *, channel: Channel, address: str, events: Sequence[Notice], actor: str, rotate_secret: bool = False
    ) -> dict[str, Any]:
        """Make a subscription or change one. The answer has `secret` if a new one was made: for a new webhook, or when asked for.

        Raises `WebhookUrlRefused`, `AddressRefused`, and `Conflict` for more than `MOST`.
        """
        if channel is Channel.WEBHOOK:
            check_url(address)
        elif len(address) > 254 or not _ADDRESS.fullmatch(address) or "=?" in address:  # RFC 2047: it would be read as something else
            raise AddressRefused
        now_ms, secret = self._clock.now_ms(), None
        with writing(self._engine) as connection:
            known = {row.name: row for row in store.find(connection, site)}
            before = known.get(name)
            if before is None and len(known) >= MOST:
                raise Conflict(f"a site has at most {MOST} subscriptions", next_step="Delete one first.")
            wrapped = before.secret if before is not None else None
            if channel is Channel.WEBHOOK and (wrapped is None or rotate_secret):
                secret = new_secret()
                wrapped = self._root.wrap(_label(site, name), secret.encode())
            values = {
                "channel": channel.value,
                "address": address,
                "events": json.dumps(sorted({event.value for event in events})),
                "secret": wrapped if channel is Channel.WEBHOOK else None,
                "created_ms": before.created_ms if before is not None else now_ms,
                "changed_ms": now_ms,
            }
            store.put(connection, site, name, values)
            body = {"subscription": name, "channel": channel.value, "events": json.loads(str(values["events"])), "actor": actor}
            self._evidence.append([Entry("subscription.put", site, body)], connection)
            shown = _shown(connection, store.find(connection, site, name)[0])
        return shown | ({"secret": secret} if secret else {})

    def list(self, site: str) -> dict[str, Any]:
        """All subscriptions of a site, and how many messages of each wait, arrived or are dead."""
        with reading(self._engine) as connection:
            return {"subscriptions": [_shown(connection, row) for row in store.find(connection, site)], "next": None}

    def delete(self, site: str, name: str, *, actor: str) -> None:
        """Remove a subscription with everything that was not sent yet. Raises `UnknownSubscription`."""
        with writing(self._engine) as connection:
            if not store.remove(connection, site, name):
                raise UnknownSubscription
            self._evidence.append([Entry("subscription.deleted", site, {"subscription": name, "actor": actor})], connection)


def secret_of(root: RootKey, site: str, name: str, wrapped: bytes) -> str:
    """The secret that a webhook's messages are signed with."""
    return root.unwrap(_label(site, name), wrapped).decode()


def _label(site: str, name: str) -> str:
    return f"subscription {site} {name}"


def _shown(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    return {
        "name": row.name,
        "channel": row.channel,
        "address": row.address,
        "events": json.loads(row.events),
        "created_at": iso(row.created_ms),
        "changed_at": iso(row.changed_ms),
        "messages": store.numbers(connection, row.site, row.name),
    }
