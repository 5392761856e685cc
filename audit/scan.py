"""The bias scan: every declared audit of a site, over all usable releases of its measure.

A scan reads what is published and spends no budget. The invariant: its result, the trend's new state, the findings it opens and its line
in the evidence log are written in one transaction, and a slot is scanned once however often it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from audit.comparisons import Inference
from audit.differences import Verdict
from audit.errors import TrendBusy
from audit.findings_store import find
from audit.inference import NoisyTable, infer, summed
from audit.lifecycle import Lifecycle, Outcome, Since, about_scan
from audit.metrics import point_metrics
from audit.notifications import Notice, notify
from audit.ports import Corrections, NoCorrections
from audit.questions import Comparing
from audit.results import ScanResult
from audit.slots import Missed
from audit.store import AuditStore, Scan
from audit.trend import Step, advance, fresh, restarted
from audit.trend_store import Kept, TrendMoved, TrendStore
from privacy.releases import ReleaseStore
from tacit.core.clock import Clock, iso
from tacit.core.db import writing
from tacit.core.declaration import Audit, Kind, Measure, Site
from tacit.core.evidence import Entry, EvidenceLog, canonical
from tacit.core.ids import new_id

EXIT_FINE, EXIT_BREACH = 0, 3

TRIES = 5
"""Scans that run at the same time move the trend one after the other; so often one of them starts again."""

YEAR_MS = 365 * 86_400_000

Settle = Callable[[Connection], bool]

ASSUMPTIONS = (
    "People are independent of each other and trials of different epochs are treated as if they came from different people.",
    "The limit is the site's own policy. No verdict here says that a law is complied with.",
)


@dataclass(frozen=True, slots=True)
class _Moved:
    """The trend before this scan and after it."""

    before: Kept
    step: Step


class SlotTakenOver(Exception):
    """The lease on a slot ran out and another process has it now; nothing was written."""


class Scanner:
    """Runs in the sanitiser and on the command line; `evidence` is the log of the same released vault as `store`."""

    def __init__(
        self,
        releases: ReleaseStore,
        store: AuditStore,
        evidence: EvidenceLog,
        clock: Clock,
        corrections: Corrections | None = None,
    ) -> None:
        self._releases, self._store, self._evidence, self._clock = releases, store, evidence, clock
        self._trends = TrendStore(store.engine)
        self._lifecycle = Lifecycle(evidence, corrections or NoCorrections(), clock)

    def scan(self, site: Site, slot: int | None = None) -> list[ScanResult]:
        """Scan every audit of a site. A slot that is scanned already answers with its stored result."""
        return [self.scan_audit(site, audit, slot) for audit in site.audits.values()]

    def scan_audit(
        self, site: Site, audit: Audit, slot: int | None = None, *, until_ms: int | None = None, settle: Settle | None = None
    ) -> ScanResult:
        """Scan one audit over the windows that end by `until_ms`.

        `settle` runs last in the transaction that stores the result and says whether the slot is still ours. Raises `SlotTakenOver`.
        """
        if slot is not None and (done := self._store.scan_of_slot(site.name, audit.name, slot)) is not None:
            return ScanResult(done)
        for _ in range(TRIES):
            try:
                return self._attempt(site, audit, slot, until_ms, settle)
            except TrendMoved:
                continue
            except IntegrityError:
                # Another process finished this slot between our look and our write: its result is the slot's result. Or a scan beside ours
                # opened the same finding: at the next attempt it is there and is brought up to date.
                done = self._store.scan_of_slot(site.name, audit.name, slot) if slot is not None else None
                if done is not None:
                    return ScanResult(done)
        raise TrendBusy()

    def _attempt(self, site: Site, audit: Audit, slot: int | None, until_ms: int | None, settle: Settle | None) -> ScanResult:
        measure = _measure_of(site, audit)
        before = self._trends.read(site.name, audit.name)
        every = [r for r in self._releases.since(site.name, measure.id, -1) if until_ms is None or r.window.end_ms <= until_ms]
        usable = [r for r in every if r.usable is True]
        table = summed(measure, usable)
        comparing = Comparing(audit.intersections, site.policies[audit.policy].arms)
        inference = infer(table, audit.limit, comparing)
        through_ms, state = -1, None
        if before.state and before.state["measure"] == str(measure.id):
            settled = self._lifecycle.settled(self._store.engine, audit, site.name)
            through_ms, state = before.state["through_ms"], restarted(before.state, table, settled)
        step = advance(measure, state, fresh(every, through_ms), table, audit.limit, YEAR_MS / audit.terms.schedule_ms)
        span = (min(r.window.start_ms for r in usable), max(r.window.end_ms for r in usable)) if usable else None
        result = _result(audit, table, inference, span) | {"trend": step.report}
        now_ms = self._clock.now_ms()
        scan = Scan(new_id("scan", now_ms=now_ms), site.name, audit.name, slot, now_ms, inference.verdict.value, result)

        @cache
        def since(from_ms: int) -> Inference | None:
            later = [r for r in usable if r.window.start_ms >= from_ms]
            return infer(summed(measure, later), audit.limit, comparing) if later else None

        return self._store_all(scan, audit, inference, since, settle, _Moved(before, step))

    def overdue(self, site: Site) -> list[str]:
        """Put on record and tell which findings of a site are past their due date; their ids."""
        return self._lifecycle.overdue(self._store.engine, site.name, keep_ms=site.retention.messages_ms)

    def skip(self, site: Site, audit: Audit, missed: Missed) -> None:
        """Put on record that missed slots are given up. Where another process has done so, nothing happens."""
        now_ms = self._clock.now_ms()
        body = {"audit": audit.name, "first": iso(missed.first), "last": iso(missed.last), "slots": missed.number}
        try:
            with writing(self._store.engine) as connection:
                self._store.skip(site.name, audit.name, missed, at_ms=now_ms, connection=connection)
                self._store.raise_alert(site.name, "audit.skipped", body, at_ms=now_ms, connection=connection)
                self._evidence.append([Entry("audit.skipped", site.name, body)], connection)
        except IntegrityError:
            return

    def _store_all(self, scan: Scan, audit: Audit, inference: Inference, since: Since, settle: Settle | None, moved: _Moved) -> ScanResult:
        with writing(self._store.engine) as connection:
            before = self._store.newest_verdict(scan.site, scan.audit, connection)
            self._store.save_scan(scan, connection)
            self._trends.write(scan.site, scan.audit, moved.before, moved.step.state, scan.id, connection)
            outcome = self._lifecycle.after_scan(scan, audit, inference, since, connection, standing=moved.step.standing)
            self._tell(scan, outcome, before, connection)
            if (moved.step.alarms and not outcome.opened) or outcome.returned:
                news = {"audit": scan.audit, "scan": scan.id, "subjects": list(moved.step.alarms)}
                news |= {"findings": list(outcome.returned)} if outcome.returned else {}
                self._store.raise_alert(scan.site, "audit.trend", news, at_ms=scan.at_ms, connection=connection)
            body = {
                "scan": scan.id,
                "audit": scan.audit,
                "slot": scan.slot,
                "verdict": scan.verdict,
                "sha256": hashlib.sha256(canonical(scan.result)).hexdigest(),
                "findings": list(outcome.news),
            }
            self._evidence.append([Entry("audit.scanned", scan.site, body)], connection)
            if settle is not None and not settle(connection):
                raise SlotTakenOver
        return ScanResult(scan, (*outcome.opened, *outcome.reopened), tuple(outcome.reopened))

    def _tell(self, scan: Scan, outcome: Outcome, before: str | None, connection: Connection) -> None:
        """Alerts and messages: of a breach where findings are new, of attention where the scan before did not say so."""
        notice = Notice.BREACH if outcome.breach else Notice.ATTENTION
        if outcome.news:
            alert = {"audit": scan.audit, "scan": scan.id, "findings": list(outcome.news)}
            self._store.raise_alert(scan.site, notice, alert, at_ms=scan.at_ms, connection=connection)
        if outcome.news or (scan.verdict == Verdict.ATTENTION and before != Verdict.ATTENTION):
            found = [f for f in map(partial(find, connection, scan.site), outcome.news) if f is not None]
            notify(connection, scan.site, notice, about_scan(scan, found), now_ms=scan.at_ms)


def exit_code(results: Sequence[ScanResult]) -> int:
    """What `tacit scan` exits with: 3 where anything is in breach, otherwise 0."""
    return EXIT_BREACH if any(r.verdict is Verdict.BREACH for r in results) else EXIT_FINE


def _measure_of(site: Site, audit: Audit) -> Measure:
    return next(m for m in site.measures if m.kind is Kind.AUDIT and m.name == f"audit.{audit.name}")


def _result(audit: Audit, table: NoisyTable, inference: Inference, span: tuple[int, int] | None) -> dict[str, Any]:
    return inference.to_json() | {
        "policy": audit.policy,
        "confidence": 0.95,
        "releases": table.releases,
        "measure_id": str(table.measure.id),  # 63 bits do not fit into a JSON number
        "window": {"start": iso(span[0]), "end": iso(span[1])} if span else None,
        "noise_sd": table.noise_sd,
        "point_metrics": [m.to_json() for m in point_metrics(table)],
        "assumptions": list(ASSUMPTIONS),
    }
