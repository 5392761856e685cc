"""Who is told of what: attention, breach, an overdue finding, one that is open again. Written beside the change itself.

A message exists exactly when the change was committed. It names audits, declared groups and verdicts; it holds no count and nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from audit import notifications_store as store
from tacit.core.clock import iso
from tacit.core.evidence import canonical
from tacit.core.ids import new_id


class Notice(StrEnum):
    """What a subscription may ask for."""

    ATTENTION = "audit.attention"
    BREACH = "audit.breach"
    OVERDUE = "finding.overdue"
    REOPENED = "finding.reopened"


class Channel(StrEnum):
    """How a message goes out."""

    WEBHOOK = "webhook"
    MAIL = "mail"


def notify(connection: Connection, site: str, notice: Notice, data: Mapping[str, Any], *, now_ms: int) -> None:
    """One message for each subscription of the site that wants it, as part of the caller's transaction."""
    names = store.listening(connection, site, notice)
    if not names:
        return
    body = canonical({"type": notice.value, "timestamp": iso(now_ms), "data": {"site": site, **data}}).decode()
    message = {"site": site, "event": notice.value, "body": body, "state": store.PENDING, "attempts": 0}
    times = {"created_ms": now_ms, "next_ms": now_ms}
    store.enqueue(connection, [{"id": new_id("msg", now_ms=now_ms), "subscription": name, **message, **times} for name in names])
