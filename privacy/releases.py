"""What has been published, and which windows are dealt with. A release is written once, in one transaction with its evidence and its
charge, and never again: repeating a publication changes nothing.

A window goes `published` → `finished` (staging and key destroyed), or `failing` → `failed` (nothing published).
"""

from __future__ import annotations

import builtins
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, and_, case, delete, func, insert, or_, select, update
from sqlalchemy import Row as Record
from sqlalchemy.exc import IntegrityError

from privacy.errors import EpochEnded, NotCharged, Overtaken
from privacy.models import GAUSSIAN, THRESHOLD, Mechanism, Release, Row, Window, packed, unpacked
from privacy.strategy import Strategy
from privacy.tables import charges, closings, definitions, epochs
from privacy.tables import releases as table
from tacit.core.clock import Clock, SystemClock
from tacit.core.db import reading, writing
from tacit.core.declaration import Measure, measure_from
from tacit.core.errors import InvalidRequest
from tacit.core.evidence import Entry, EvidenceLog, canonical

PUBLISHED, FINISHED, FAILING, FAILED = "published", "finished", "failing", "failed"


@dataclass(frozen=True, slots=True)
class Closing:
    """How far a window has come."""

    window: Window
    state: str
    reason: str


class ReleaseStore:
    """Releases in the released vault."""

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self._engine, self._clock = engine, clock or SystemClock()
        self._measures: dict[int, Measure] = {}

    def publish(self, releases: Sequence[Release], evidence: EvidenceLog, *, window: Window | None = None) -> bool:
        """Publish all releases of a window, or none; False where the window was published before.

        Every release needs a charge of the same rho (`NotCharged`) and an epoch that goes on (`EpochEnded`). `window` is needed only
        where `releases` may be empty. Raises `Overtaken` where another process published a row from the same secret state.
        """
        windows = sorted({r.window for r in releases} | ({window} if window else set()), key=lambda w: (w.site, w.start_ms))
        try:
            with writing(self._engine) as connection:
                for one in windows:
                    _insert_window(connection, one, [r for r in releases if r.window == one], evidence, self._clock.now_ms())
        except IntegrityError:
            if any(self._is_published(w) for w in windows):
                return False
            if any(r.row and self._position(r.row.block) >= r.row.position for r in releases):
                raise Overtaken() from None
            raise
        return True

    def fail(self, window: Window, reason: str, evidence: EvidenceLog) -> None:
        """Note that nothing can be published for a window; `reason` is one of our own codes. A window already dealt with stays as it is."""
        body = {"window": [window.start_ms, window.end_ms], "reason": reason}
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(closings).values(_closing(window, FAILING, reason, self._clock.now_ms())))
                evidence.append([Entry("window.failed", window.site, body)], connection)
        except IntegrityError:
            return

    def finish(self, window: Window, entries: Sequence[Entry], evidence: EvidenceLog) -> None:
        """The window's last step: nothing is left to do for it. `entries` say what was destroyed, and are entered once."""
        at = (closings.c.site == window.site) & (closings.c.window_ms == window.start_ms)
        steps = {PUBLISHED: FINISHED, FAILING: FAILED}
        moved = update(closings).where(at, closings.c.state.in_(steps)).values(state=case(steps, value=closings.c.state))
        with writing(self._engine) as connection:
            if connection.execute(moved).rowcount and entries:
                evidence.append(entries, connection)

    def closing(self, site: str, window_ms: int) -> Closing | None:
        """How far the window that starts then has come, or None before anything was decided."""
        return next(iter(self._closings(closings.c.site == site, closings.c.window_ms == window_ms)), None)

    def unfinished(self, site: str) -> builtins.list[Window]:
        """Windows that are decided but not cleaned up, oldest first."""
        return [c.window for c in self._closings(closings.c.site == site, closings.c.state.in_((PUBLISHED, FAILING)))]

    def failed(self, site: str, epoch_ms: int) -> builtins.list[Closing]:
        """The windows of an epoch for which nothing was published, oldest first."""
        return self._closings(closings.c.site == site, closings.c.epoch_ms == epoch_ms, closings.c.state.in_((FAILED, FAILING)))

    def last_closed(self, site: str) -> int | None:
        """End of the latest window that was decided, whether it was published or failed."""
        with reading(self._engine) as connection:
            end_ms: int | None = connection.scalar(select(func.max(closings.c.window_end_ms)).where(closings.c.site == site))
        return end_ms

    def first_window(self, site: str, measure: str) -> int | None:
        """Start of the first window in which a measure of that name was released, under whatever definition."""
        query = select(func.min(table.c.window_ms)).where(table.c.site == site, table.c.measure == measure)
        with reading(self._engine) as connection:
            start_ms: int | None = connection.scalar(query)
        return start_ms

    def decided(self, site: str, from_ms: int | None, to_ms: int | None) -> int:
        """How many windows that start in `[from_ms, to_ms)` were published or given up, whatever was in them."""
        query = select(func.count()).select_from(closings).where(closings.c.site == site)
        query = query if from_ms is None else query.where(closings.c.window_ms >= from_ms)
        query = query if to_ms is None else query.where(closings.c.window_ms < to_ms)
        with reading(self._engine) as connection:
            return int(connection.scalar(query) or 0)

    def list(
        self,
        site: str,
        measure: str | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
        limit: int = 100,
        cursor: str | None = None,
        usable_only: bool = False,
    ) -> tuple[builtins.list[Release], str | None]:
        """Releases of windows that start in `[from_ms, to_ms)`, newest first, and the cursor of the next page."""
        query = select(table).where(table.c.site == site)
        if measure is not None:
            query = query.where(table.c.measure == measure)
        if from_ms is not None:
            query = query.where(table.c.window_ms >= from_ms)
        if to_ms is not None:
            query = query.where(table.c.window_ms < to_ms)
        if usable_only:
            query = query.where(table.c.usable.is_(True))
        if cursor is not None:
            window_ms, measure_id = _position(cursor)
            same = and_(table.c.window_ms == window_ms, table.c.measure_id < measure_id)
            query = query.where(or_(table.c.window_ms < window_ms, same))
        query = query.order_by(table.c.window_ms.desc(), table.c.measure_id.desc()).limit(limit + 1)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
            found = self._releases(connection, rows[:limit])
        more = len(rows) > limit and bool(found)
        return found, f"{found[-1].window.start_ms}.{found[-1].measure.id}" if more else None

    def since(self, site: str, measure_id: int, after_ms: int = 0) -> builtins.list[Release]:
        """Releases of one measure definition for windows that start after a moment, oldest first."""
        query = select(table).where(table.c.site == site, table.c.measure_id == measure_id, table.c.window_ms > after_ms)
        return self._select(query.order_by(table.c.window_ms))

    def of_window(self, site: str, window_ms: int) -> builtins.list[Release]:
        """All releases of one window."""
        return self._select(select(table).where(table.c.site == site, table.c.window_ms == window_ms).order_by(table.c.measure))

    def last_row(self, site: str, measure_id: int) -> Release | None:
        """The latest row of a measure under correlated noise."""
        query = select(table).where(table.c.site == site, table.c.measure_id == measure_id, table.c.block.is_not(None))
        return next(iter(self._select(query.order_by(table.c.evidence_index.desc(), table.c.position.desc()).limit(1))), None)

    def rows(self, block: str, *, before: int) -> builtins.list[bytes]:
        """The published rows of one block of correlated noise up to a position, packed, in order."""
        query = select(table.c.vector).where(table.c.block == block, table.c.position < before).order_by(table.c.position)
        with reading(self._engine) as connection:
            return [bytes(v) for v in connection.scalars(query)]

    def row_before(self, release: Release) -> Row | None:
        """The row that the measure published before this release's, whatever its block."""
        same = (table.c.site == release.site, table.c.measure_id == release.measure.id, table.c.block.is_not(None))
        query = select(table).where(*same, table.c.evidence_index < release.evidence_index)
        found = self._select(query.order_by(table.c.evidence_index.desc()).limit(1))
        return found[0].row if found else None

    def unchecked(self, site: str) -> builtins.list[Release]:
        """Releases whose quality has not been decided, oldest first; a crash between publication and check leaves some."""
        return self._select(select(table).where(table.c.site == site, table.c.usable.is_(None)).order_by(table.c.window_ms))

    def set_usable(self, release_id: str, usable: bool, quality: Mapping[str, Any] | None = None) -> None:
        """Say whether the engine may learn from a release, and what the check found."""
        values = {"usable": usable, "quality": None if quality is None else canonical(quality).decode()}
        with writing(self._engine) as connection:
            connection.execute(update(table).where(table.c.id == release_id).values(values))

    def quality(self, release_id: str) -> Any:
        """What the check found, or None where none ran."""
        with reading(self._engine) as connection:
            text = connection.scalar(select(table.c.quality).where(table.c.id == release_id))
        return None if text is None else json.loads(text)

    def _is_published(self, window: Window) -> bool:
        found = self.closing(window.site, window.start_ms)
        return found is not None and found.state in (PUBLISHED, FINISHED)

    def _position(self, block: str) -> int:
        with reading(self._engine) as connection:
            position: int | None = connection.scalar(select(func.max(table.c.position)).where(table.c.block == block))
        return -1 if position is None else position

    def _closings(self, *conditions: Any) -> builtins.list[Closing]:
        with reading(self._engine) as connection:
            rows = connection.execute(select(closings).where(*conditions).order_by(closings.c.window_ms)).all()
        return [Closing(Window(r.site, r.window_ms, r.window_end_ms, r.epoch_ms), r.state, r.reason) for r in rows]

    def _select(self, query: Any) -> builtins.list[Release]:
        with reading(self._engine) as connection:
            return self._releases(connection, connection.execute(query).all())

    def _releases(self, connection: Connection, rows: Sequence[Record[Any]]) -> builtins.list[Release]:
        if missing := {r.measure_id for r in rows} - self._measures.keys():
            query = select(definitions).where(definitions.c.measure_id.in_(missing))
            for found in connection.execute(query):
                self._measures[found.measure_id] = measure_from(json.loads(found.definition))
        return [_release(row, self._measures[row.measure_id]) for row in rows]


