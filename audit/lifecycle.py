"""What a scan does to findings: opens, brings up to date, verifies corrections, opens again what returns, contains a breach.

Everything happens in the scan's own transaction. What a correction or a closing changed is judged over the windows after it: a sum that
still holds the time before would never show that anything has become better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Engine

from audit import findings_store as store
from audit.comparisons import Comparison, Inference
from audit.differences import Verdict
from audit.findings import WAITING, Finding, State
from audit.notifications import Notice, notify
from audit.notifications_store import forget
from audit.ports import Change, Corrections, Equalise, Pause, change_json
from audit.store import Scan
from tacit.core.clock import Clock, iso
from tacit.core.db import reading, writing
from tacit.core.declaration import Audit
from tacit.core.errors import Problem
from tacit.core.evidence import EvidenceLog
from tacit.core.ids import new_id

SCAN, CLOCK = "scan", "clock"
"""Actors that are nobody."""

Since = Callable[[int], Inference | None]
"""The inference over the windows that start at a moment or later; None where there is none."""


@dataclass
class Outcome:
    """What one scan did to findings, by id."""

    opened: list[str] = field(default_factory=list)
    reopened: list[str] = field(default_factory=list)
    worsened: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    """Those of `reopened` that the trend has brought back."""
    breach: bool = False

    @property
    def news(self) -> tuple[str, ...]:
        """Findings that somebody has to hear of."""
        return (*self.opened, *self.reopened, *self.worsened)


class Lifecycle:
    """Moves findings on behalf of scans and of the clock."""

    def __init__(self, evidence: EvidenceLog, corrections: Corrections, clock: Clock) -> None:
        self._evidence, self._corrections, self._clock = evidence, corrections, clock

    def after_scan(
        self,
        scan: Scan,
        audit: Audit,
        inference: Inference,
        since: Since,
        connection: Connection,
        *,
        standing: Mapping[str, int] | None = None,
    ) -> Outcome:
        """Move the findings of the scanned audit. `standing` are the trend's alarms: subject -> since when."""
        known = store.of_audit(connection, scan.site, audit.name)
        live = {f.subject: f for f in known if f.state != State.CLOSED}
        closed = {f.subject: f for f in known if f.state == State.CLOSED and f.subject not in live}  # the newest of each subject
        one = _Pass(self._evidence, scan, audit, since, connection, Outcome())
        for comparison in one.opening(inference):
            if (finding := live.get(comparison.subject)) is not None:
                one.refresh(finding, comparison, inference.limit)
            elif comparison.subject not in closed:
                one.open(comparison, inference.limit)
        for finding in live.values():
            if finding.state == State.CORRECTED and finding.decided_ms is not None:
                one.verify(finding, finding.decided_ms)
        for finding in closed.values():
            one.look_again(finding, inference)
        for finding in (*live.values(), *closed.values()):
            if finding.id not in one.outcome.reopened:
                one.look_at_trend(finding, inference, standing or {})
        if audit.terms.contain != "nothing" and one.outcome.breach:
            self._contain(one, [f for f in known if f.state != State.CLOSED])
        return one.outcome

    def settled(self, engine: Engine, audit: Audit, site: str) -> dict[str, int]:
        """Since when each corrected or closed subject is judged anew: what the trend held of the time before counts no more."""
        with reading(engine) as connection:
            found = store.of_audit(connection, site, audit.name, lock=False)
        return {f.subject: moment for f in found if (moment := _settled_ms(f)) is not None}

    def overdue(self, engine: Engine, site: str, *, keep_ms: int) -> list[str]:
        """Put on record and tell which findings are past their due date, each once for a date. Old settled messages are deleted."""
        now_ms = self._clock.now_ms()
        with writing(engine) as connection:
            forget(connection, site, now_ms - keep_ms)
            late = store.late(connection, site, now_ms)
            for finding in late:
                store.write(connection, replace(finding, overdue_ms=now_ms))
                store.record(connection, self._evidence, finding, "overdue", actor=CLOCK, at_ms=now_ms)
                notify(connection, site, Notice.OVERDUE, _about([finding]), now_ms=now_ms)
        return [finding.id for finding in late]

    def _contain(self, one: _Pass, before: list[Finding]) -> None:
        """Act on the policy once, for the first finding; nothing while an earlier containment stands."""
        if any(f.containment and f.containment["done"] for f in before):
            return
        finding = store.find(one.connection, one.scan.site, one.outcome.news[0])
        if finding is None:
            return
        terms, audit, scan = one.audit.terms, one.audit, one.scan
        change: Change = Pause() if terms.contain == "pause" else Equalise(audit.limit)
        problem = None
        try:
            with one.connection.begin_nested():
                self._corrections.act(scan.site, audit.policy, change, actor=SCAN, finding=finding.id, connection=one.connection)
        except Problem as refused:
            problem = refused.type
        done = {"change": change_json(change), "at": iso(scan.at_ms), "scan": scan.id, "done": problem is None, "problem": problem}
        changed = replace(finding, version=finding.version + 1, containment=done)
        store.write(one.connection, changed)
        one.note(changed, "contained" if problem is None else "containment_failed", done)


