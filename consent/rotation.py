"""Lookup keys replaced: a new one at once, the older ones destroyed after a declared time, each destruction proven.

Whoever is not seen before an older key is destroyed can never be found again by anybody: the rows that are left name nobody.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from consent import subjects_store as store
from consent.errors import DestroyTooEarly
from consent.jurisdictions import JURISDICTIONS
from consent.subjects import Subjects
from tacit.core.clock import Clock, iso
from tacit.core.db import empty_wal, reading, writing
from tacit.core.evidence import Entry

DAY_MS = 86_400_000
DESTROY_AFTER_DAYS = 400
"""A year and a month: a yearly visitor is still found."""
EARLIEST_DAYS = max(days for place in JURISDICTIONS.values() for days in place.expiry_days.values())
"""No grant outlives this, so no grant in force is lost with a key."""


class Rotation:
    """Replaces and destroys the lookup keys of all sites of one intake vault."""

    def __init__(self, engine: Engine, subjects: Subjects, clock: Clock) -> None:
        self._engine, self._subjects, self._clock = engine, subjects, clock
        self._wal_is_kept = False

    def rotate(self, site: str, *, destroy_after_days: int = DESTROY_AFTER_DAYS) -> dict[str, Any]:
        """Make a new key. Raises `DestroyTooEarly`."""
        if destroy_after_days < EARLIEST_DAYS:
            raise DestroyTooEarly(f"the longest grant holds for {EARLIEST_DAYS} days")
        self._subjects.ring(site)
        destroy_ms = self._clock.now_ms() + destroy_after_days * DAY_MS
        with writing(self._engine) as connection:
            version = self._subjects.make_next(site, connection, destroy_ms=destroy_ms)
        self._subjects.reload(site)
        return {"site": site, "version": version, "older_destroyed_at": iso(destroy_ms)}

    def destroy_due(self, site: str) -> tuple[int, ...]:
        """Destroy keys whose time has come; their versions. May be repeated."""
        with reading(self._engine) as connection:
            due = store.due(connection, site, now_ms=self._clock.now_ms())
        if due:
            with writing(self._engine) as connection:
                due = self._subjects.destroy_due(site, connection)
            self._subjects.reload(site)
            self._wal_is_kept = True
        if self._wal_is_kept:
            self._wal_is_kept = not empty_wal(self._engine)
        return due

    def pending_evidence(self, limit: int) -> list[tuple[tuple[str, int], Entry]]:
        """Destructions that the evidence log does not know yet."""
        with reading(self._engine) as connection:
            rows = store.unproven(connection, limit)
        return [
            ((row.site, row.version), Entry("subject_key.destroyed", row.site, {"version": row.version, "at": iso(row.destroyed_ms)}))
            for row in rows
        ]

    def set_evidence(self, indices: dict[tuple[str, int], int]) -> None:
        """Note which index in the evidence log each destruction got."""
        with writing(self._engine) as connection:
            for (site, version), index in indices.items():
                store.prove(connection, site, version, index)

    def standing(self, site: str) -> list[dict[str, Any]]:
        """Every version with its times, oldest first: the proof rows."""
        with reading(self._engine) as connection:
            rows = store.all_versions(connection, site)
        return [
            {
                "version": row.version,
                "created_at": iso(row.created_ms),
                "destroy_at": iso(row.destroy_ms) if row.destroy_ms is not None else None,
                "destroyed_at": iso(row.destroyed_ms) if row.destroyed_ms is not None else None,
                "evidence": {"index": row.evidence_index} if row.evidence_index is not None else None,
            }
            for row in rows
        ]