def _insert_window(connection: Connection, window: Window, releases: Sequence[Release], evidence: EvidenceLog, now_ms: int) -> None:
    at = (closings.c.site == window.site) & (closings.c.window_ms == window.start_ms)
    connection.execute(delete(closings).where(at, closings.c.state.in_((FAILED, FAILING))))
    connection.execute(insert(closings).values(_closing(window, PUBLISHED, "", now_ms)))
    # Before the evidence log's lock: whoever ends an epoch takes the two in this order.
    epoch = select(epochs.c.ended_ms).where(epochs.c.site == window.site, epochs.c.start_ms == window.epoch_ms)
    if connection.scalar(epoch.with_for_update(read=True)) is not None:
        raise EpochEnded()
    for release in releases:
        marked = connection.execute(
            update(charges)
            .where(charges.c.site == window.site, charges.c.window_ms == window.start_ms)
            .where(charges.c.measure_id == release.measure.id, charges.c.rho_pico == release.rho_pico, charges.c.state == "charged")
            .values(state="published")
        )
        if marked.rowcount != 1:
            raise NotCharged(f"Measure {release.measure.name!r} has no open charge of that rho for its window.")
    lines = [{"id": r.id, "measure": r.measure.name, "sha256": r.digest()} for r in releases]
    body = {"window": [window.start_ms, window.end_ms], "releases": lines}
    index = evidence.append([Entry("release.published", window.site, body)], connection)[0]
    if releases:
        connection.execute(insert(table), [_values(replace(r, evidence_index=index)) for r in releases])