@dataclass(frozen=True, slots=True)
class _Pass:
    """One scan's work on its audit's findings."""

    evidence: EvidenceLog
    scan: Scan
    audit: Audit
    since: Since
    connection: Connection
    outcome: Outcome

    def opening(self, inference: Inference) -> Iterator[Comparison]:
        """Comparisons that a finding is due for."""
        verdicts = {Verdict.BREACH} if self.audit.terms.open_at == "breach" else {Verdict.BREACH, Verdict.ATTENTION}
        return (c for c in inference.comparisons if c.verdict in verdicts)

    def open(self, comparison: Comparison, limit: float) -> None:
        """A new finding."""
        now_ms = self.scan.at_ms
        finding = Finding(
            id=new_id("finding", now_ms=now_ms),
            site=self.scan.site,
            audit=self.audit.name,
            scan_id=self.scan.id,
            subject=comparison.subject,
            verdict=comparison.verdict.value,
            state=State.OPEN.value,
            opened_ms=now_ms,
            due_ms=now_ms + self.audit.terms.due_ms(comparison.verdict),
            detail=_detail(comparison, limit),
        )
        store.add(self.connection, finding)
        self.outcome.opened.append(finding.id)
        self._told(comparison)
        self.note(finding, "opened", {"scan": self.scan.id, "verdict": finding.verdict})

    def refresh(self, finding: Finding, comparison: Comparison, limit: float) -> None:
        """The newest figures. What was attention and is a breach now is due sooner and is told of."""
        verdict, now_ms = comparison.verdict, self.scan.at_ms
        changed = replace(finding, scan_id=self.scan.id, detail=_detail(comparison, limit))
        if verdict is Verdict.BREACH and finding.verdict != Verdict.BREACH:
            due_ms = min(finding.due_ms, now_ms + self.audit.terms.due_ms(verdict))
            changed = replace(changed, verdict=verdict.value, due_ms=due_ms, version=finding.version + 1)
            if finding.state in WAITING:
                self.outcome.worsened.append(finding.id)
                self._told(comparison)
            self.note(changed, "worsened", {"scan": self.scan.id, "verdict": verdict.value})
        store.write(self.connection, changed)

    def verify(self, finding: Finding, from_ms: int) -> None:
        """Say whether the correction worked, from the windows after it alone; a breach among those opens the finding again."""
        found = self._after(finding, from_ms)
        if found is None:
            return
        verdict = found.verdict
        said = {"scan": self.scan.id, "verdict": verdict.value, "verified": verdict is Verdict.WITHIN, "at": iso(self.scan.at_ms)}
        before = (finding.correction or {}).get("verification")
        changed = replace(finding, correction=(finding.correction or {}) | {"verification": said})
        if before is None or before["verdict"] != said["verdict"]:
            changed = replace(changed, version=finding.version + 1)
            self.note(changed, "verified" if said["verified"] else "not_verified", said)
        store.write(self.connection, changed)
        if verdict is Verdict.BREACH:
            self._reopen(changed, found)

    def look_again(self, finding: Finding, inference: Inference) -> None:
        """Open a closed finding again if the windows after it was closed or corrected show the same; an accepted risk has its term."""
        if finding.accepted_until_ms is not None and finding.accepted_until_ms > self.scan.at_ms:
            return
        from_ms = _settled_ms(finding)
        found = self._after(finding, from_ms) if from_ms is not None else _about_subject(inference, finding.subject)
        if found is not None and found.subject in {c.subject for c in self.opening(_only(inference, found))}:
            self._reopen(finding, found)

    def look_at_trend(self, finding: Finding, inference: Inference, standing: Mapping[str, int]) -> None:
        """Open a corrected or closed finding again if the trend's alarm is about windows after that; an accepted risk has its term."""
        from_ms, began_ms = _settled_ms(finding), standing.get(finding.subject)
        if from_ms is None or began_ms is None or began_ms < from_ms:
            return
        if finding.accepted_until_ms is not None and finding.accepted_until_ms > self.scan.at_ms:
            return
        found = self._after(finding, from_ms) or _about_subject(inference, finding.subject)
        current = store.find(self.connection, finding.site, finding.id)  # this scan may have verified it
        if found is not None and current is not None:
            verdict = Verdict.BREACH if found.verdict is Verdict.BREACH else Verdict.ATTENTION
            self._reopen(current, replace(found, verdict=verdict), {"trend": {"since": iso(began_ms)}})
            self.outcome.returned.append(finding.id)

    def note(self, finding: Finding, action: str, detail: Mapping[str, Any]) -> None:
        """A row of history by the scan."""
        store.record(self.connection, self.evidence, finding, action, actor=SCAN, at_ms=self.scan.at_ms, detail=dict(detail))

    def _reopen(self, finding: Finding, comparison: Comparison, why: Mapping[str, Any] | None = None) -> None:
        now_ms = self.scan.at_ms
        changed = replace(
            finding,
            state=State.REOPENED.value,
            scan_id=self.scan.id,
            verdict=comparison.verdict.value,
            detail=_detail(comparison, finding.detail.get("limit", self.audit.limit)),
            due_ms=now_ms + self.audit.terms.due_ms(comparison.verdict),
            version=finding.version + 1,
            reopened=finding.reopened + 1,
            decided_ms=None,
            closed_ms=None,
            accepted_until_ms=None,
            overdue_ms=None,
            signatures=(),
            containment=None,
        )
        store.write(self.connection, changed)
        self.outcome.reopened.append(finding.id)
        self._told(comparison)
        self.note(changed, "reopened", {"scan": self.scan.id, "verdict": comparison.verdict.value, **(why or {})})
        notify(self.connection, self.scan.site, Notice.REOPENED, _about([changed]), now_ms=now_ms)

    def _after(self, finding: Finding, from_ms: int) -> Comparison | None:
        found = self.since(from_ms)
        return None if found is None else _about_subject(found, finding.subject)

    def _told(self, comparison: Comparison) -> None:
        if comparison.verdict is Verdict.BREACH:
            self.outcome.breach = True


