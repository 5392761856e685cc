"""Sends what is in the outbox. At least once and in no promised order: a receiver acts on each `webhook-id` once and goes by `data.at`.

An attempt that is not answered with 2xx is repeated after a time that grows fourfold, until the message is three days old; then it is
dead, and is kept for somebody to look at. `tacit.core.outgoing` says how one is sent.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row

from consent import webhooks_store as store
from consent.webhooks import Webhooks
from tacit.core import logs, outgoing
from tacit.core.clock import Clock
from tacit.core.db import writing
from tacit.core.outgoing import GIVE_UP_MS, wait_ms

LEASE_MS = 15 * 60_000
BATCH = 50
POLL_SECONDS = 1.0
GONE = 410

logs.allow(["webhooks", "webhook.dead", "webhook.put_off", "webhooks.failed"])
_log = logs.Log("webhooks")


@dataclass(frozen=True, slots=True)
class Sent:
    """What one pass did with the messages it took."""

    delivered: int = 0
    put_off: int = 0
    dead: int = 0


class Deliveries:
    """Delivers for one worker. Any number of workers may run: a message is leased to one of them while it is being sent."""

    def __init__(self, engine: Engine, webhooks: Webhooks, clock: Clock) -> None:
        self._engine, self._webhooks, self._clock = engine, webhooks, clock

    def once(self) -> Sent:
        """Send the messages that are due, at most `BATCH`. A webhook that fails once is left alone for the rest of the pass."""
        with writing(self._engine) as connection:
            due = store.take_due(connection, now_ms=self._clock.now_ms(), lease_ms=LEASE_MS, limit=BATCH)
        if not due:
            return Sent()
        failed: set[tuple[str, str]] = set()
        delivered = put_off = dead = 0
        for row in due:
            place = (row.site, row.webhook)
            if place in failed:
                self._settle(row, {"next_ms": self._clock.now_ms() + wait_ms(1)})
                put_off += 1
                continue
            outcome = self._send(row)
            if outgoing.is_delivered(outcome):
                self._settle(row, {"state": store.DELIVERED, "outcome": outcome, "settled_ms": self._clock.now_ms()}, tried=True)
                delivered += 1
                continue
            failed.add(place)
            if self._after_failure(row, outcome):
                dead += 1
            else:
                put_off += 1
        return Sent(delivered, put_off, dead)

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop. A fault is logged and tried again."""
        while not stop.is_set():
            try:
                sent = self.once()
            except Exception as error:
                _log.fault("webhooks.failed", error)
                sent = Sent()
            if not sent.delivered:
                stop.wait(POLL_SECONDS)

    def _send(self, row: Row[Any]) -> str:
        """The status of the answer, or why there is none."""
        secret, at_seconds = self._webhooks.secret_of(row), self._clock.now_ms() // 1000
        return outgoing.post(row.url, secret, row.id, row.body.encode(), at_seconds=at_seconds)

    def _after_failure(self, row: Row[Any], outcome: str) -> bool:
        """Whether the message is dead now: it is too old, or the receiver said that it is gone for good."""
        now_ms = self._clock.now_ms()
        next_ms = now_ms + wait_ms(row.attempts + 1)
        if outcome == str(GONE) or next_ms - row.created_ms > GIVE_UP_MS:
            self._settle(row, {"state": store.DEAD, "outcome": outcome, "settled_ms": now_ms}, tried=True)
            _log.warning("webhook.dead", site=row.site)
            return True
        self._settle(row, {"outcome": outcome, "next_ms": next_ms}, tried=True)
        _log.warning("webhook.put_off", site=row.site)
        return False

    def _settle(self, row: Row[Any], values: dict[str, Any], *, tried: bool = False) -> None:
        with writing(self._engine) as connection:
            store.settle(connection, row.seq, values | ({"attempts": row.attempts + 1} if tried else {}))
