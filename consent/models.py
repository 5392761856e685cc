"""A person's choices as values. What identifies the person is never part of a `repr`, so that no traceback shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tacit.core.clock import iso

STRICTEST = "eu"
"""The jurisdiction that is assumed when nobody names one: the strictest rules we know."""

Standing = tuple[str, int | None]
"""What the gate reads of one person and purpose: a state, or the cause of a refusal, and when it expires, in milliseconds."""


class State(StrEnum):
    """What a person last said about one purpose."""

    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    STALE = "stale"
    """Granted under a notice that has changed materially since."""
    OBJECTED = "objected"
    RESTRICTED = "restricted"
    LIFTED = "lifted"
    """An objection or a restriction was taken back; what was said before rules again. In records only."""


HOLDS = (State.OBJECTED, State.RESTRICTED)
"""What a person's own request puts over whatever the state is, until it is lifted."""

NOT_ASKED = "not_asked"
"""Stands in the state's place for somebody who objects or restricts before having been asked. Admits nobody."""


class Cause(StrEnum):
    """Why a record has its state."""

    CHOICE = "choice"
    WITHDRAWAL = "withdrawal"
    MINOR = "minor"
    GPC = "gpc"
    TCF = "tcf"
    GPP = "gpp"
    SIGNAL_INVALID = "signal_invalid"
    """A TCF string that may not be relied on any more, by itself or within a GPP string."""
    SIGNAL_UNREADABLE = "signal_unreadable"
    NOTICE_OUTDATED = "notice_outdated"
    RIGHTS = "rights"
    """The person's objection, restriction or erasure, or the lifting of one."""


@dataclass(frozen=True, slots=True)
class Notice:
    """The very text a person saw: `sha256` is the hash of its bytes in this version and locale, 64 hexadecimal digits."""

    id: str
    version: str
    locale: str
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """As it is stored and signed."""
        return {"id": self.id, "version": self.version, "locale": self.locale, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Signals:
    """What the browser said besides the choice. Global Privacy Control only ever removes; TCF and GPP strings are kept as proof."""

    tcf: str | None = None
    gpp: str | None = None
    gpc: bool = False

    def any(self) -> bool:
        """Whether there is a signal at all."""
        return self.gpc or self.tcf is not None or self.gpp is not None

    def to_json(self) -> dict[str, Any]:
        """As they are stored and signed."""
        return {"tcf": self.tcf, "gpp": self.gpp, "gpc": self.gpc}


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """One person's answer to one notice: for each purpose asked, yes or no. Without any, what the signals say is recorded.

    `parental`: the caller has a parent's authorisation for a child who is too young to decide.
    """

    subject: str = field(repr=False)
    purposes: Mapping[str, bool]
    notice: Notice
    method: str
    id_type: str = "user"
    jurisdiction: str = STRICTEST
    signals: Signals = Signals()
    age_band: str | None = None
    parental: bool = False
    client_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The new state of one purpose. `details` are codes of what was wrong with a signal."""

    purpose: str
    state: State
    cause: Cause
    expires_ms: int | None
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How a change came about, the same for all purposes of one request."""

    method: str
    jurisdiction: str
    notice: Notice | None = None
    signals: Signals = Signals()
    age_band: str | None = None
    parental: bool = False
    client_at_ms: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As they are signed."""
        parental = {"parental": True} if self.parental else {}
        return parental | {
            "client_at": iso(self.client_at_ms) if self.client_at_ms is not None else None,
            "method": self.method,
            "jurisdiction": self.jurisdiction,
            "notice": self.notice.to_json() if self.notice else None,
            "signals": self.signals.to_json(),
            "age_band": self.age_band,
        }
