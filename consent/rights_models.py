"""A rights request as a value: what is asked, how sure the caller is of who asks, and the states it goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from consent.models import State


class Kind(StrEnum):
    """Which right. `lift` takes an objection or a restriction back."""

    ACCESS = "access"
    EXPORT = "export"
    ERASE = "erase"
    OBJECT = "object"
    RESTRICT = "restrict"
    LIFT = "lift"


class Status(StrEnum):
    """`pending` waits for the caller, `in_progress` for us; the other two are final."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    REJECTED = "rejected"


class Level(StrEnum):
    """How sure the caller is that the person is who they say: the levels of eIDAS (Regulation 910/2014, Art. 8), and none."""

    NONE = "none"
    LOW = "low"
    SUBSTANTIAL = "substantial"
    HIGH = "high"


class Refusal(StrEnum):
    """Why a request was rejected."""

    NOT_IDENTIFIED = "not_identified"
    """Art. 11(2) and 12(2) GDPR: the caller could not make sure who asks."""
    UNFOUNDED = "manifestly_unfounded"
    """Art. 12(5)(b)."""
    LEGAL_CLAIMS = "needed_for_legal_claims"
    """Art. 17(3)(e), 21(1)."""
    CANCELLED = "cancelled"
    """The person took the request back."""


OPENDSR_TYPE = {
    Kind.ACCESS: "access",
    Kind.EXPORT: "portability",
    Kind.ERASE: "erasure",
    Kind.OBJECT: "objection",
    Kind.RESTRICT: "restriction",
    Kind.LIFT: "lift",
}
"""The first three are OpenDSR 2.0's own words; it has none for the others."""

ARTICLE = {
    Kind.ACCESS: "GDPR Art. 15",
    Kind.EXPORT: "GDPR Art. 20",
    Kind.ERASE: "GDPR Art. 17",
    Kind.OBJECT: "GDPR Art. 21",
    Kind.RESTRICT: "GDPR Art. 18",
    Kind.LIFT: "GDPR Art. 18(3), 21",
}

UNVERIFIED = frozenset({Kind.OBJECT, Kind.RESTRICT})
"""What only ever removes and can be taken back needs no proof of who asks."""

VERIFICATION_NEEDED = "verification_needed"
LOG_NOT_EMPTIED = "log_not_emptied"
ROWS_STAGED = "rows_still_staged"
LAST_LOOK_MISSING = "last_look_missing"
"""Why a request is not finished."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What the caller attests: a level, and in a word how."""

    level: Level = Level.NONE
    method: str = "none"


@dataclass(frozen=True, slots=True)
class RightsRequest:
    """One person's request. `request_id` takes up an earlier one that is not finished; `of` says what `lift` lifts."""

    kind: Kind
    subject: str = field(repr=False)
    id_type: str = "user"
    verification: Verification = Verification()
    purposes: Sequence[str] | None = None
    of: State | None = None
    request_id: str | None = None