def _settled_ms(finding: Finding) -> int | None:
    """When it was corrected, or else closed; None while neither is so."""
    if finding.state not in (State.CORRECTED, State.CLOSED):
        return None
    corrected = finding.correction is not None and finding.decided_ms is not None
    return finding.decided_ms if corrected else finding.closed_ms


def _about_subject(inference: Inference, subject: str) -> Comparison | None:
    return next((c for c in inference.comparisons if c.subject == subject), None)


def _only(inference: Inference, comparison: Comparison) -> Inference:
    return replace(inference, comparisons=(comparison,))


def _detail(comparison: Comparison, limit: float) -> dict[str, Any]:
    return {"comparison": comparison.to_json(), "limit": limit}


def _about(found: list[Finding]) -> dict[str, Any]:
    """What a message says: names and verdicts, no figure."""
    first = found[0]
    return {
        "audit": first.audit,
        "scan": first.scan_id,
        "findings": [{"id": f.id, "subject": f.subject, "verdict": f.verdict, "state": f.state, "due_at": iso(f.due_ms)} for f in found],
    }


def about_scan(scan: Scan, found: list[Finding]) -> dict[str, Any]:
    """What a message about a scan says."""
    return (_about(found) if found else {"audit": scan.audit, "findings": []}) | {"scan": scan.id, "verdict": scan.verdict}
