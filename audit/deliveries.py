"""Sends what subscriptions are owed, by webhook or mail. At least once: a receiver acts on each `webhook-id` once.

An attempt that fails is repeated after a time that grows fourfold, until the message is three days old; then it is dead and kept.
"""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import Engine, Row

from audit import mail
from audit import notifications_store as store
from audit.notifications import Channel
from audit.subscriptions import secret_of
from tacit.core import logs, outgoing
from tacit.core.clock import Clock
from tacit.core.db import writing
from tacit.core.outgoing import GIVE_UP_MS, wait_ms
from tacit.core.rootkey import RootKey
from tacit.core.settings import MailSettings

LEASE_MS = 15 * 60_000
BATCH = 50
POLL_SECONDS = 1.0
FOR_EVER = frozenset({"410", "refused"})

logs.allow(["notifications", "notification.dead", "notification.put_off", "notifications.failed"])
_log = logs.Log("notifications")


class Notifier:
    """Delivers for one worker. Any number may run: a message is leased to one of them while it is being sent."""

    def __init__(self, engine: Engine, root: RootKey, settings: MailSettings, clock: Clock) -> None:
        self._engine, self._root, self._settings, self._clock = engine, root, settings, clock

    def once(self) -> int:
        """Send the messages that are due, at most `BATCH`; how many arrived. A subscription that fails is left alone for this pass."""
        with writing(self._engine) as connection:
            due = store.take_due(connection, now_ms=self._clock.now_ms(), lease_ms=LEASE_MS, limit=BATCH)
        if not due:
            return 0
        failed: set[tuple[str, str]] = set()
        delivered = 0
        for row in due:
            place = (row.site, row.subscription)
            if place in failed:
                self._settle(row, {"next_ms": self._clock.now_ms() + wait_ms(1)})
                continue
            outcome = self._send(row)
            if outcome == "sent" or outgoing.is_delivered(outcome):
                self._settle(row, {"state": store.DELIVERED, "outcome": outcome, "settled_ms": self._clock.now_ms()}, tried=True)
                delivered += 1
            else:
                failed.add(place)
                self._after_failure(row, outcome)
        return delivered

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop. A fault is logged and tried again."""
        while not stop.is_set():
            try:
                delivered = self.once()
            except Exception as error:
                _log.fault("notifications.failed", error)
                delivered = 0
            if not delivered:
                stop.wait(POLL_SECONDS)

    def _send(self, row: Row[Any]) -> str:
        now_ms = self._clock.now_ms()
        if row.channel == Channel.MAIL:
            try:
                letter = mail.letter(self._settings, row.address, row.id, row.body, at_ms=now_ms)
            except (LookupError, ValueError):  # an address that the library cannot take apart must not hold up the others
                return "refused"
            return mail.send(self._settings, letter)
        secret = secret_of(self._root, row.site, row.subscription, row.secret)
        return outgoing.post(row.address, secret, row.id, row.body.encode(), at_seconds=now_ms // 1000)

    def _after_failure(self, row: Row[Any], outcome: str) -> None:
        now_ms = self._clock.now_ms()
        next_ms = now_ms + wait_ms(row.attempts + 1)
        if outcome in FOR_EVER or next_ms - row.created_ms > GIVE_UP_MS:
            self._settle(row, {"state": store.DEAD, "outcome": outcome, "settled_ms": now_ms}, tried=True)
            _log.warning("notification.dead", site=row.site)
        else:
            self._settle(row, {"outcome": outcome, "next_ms": next_ms}, tried=True)
            _log.warning("notification.put_off", site=row.site)

    def _settle(self, row: Row[Any], values: dict[str, Any], *, tried: bool = False) -> None:
        with writing(self._engine) as connection:
            store.settle(connection, row.seq, values | ({"attempts": row.attempts + 1} if tried else {}))
