"""May a new grant be built on this TCF string? A verdict beside the decoding: a string can be well formed and yet no longer count.

Rules of the same specification as in `tcf`, with where they stand in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from consent.signals.tcf import LEAST_CMP, TcString

DAY_MS = 86_400_000
OLDEST_POLICY, POLICY_OF_2_2, NEWEST_POLICY = 2, 4, 5
POLICY_4_FROM_MS = 1_696_118_400_000
"""2023-10-01T00:00Z, the day after 30 September 2023 ("Managing conflicting string versions")."""

DISCLOSED_FROM_MS = 1_772_323_200_000
"""2026-03-01T00:00Z, the day after 28 February 2026: TCF 2.3 made disclosed vendors mandatory ("TC String Format")."""


class Doubt(StrEnum):
    """Why a string does not count."""

    VENDORS_DISCLOSED_MISSING = "vendors_disclosed_missing"
    POLICY_UNKNOWN = "policy_unknown"
    POLICY_OUTDATED = "policy_outdated"
    GLOBAL_SCOPE = "global_scope"
    CMP_UNASSIGNED = "cmp_unassigned"
    UPDATED_BEFORE_CREATED = "updated_before_created"
    CREATED_IN_FUTURE = "created_in_future"


@dataclass(frozen=True, slots=True)
class Validity:
    """The verdict: no reason against it, or all of them."""

    reasons: tuple[Doubt, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether a new grant may be built on the string."""
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        """`{"ok", "reasons"}`."""
        return {"ok": self.ok, "reasons": [reason.value for reason in self.reasons]}


def validity(string: TcString, *, now_ms: int) -> Validity:
    """The verdict at `now_ms`. A string may be dated up to one day ahead, since its times are whole days."""
    reasons = []
    if string.created_ms >= DISCLOSED_FROM_MS and string.vendors_disclosed is None:
        reasons.append(Doubt.VENDORS_DISCLOSED_MISSING)
    if not OLDEST_POLICY <= string.policy_version <= NEWEST_POLICY:
        reasons.append(Doubt.POLICY_UNKNOWN)
    elif string.policy_version < POLICY_OF_2_2 and string.created_ms >= POLICY_4_FROM_MS:
        reasons.append(Doubt.POLICY_OUTDATED)
    if not string.is_service_specific:
        reasons.append(Doubt.GLOBAL_SCOPE)  # since 1 September 2021 ("What happened to Global Scope and Out of Band?")
    if string.cmp_id < LEAST_CMP:
        reasons.append(Doubt.CMP_UNASSIGNED)
    if string.last_updated_ms < string.created_ms:
        reasons.append(Doubt.UPDATED_BEFORE_CREATED)
    if string.created_ms > now_ms + DAY_MS:
        reasons.append(Doubt.CREATED_IN_FUTURE)
    return Validity(tuple(reasons))
