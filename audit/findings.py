"""A finding and its life: open, assigned; accepted, corrected or dismissed; signed by two people, closed; and open again if it returns.

The invariant: a finding is closed only by two different keys' signatures under the same decision, and every step has its row of history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tacit.core.clock import iso


class State(StrEnum):
    """Where a finding is."""

    OPEN = "open"
    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    DISMISSED = "dismissed"
    CLOSED = "closed"
    REOPENED = "reopened"


WAITING = frozenset({State.OPEN, State.ASSIGNED, State.REOPENED})
"""Somebody has to decide."""
DECIDED = frozenset({State.ACCEPTED, State.CORRECTED, State.DISMISSED})
"""Somebody has decided; two people have to sign."""


class Action(StrEnum):
    """What a person can do."""

    ASSIGN = "assign"
    ACCEPT = "accept"
    CORRECT = "correct"
    DISMISS = "dismiss"
    COMMENT = "comment"
    SIGN = "sign"
    CLOSE = "close"
    REOPEN = "reopen"


ALLOWED: Mapping[Action, frozenset[State]] = {
    Action.ASSIGN: WAITING,
    Action.ACCEPT: WAITING | DECIDED,
    Action.CORRECT: WAITING | DECIDED,
    Action.DISMISS: WAITING | DECIDED,
    Action.COMMENT: frozenset(State),
    Action.SIGN: DECIDED,
    Action.CLOSE: DECIDED,
    Action.REOPEN: DECIDED | {State.CLOSED},
}
"""From which states each step leads on."""

SIGNATURES = 2


@dataclass(frozen=True, slots=True)
class Signature:
    """One person's sign-off of a decision."""

    key: str
    role: str
    at_ms: int

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {"key": self.key, "role": self.role, "at": iso(self.at_ms)}


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference that somebody has to look into."""

    id: str
    site: str
    audit: str
    scan_id: str
    subject: str
    verdict: str
    state: str
    opened_ms: int
    due_ms: int
    detail: dict[str, Any]
    version: int = 1
    assignee: str | None = None
    reopened: int = 0
    decided_ms: int | None = None
    closed_ms: int | None = None
    accepted_until_ms: int | None = None
    overdue_ms: int | None = None
    """When somebody was told that it is overdue."""
    signatures: tuple[Signature, ...] = ()
    correction: dict[str, Any] | None = None
    """`{change, price, at, verification}` of the newest correction."""
    containment: dict[str, Any] | None = None
    """What was done at the breach before anybody had looked."""

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "id": self.id,
            "site": self.site,
            "audit": self.audit,
            "scan": self.scan_id,
            "subject": self.subject,
            "verdict": self.verdict,
            "state": self.state,
            "opened_at": iso(self.opened_ms),
            "due_at": iso(self.due_ms),
            "detail": self.detail,
            "version": self.version,
            "assignee": self.assignee,
            "reopened": self.reopened,
            "decided_at": _iso(self.decided_ms),
            "closed_at": _iso(self.closed_ms),
            "accepted_until": _iso(self.accepted_until_ms),
            "overdue": self.overdue_ms is not None and self.state in WAITING,
            "signatures": [s.to_json() for s in self.signatures],
            "correction": self.correction,
            "containment": self.containment,
        }


@dataclass(frozen=True, slots=True)
class Event:
    """One row of a finding's history. `actor` is a key's id, or `scan` or `clock`."""

    finding: str
    seq: int
    at_ms: int
    actor: str
    action: str
    version: int
    state: str
    note: str | None
    salt: str | None
    detail: dict[str, Any]

    @property
    def commitment(self) -> str | None:
        """What the evidence log holds of the note: a hash under this row's own salt, so that the words can be deleted, not guessed."""
        return None if self.note is None else hashlib.sha256(bytes.fromhex(self.salt or "") + self.note.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "seq": self.seq,
            "at": iso(self.at_ms),
            "actor": self.actor,
            "action": self.action,
            "version": self.version,
            "state": self.state,
            "note": self.note,
            "note_salt": self.salt,
            "note_sha256": self.commitment,
            "detail": self.detail,
        }


def _iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
