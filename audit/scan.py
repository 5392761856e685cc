"""The bias scan: every declared audit of a site, over all usable releases of its measure.

A scan reads what is published and spends no budget. The invariant: its result, the trend's new state, the findings it opens and its line
in the evidence log are written in one transaction, and a slot is scanned once however often it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from audit.comparisons import Inference
from audit.differences import Verdict
from audit.errors import TrendBusy
from audit.inference import NoisyTable, infer, summed
from audit.metrics import point_metrics
from audit.questions import Comparing
from audit.store import AuditStore, Scan
from audit.trend import Step, advance, fresh
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

ASSUMPTIONS = (
    "People are independent of each other and trials of different epochs are treated as if they came from different people.",
    "The limit is the site's own policy. No verdict here says that a law is complied with.",
)


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The outcome of one audit's scan, as it is stored and shown."""

    scan: Scan
    opened: tuple[str, ...] = ()
    """Ids of findings that this scan opened."""

    @property
    def audit(self) -> str:
        """The audit's name."""
        return self.scan.audit

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all comparisons."""
        return Verdict(self.scan.verdict)

    @property
    def sentence(self) -> str:
        """The outcome in one line, the interval of the clearest difference before its point."""
        head = f"{self.scan.site} {self.scan.audit}: {self.scan.verdict}"
        judged = [c for c in self.scan.result["comparisons"] if c["verdict"] == self.scan.verdict]
        shown = [c for c in judged if c["interval"] is not None]
        if self.verdict in (Verdict.BREACH, Verdict.ATTENTION) and shown:
            one = max(shown, key=lambda c: abs(c["difference"]))
            low, high = (100 * edge for edge in one["interval"])
            return f"{head}. {one['subject']}: {low:+.1f} to {high:+.1f} points from the rest (best guess {100 * one['difference']:+.1f})."
        return f"{head} ({len(judged)} of {len(self.scan.result['comparisons'])} comparisons, {self.scan.result['releases']} releases)."

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return self.scan.to_json() | {"opened": list(self.opened)}


class Scanner:
    """Runs in the sanitiser and on the command line; `evidence` is the log of the same released vault as `store`."""

    def __init__(self, releases: ReleaseStore, store: AuditStore, evidence: EvidenceLog, clock: Clock) -> None:
        self._releases, self._store, self._evidence, self._clock = releases, store, evidence, clock
        self._trends = TrendStore(store.engine)

    def scan(self, site: Site, slot: int | None = None) -> list[ScanResult]:
        """Scan every audit of a site. A slot that is scanned already answers with its stored result."""
        return [self._scan(site, audit, slot) for audit in site.audits.values()]

    def _scan(self, site: Site, audit: Audit, slot: int | None) -> ScanResult:
        if slot is not None and (done := self._store.scan_of_slot(site.name, audit.name, slot)) is not None:
            return ScanResult(done)
        for _ in range(TRIES):
            try:
                return self._attempt(site, audit, slot)
            except TrendMoved:
                continue
            except IntegrityError:
                # Another process finished this slot between our look and our write; its result is the slot's result.
                done = self._store.scan_of_slot(site.name, audit.name, slot) if slot is not None else None
                if done is None:
                    raise
                return ScanResult(done)
        raise TrendBusy()

    def _attempt(self, site: Site, audit: Audit, slot: int | None) -> ScanResult:
        measure = _measure_of(site, audit)
        before = self._trends.read(site.name, audit.name)
        every = self._releases.since(site.name, measure.id, -1)
        usable = [r for r in every if r.usable is True]
        table = summed(measure, usable)
        inference = infer(table, audit.limit, Comparing(audit.intersections, site.policies[audit.policy].arms))
        through_ms = before.state["through_ms"] if before.state and before.state["measure"] == str(measure.id) else -1
        step = advance(measure, before.state, fresh(every, through_ms), table, audit.limit, YEAR_MS / site.privacy.epoch_ms)
        span = (min(r.window.start_ms for r in usable), max(r.window.end_ms for r in usable)) if usable else None
        result = _result(audit, table, inference, span) | {"trend": step.report}
        now_ms = self._clock.now_ms()
        scan = Scan(new_id("scan", now_ms=now_ms), site.name, audit.name, slot, now_ms, inference.verdict.value, result)
        return self._store_all(scan, inference, before, step)

    def _store_all(self, scan: Scan, inference: Inference, before: Kept, step: Step) -> ScanResult:
        opened = []
        with writing(self._store.engine) as connection:
            self._store.save_scan(scan, connection)
            self._trends.write(scan.site, scan.audit, before, step.state, scan.id, connection)
            for comparison in inference.comparisons:
                if comparison.verdict is not Verdict.BREACH:
                    continue
                detail = {"comparison": comparison.to_json(), "limit": inference.limit}
                if (finding := self._store.open_finding(scan, comparison.subject, detail, connection)) is not None:
                    opened.append(finding.id)
            if opened:
                alert = {"audit": scan.audit, "scan": scan.id, "findings": opened}
                self._store.raise_alert(scan.site, "audit.breach", alert, at_ms=scan.at_ms, connection=connection)
            elif step.alarms:
                news = {"audit": scan.audit, "scan": scan.id, "subjects": list(step.alarms)}
                self._store.raise_alert(scan.site, "audit.trend", news, at_ms=scan.at_ms, connection=connection)
            body = {
                "scan": scan.id,
                "audit": scan.audit,
                "slot": scan.slot,
                "verdict": scan.verdict,
                "sha256": hashlib.sha256(canonical(scan.result)).hexdigest(),
                "findings": opened,
            }
            self._evidence.append([Entry("audit.scanned", scan.site, body)], connection)
        return ScanResult(scan, tuple(opened))


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
