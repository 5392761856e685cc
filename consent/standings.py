"""What stands for a person, read from the tables under the site's rules: standings as the gate has them, times, and the notice's part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row

from consent import notices_store
from consent.models import HOLDS, NOT_ASKED, Cause, Change, Notice, Standing, State
from consent.rules import SiteRules
from tacit.core.clock import iso

_DAY_MS = 86_400_000

_NOBODYS_CHOICE = frozenset({Cause.SIGNAL_INVALID.value, Cause.SIGNAL_UNREADABLE.value})
"""Refusals that a fault made: the person has not answered, so there is no reason to wait before asking."""


def of(rows: Mapping[str, Row[Any]], rules: SiteRules, *, now_ms: int) -> dict[str, Standing]:
    """The standings that the gate would read for one person, by purpose."""
    silent = rules.presumed_in([row.jurisdiction for row in rows.values()], now_ms=now_ms)
    return {**silent, **{purpose: (_told(row), row.expires_ms) for purpose, row in rows.items()}}


def said(row: Row[Any] | None) -> str | None:
    """What a person last said about a purpose, whatever stands over it; None for somebody who was never asked."""
    return row.state if row is not None and row.state != NOT_ASKED else None


def times(row: Row[Any] | None, rules: SiteRules, *, now_ms: int) -> dict[str, str | None]:
    """When a grant lapses, and before when the person should not be asked again; null where they may be asked now."""
    again_ms = _ask_again_ms(row, rules, now_ms=now_ms) if row is not None else None
    return {
        "expires_at": iso(row.expires_ms) if row is not None and row.expires_ms is not None else None,
        "ask_again_after": iso(again_ms) if again_ms is not None and again_ms > now_ms else None,
    }


def _told(row: Row[Any]) -> str:
    return str(row.effective if row.effective in HOLDS else row.cause or row.state)


def _ask_again_ms(row: Row[Any], rules: SiteRules, *, now_ms: int) -> int | None:
    if row.effective in HOLDS:
        since: int = max(row.objected_ms or 0, row.restricted_ms or 0)
        return min(since, now_ms) + rules.place(row.jurisdiction).ask_again_days * _DAY_MS
    if row.state == State.GRANTED:
        return row.expires_ms  # type: ignore[no-any-return]
    if row.state == State.STALE or row.cause in _NOBODYS_CHOICE or row.at_ms is None:
        return None
    waiting: int = min(row.at_ms, now_ms) + rules.place(row.jurisdiction).ask_again_days * _DAY_MS
    return waiting


@dataclass(frozen=True, slots=True)
class TextStanding:
    """How the notice of a request stands; None where there is no notice, as in a withdrawal."""

    registered: bool | None
    outdated: bool

    def rule(self, changes: Sequence[Change]) -> Sequence[Change]:
        """The changes under this notice: a grant of a text that has changed materially since is stale from the start."""
        if not self.outdated:
            return changes
        return [
            replace(change, state=State.STALE, cause=Cause.NOTICE_OUTDATED) if change.state is State.GRANTED else change
            for change in changes
        ]

    def to_json(self, notice: Notice | None) -> dict[str, Any] | None:
        """The notice as a receipt shows it."""
        return None if notice is None else notice.to_json() | {"registered": self.registered}


NO_TEXT = TextStanding(None, outdated=False)


def text(connection: Connection, site: str, notice: Notice | None) -> TextStanding:
    """How a notice stands until the transaction ends. Takes a lock and so comes before everything else in it."""
    if notice is None:
        return NO_TEXT
    notices_store.hold(connection, site, notice.id, alone=False)
    found = notices_store.standing(connection, site, notice)
    return TextStanding(found.registered, found.outdated)
