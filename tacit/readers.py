"""What the pages read: the released vault's stores in the shapes of `dashboards.ports`. Nothing here can write or open the intake vault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from adjust.experiment_store import ExperimentStore
from adjust.experiments import lift
from adjust.recent import recent
from adjust.store import BundleStore, PolicyHistory
from audit.log import Log
from audit.store import AuditStore
from dashboards.days import sum_by_day
from dashboards.ports import (
    AdviceRow,
    AlertRow,
    ArmRow,
    BundleRow,
    ComparisonRow,
    DayRow,
    EpochRow,
    EvidenceHead,
    FindingEventRow,
    FindingRow,
    GroupRow,
    LiftRow,
    MeasurePlanRow,
    PlanRow,
    PolicyStateRow,
    RefusalRow,
    ReleaseRow,
    ScanRow,
    SpendRow,
)
from dashboards.services import DashboardServices
from privacy.budget import BudgetView
from privacy.plans import PlanStore, brief
from privacy.releases import ReleaseStore
from tacit.core.clock import Clock
from tacit.core.declaration import Declaration


def page_services(
    declaration: Declaration,
    *,
    releases: ReleaseStore,
    budget: BudgetView,
    plans: PlanStore,
    bundles: BundleStore,
    history: PolicyHistory,
    experiments: ExperimentStore,
    audits: AuditStore,
    evidence: Log,
    clock: Clock,
) -> DashboardServices:
    """Everything a page is built from."""
    audit_readers = _Audits(audits)
    return DashboardServices(
        declaration=declaration,
        releases=_Releases(releases, declaration),
        budget=_Budget(budget),
        plans=_Plans(plans),
        policies=_Policies(bundles, history),
        lift=_Lift(releases, experiments, declaration),
        scans=_Scans(audits, declaration),
        findings=audit_readers,
        evidence=_Evidence(evidence, audits, tuple(declaration.sites)),
        alerts=audit_readers,
        clock=clock,
    )


@dataclass(frozen=True, slots=True)
class _Releases:
    store: ReleaseStore
    declaration: Declaration

    def latest(self, site: str, *, limit: int) -> list[ReleaseRow]:
        found, _ = self.store.list(site, limit=limit)
        return [
            ReleaseRow(
                id=r.id,
                measure=r.measure.name,
                window={"start": r.window.start_ms, "end": r.window.end_ms},
                published_at=r.published_ms,
                usable=r.usable,
                evidence={"index": r.evidence_index},
            )
            for r in found
        ]

    def by_day(self, site: str, measure: str, *, from_ms: int) -> list[DayRow]:
        declared = self.declaration.sites[site].measure(measure)
        if declared is None:
            return []
        found = [r for r in self.store.since(site, declared.id) if r.window.start_ms >= from_ms]
        return sum_by_day(found)


@dataclass(frozen=True, slots=True)
class _Budget:
    view: BudgetView

    def epochs(self, site: str, *, limit: int) -> list[EpochRow]:
        return [
            EpochRow(
                start=e.start_ms,
                end=e.end_ms,
                epsilon=str(e.epsilon),
                delta=str(e.delta),
                rho_pico=e.rho_pico,
                spent_pico=e.spent_pico,
                epsilon_spent=str(e.epsilon_spent),
                accumulated={days: str(epsilon) for days, epsilon in e.accumulated.items()},
            )
            for e in self.view.epochs(site, limit)
        ]

    def spends(self, site: str, epoch_ms: int) -> list[SpendRow]:
        epoch = next((e for e in self.view.epochs(site) if e.start_ms == epoch_ms), None)
        return [SpendRow(measure=s.measure, rho_pico=s.rho_pico, at=s.at_ms) for s in epoch.spends] if epoch else []

    def refusals(self, site: str, *, limit: int) -> list[RefusalRow]:
        found = [r for e in self.view.epochs(site) for r in e.refusals]
        found.sort(key=lambda r: -r.at_ms)
        return [RefusalRow(measure=r.measure, at=r.at_ms, detail=r.reason) for r in found[:limit]]


@dataclass(frozen=True, slots=True)
class _Plans:
    store: PlanStore

    def latest(self, site: str) -> PlanRow | None:
        plan = self.store.latest(site)
        if plan is None:
            return None
        return PlanRow(
            people=plan["traffic"]["people"],
            measures=[cast(MeasurePlanRow, brief(row)) for row in plan["measures"]],
            advice=[AdviceRow(path=line["path"], text=line["text"]) for line in plan["advice"]],
        )


@dataclass(frozen=True, slots=True)
class _Policies:
    bundles: BundleStore
    states: PolicyHistory

    def bundle(self, site: str) -> BundleRow | None:
        payload = self.bundles.latest_payload(site)
        if payload is None:
            return None
        policies = {name: {"default": p["default"], "weights": p["weights"]} for name, p in payload["policies"].items()}
        return BundleRow(version=payload["version"], published_at=payload["published_at"], policies=policies)  # type: ignore[typeddict-item]  # the signed payload has this shape

    def history(self, site: str, policy: str, *, limit: int) -> list[PolicyStateRow]:
        return [PolicyStateRow(at=s["at"], weights=s["weights"]) for s in self.states.list(site, policy, limit=limit)]


@dataclass(frozen=True, slots=True)
class _Lift:
    """Pages are looked at often, so what they show of an assessed experiment holds however often one looks."""

    store: ReleaseStore
    experiments: ExperimentStore
    declaration: Declaration

    def lift(self, site: str, policy: str) -> LiftRow | None:
        measure = self.declaration.sites[site].policy_measure(policy)
        found = lift(measure, recent(self.store, measure))
        if found is None:
            return None
        assessed = self.experiments.latest(site, policy)
        looked = assessed["sequences"] if assessed else [asdict(c) for c in found.comparisons]
        return LiftRow(
            sentence=assessed["sentence"] if assessed else found.sentence,
            as_of=found.as_of_ms,
            comparisons=[_comparison(one) for one in looked],
            arms=[cast(ArmRow, asdict(a)) for a in found.arms],
        )


def _comparison(one: Mapping[str, Any]) -> ComparisonRow:
    return ComparisonRow(name=one["name"], against=one["against"], difference=one["difference"], low=one["low"], high=one["high"])


@dataclass(frozen=True, slots=True)
class _Scans:
    store: AuditStore
    declaration: Declaration

    def latest(self, site: str) -> list[ScanRow]:
        found = [self.store.latest(site, audit) for audit in self.declaration.sites[site].audits]
        return [
            ScanRow(id=s.id, audit=s.audit, at=s.at_ms, verdict=s.verdict, groups=[_group(c) for c in s.result["comparisons"]])
            for s in found
            if s is not None
        ]


def _group(comparison: Mapping[str, Any]) -> GroupRow:
    low, high = comparison["interval"] or (None, None)
    return GroupRow(
        dimension=comparison["dimension"],
        group=comparison["group"],
        what=_what(comparison),
        difference=comparison["difference"],
        low=low,
        high=high,
        p=comparison["p"],
        people=comparison["people"],
        people_sd=comparison["people_sd"],
        verdict=comparison["verdict"],
    )


def _what(comparison: Mapping[str, Any]) -> str:
    arm, parameter = comparison["arm"], comparison.get("parameter")
    match comparison["statistic"]:
        case "exposure":
            what = f"sees {arm}"
        case "offered":
            what = f"is given {parameter}"
        case "intensity":
            what = f"mean {parameter}, in parts of its range"
        case _:
            what = f"reward rate{f' of {arm}' if arm else ''}"
    return what + "".join(f", {name} {value}" for name, value in (comparison.get("stratum") or {}).items())


@dataclass(frozen=True, slots=True)
class _Audits:
    store: AuditStore

    def findings(self, site: str, *, limit: int) -> list[FindingRow]:
        return [
            FindingRow(
                id=f.id,
                audit=f.audit,
                subject=f.subject,
                verdict=f.verdict,
                state=f.state,
                opened_at=f.opened_ms,
                due_at=f.due_ms,
                detail=f.detail,
                signatures=len(f.signatures),
            )
            for f in self.store.findings(site, limit=limit)[0]
        ]

    def history(self, site: str, *, limit: int) -> list[FindingEventRow]:
        return [
            FindingEventRow(at=e.at_ms, subject=subject, action=e.action, state=e.state, actor=e.actor)
            for e, subject in self.store.finding_events(site, limit=limit)
        ]

    def alerts(self, site: str, *, limit: int) -> list[AlertRow]:
        return [AlertRow(at=a.at_ms, kind=a.kind, detail=a.detail.get("audit", "")) for a in self.store.alerts(site, limit=limit)[0]]


@dataclass(frozen=True, slots=True)
class _Evidence:
    log: Log
    audits: AuditStore
    sites: tuple[str, ...]

    def head(self) -> EvidenceHead:
        size = self.log.size()
        newest = self.log.list(limit=1, after=size - 2)[0] if size else []
        verified, bad = self.log.newest("evidence.verified"), None
        for site in self.sites[:1]:  # every site is told of a damaged log
            bad = next((a for a in self.audits.alerts(site, limit=1000)[0] if a.kind == "evidence.damaged"), None)
        still = bad is not None and (verified is None or bad.at_ms > verified.at_ms)
        return EvidenceHead(
            size=size,
            head=newest[0].leaf.hex() if newest else "",
            verified_at=None if verified is None else verified.at_ms,
            first_bad=int(bad.detail["from"][0]) if bad is not None and still else None,
        )