def _closing(window: Window, state: str, reason: str, now_ms: int) -> dict[str, Any]:
    return {
        "site": window.site,
        "window_ms": window.start_ms,
        "window_end_ms": window.end_ms,
        "epoch_ms": window.epoch_ms,
        "state": state,
        "reason": reason,
        "at_ms": now_ms,
    }


def _values(release: Release) -> dict[str, Any]:
    return {
        "id": release.id,
        "site": release.site,
        "measure": release.measure.name,
        "measure_id": release.measure.id,
        "window_ms": release.window.start_ms,
        "window_end_ms": release.window.end_ms,
        "epoch_ms": release.window.epoch_ms,
        "scale": release.mechanism.scale,
        "sum_scale": release.mechanism.sum_scale,
        "rho_pico": release.rho_pico,
        "vector": packed(release.vector),
        "published_ms": release.published_ms,
        "usable": release.usable,
        "evidence_index": release.evidence_index,
        "block": release.row.block if release.row else None,
        "position": release.row.position if release.row else None,
        "state": release.row.state if release.row else None,
        "strategy": canonical(release.row.strategy.to_json()).decode() if release.row else None,
        "estimate": struct.pack(f"<{len(release.row.estimate)}d", *release.row.estimate) if release.row else None,
        "keys": canonical(list(release.keys)).decode() if release.keys is not None else None,
        "threshold": release.threshold,
    }


def _release(row: Record[Any], measure: Measure) -> Release:
    strategy = _strategy(row.strategy) if row.strategy else None
    name, over_time = GAUSSIAN if row.threshold is None else THRESHOLD, strategy.over_time if strategy else "none"
    return Release(
        id=row.id,
        site=row.site,
        measure=measure,
        window=Window(row.site, row.window_ms, row.window_end_ms, row.epoch_ms),
        mechanism=Mechanism(name, row.scale, row.sum_scale, over_time),
        rho_pico=row.rho_pico,
        vector=unpacked(row.vector),
        published_ms=row.published_ms,
        usable=row.usable,
        evidence_index=row.evidence_index,
        row=Row(strategy, row.block, row.position, _doubles(row.estimate), row.state) if strategy else None,
        keys=None if row.keys is None else tuple(json.loads(row.keys)),
        threshold=row.threshold,
    )


@lru_cache(maxsize=64)
def _strategy(text: str) -> Strategy:
    return Strategy.from_json(json.loads(text))


def _doubles(content: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(content) // 8}d", content)


def _position(cursor: str) -> tuple[int, int]:
    window_ms, _, measure_id = cursor.partition(".")
    try:
        position = int(window_ms), int(measure_id)
        if not all(0 <= number < 2**63 for number in position):
            raise ValueError
        return position
    except ValueError:
        raise InvalidRequest("The cursor is not one that a list has answered.") from None
