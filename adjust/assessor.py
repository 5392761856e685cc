"""Assesses every experiment of a site when there is something new, and pauses a policy that crosses a guardrail.

The invariant: an assessment, the order to pause and its line in the evidence log are one transaction; a person who lets a paused policy
run again is not overruled by the same guardrail, until there is another version of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from adjust.assessment import assess, verdict_of
from adjust.experiment_store import ExperimentStore
from adjust.guardrails import Watched, of_kpi, of_measure
from adjust.policies import ENGINE, Effective, PolicyBook
from adjust.recent import recent
from adjust.sequential import sequence_json, sequences
from privacy.releases import ReleaseStore
from tacit.core import logs
from tacit.core.clock import from_iso
from tacit.core.db import writing
from tacit.core.declaration import Policy, Site
from tacit.core.evidence import Entry, EvidenceLog

logs.allow(["assessment.failed"])
log = logs.Log("adjust")

GUARDRAIL = "guardrail "
"""How the reason of a pause by a guardrail begins."""

Alert = Callable[[str, str, dict[str, Any], Connection], None]
"""Tells people of something: site, kind, detail, in the transaction."""


class Assessor:
    """Runs in the sanitiser after the learner."""

    def __init__(self, releases: ReleaseStore, store: ExperimentStore, book: PolicyBook, evidence: EvidenceLog, alert: Alert) -> None:
        self._releases, self._store, self._book = releases, store, book
        self._evidence, self._alert = evidence, alert

    def step(self, site: Site) -> list[str]:
        """Assess what has changed. The policies that were paused. A fault in one policy leaves the others alone."""
        paused = []
        for name in site.policies:
            try:
                if self._assess(site, self._book.effective(site, name)):
                    paused.append(name)
            except Exception as error:
                log.fault("assessment.failed", error, policy=name)
        return paused

    def _assess(self, site: Site, effective: Effective) -> bool:
        policy = effective.policy
        measure = site.policy_measure(policy.name)
        releases = recent(self._releases, measure)
        end_ms = max((r.window.end_ms for r in releases if r.usable is True), default=0)
        found = assess(
            policy.name,
            measure,
            releases,
            held_out=policy.held_out,
            even=policy.learner == "fixed",
            least_ms=policy.verdict_after_ms,
        )
        if found is None:
            return False
        kpis, watched = self._kpis(site, policy, early=end_ms - found.start_ms < policy.verdict_after_ms)
        watched += self._measures(site, policy)
        result = found.to_json() | {"kpis": kpis, "guardrails": [one.to_json() for one in watched]}
        with writing(self._store.engine) as connection:
            self._store.keep(site.name, policy.name, end_ms, result, connection)
            return self._pause(site, effective, watched, connection)

    def _kpis(self, site: Site, policy: Policy, *, early: bool) -> tuple[list[dict[str, Any]], list[Watched]]:
        results, watched = [], []
        for kpi in policy.kpis:
            measure = site.kpi_measure(policy.name, kpi.name)
            found = sequences(measure, recent(self._releases, measure), kpi.scores)
            first = found[0]
            better = {"raises": kpi.higher_is_better, "lowers": not kpi.higher_is_better}
            verdict = verdict_of(first, early=early)
            results.append(
                {
                    "name": kpi.name,
                    "better": "higher" if kpi.higher_is_better else "lower",
                    "mean": first.mean if first.information > 0 else None,
                    "verdict": verdict,
                    "good": better.get(verdict),
                    "sequences": [sequence_json(one) for one in found],
                }
            )
            if (one := of_kpi(kpi, found)) is not None:
                watched.append(one)
        return results, watched

    def _measures(self, site: Site, policy: Policy) -> list[Watched]:
        found = []
        for guardrail in policy.guardrails:
            measure = site.measure(guardrail.measure)
            if measure is not None:
                found.append(of_measure(guardrail, measure, recent(self._releases, measure)))
        return found

    def _pause(self, site: Site, effective: Effective, watched: list[Watched], connection: Connection) -> bool:
        policy = effective.policy.name
        since_ms = next((v.at_ms for v in self._book.store.versions(site.name, policy) if v.version == effective.version), 0)
        orders = self._book.controls.history(site.name, policy)
        overruled = {row["reason"] for row in orders if row["actor"] == ENGINE and from_iso(row["at"]) >= since_ms}
        for one in watched:
            reason = f"{GUARDRAIL}{one.name}"
            if not one.crossed or reason in overruled or effective.controls.paused is not None:
                continue
            self._book.controls.put(site.name, policy, "paused", reason, actor=ENGINE, reason=reason, connection=connection)
            body: Mapping[str, Any] = {"policy": policy, "key": "paused", "value": reason, "by": ENGINE, "note": reason}
            self._evidence.append([Entry("policy.ordered", site.name, body)], connection)
            self._alert(site.name, "guardrail.crossed", {"policy": policy, "guardrail": one.name}, connection)
            return True
        return False
