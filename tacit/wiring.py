"""The only place that joins the rooms. Two compositions: what a web process gets, and what the sanitiser gets.

The intake engine is handed to consent, ingest and the sanitiser's presence memory only; adjust, audit and dashboards get the released one.
Heavy libraries are imported inside `sanitiser`, so that a web process never loads them.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from adjust.corrections import PolicyCorrections
from adjust.current import Deciders
from adjust.experiment_store import ExperimentStore
from adjust.models_store import ModelStore
from adjust.policies import PolicyBook
from adjust.store import BundleStore, PolicyHistory
from audit.log import Log as EvidenceTable
from audit.notary import Notary
from audit.ports import Corrections
from audit.reporting import Reports
from audit.service import Findings
from audit.store import AuditStore
from audit.subscriptions import Subscriptions
from consent import outbox
from consent.explaining import Explanations
from consent.exports import Exports
from consent.gate import Gate
from consent.notices import Notices
from consent.receipts import Receipts
from consent.retention import Retention
from consent.rights import Rights
from consent.rights_work import RightsWork
from consent.rotation import Rotation
from consent.rules import Rules
from consent.served import ServedNotices
from consent.service import ConsentService
from consent.subjects import Subjects
from consent.webhooks import Webhooks
from dashboards.services import DashboardServices
from dashboards.session import Sessions
from ingest.custody import Custody
from ingest.door import Door
from ingest.staging import Staging
from ingest.standing import StandingRows
from ingest.withdrawals import Withdrawals
from privacy.budget import BudgetView
from privacy.models import Release
from privacy.plans import PlanStore
from privacy.releases import ReleaseStore
from tacit.core import rootkey
from tacit.core.access import KeyStore
from tacit.core.claims import Claims
from tacit.core.clock import Clock, SystemClock
from tacit.core.db import connect, writing
from tacit.core.declaration import Declaration, Site
from tacit.core.evidence import EvidenceLog, canonical
from tacit.core.evidence_terms import AnchorTerms
from tacit.core.rootkey import RootKey
from tacit.core.settings import MailSettings, Settings
from tacit.readers import page_services

if TYPE_CHECKING:
    from adjust.assessor import Assessor
    from adjust.pricing import Pricing
    from adjust.service import Engine as LearningEngine
    from audit.anchors import Anchors
    from audit.deliveries import Notifier
    from audit.scan import Scanner
    from audit.schedule import Schedule
    from consent.deliveries import Deliveries
    from privacy.ports import EventSource
    from privacy.service import Sanitiser


@dataclass(frozen=True)
class WebServices:
    """Everything a web process works with."""

    keys: KeyStore
    consent: ConsentService
    explanations: Explanations
    notices: Notices
    rules: Rules
    webhooks: Webhooks
    exports: Exports
    retention: Retention
    rights: Rights
    evidence: EvidenceTable
    notary: Notary
    door: Door
    staging: Staging
    deciders: Deciders
    policies: PolicyBook
    pricing: Callable[[], Pricing]
    bundles: BundleStore
    releases: ReleaseStore
    budget: BudgetView
    plans: PlanStore
    audits: AuditStore
    findings: Findings
    subscriptions: Subscriptions
    reports: Reports
    dashboards: DashboardServices
    sessions: Sessions
    root: RootKey
    vaults: tuple[Engine, Engine]

    def ready(self) -> bool:
        """Whether both vaults answer."""
        try:
            for engine in self.vaults:
                with engine.connect() as connection:
                    connection.execute(text("select 1"))
        except SQLAlchemyError:
            return False
        return True

    def close(self) -> None:
        """Stop threads and let go of the databases."""
        self.deciders.stop()
        for engine in self.vaults:
            engine.dispose()


@dataclass(frozen=True)
class SanitiserServices:
    """Everything the sanitiser works with: the only composition that holds both vaults' private and released sides."""

    declaration: Declaration
    declaration_hash: str
    source: EventSource
    sanitiser: Sanitiser
    releases: ReleaseStore
    release_quality: Callable[[Release], tuple[bool, Mapping[str, Any]]]
    plans: PlanStore
    plan_site: Callable[[Site], dict[str, Any]]
    engine: LearningEngine
    assessor: Assessor
    scanner: Scanner
    schedule: Schedule
    notifier: Notifier
    consent: ConsentService
    announce_lapses: Callable[[str], None]
    deliveries: Deliveries
    retention: Retention
    notary: Notary
    alert: Callable[[str, str, list[str]], None]
    rights: Rights
    rotation: Rotation
    evidence: EvidenceLog
    anchors: Anchors
    claims: Claims
    clock: Clock


@dataclass(frozen=True)
class _Intake:
    engine: Engine
    subjects: Subjects
    gate: Gate
    custody: Custody
    staging: Staging
    door: Door
    consent: ConsentService
    rules: Rules
    rights: Rights


def web(settings: Settings, declaration: Declaration, *, clock: Clock | None = None) -> WebServices:
    """What a web process gets."""
    clock = clock or SystemClock()
    root = rootkey.load(settings)
    released = connect(settings.released_location)
    evidence = EvidenceTable(released, clock)
    notary = Notary(evidence, root.signing_key(), declaration.evidence, clock)
    intake = _intake(settings, declaration, root, notary, clock)
    keys = KeyStore(released)
    bundles = BundleStore(released, root)
    releases = ReleaseStore(released, clock)
    budget = BudgetView(released)
    plans = PlanStore(released)
    audits = AuditStore(released)
    policies = PolicyBook(released, evidence, clock)
    pages = page_services(
        declaration,
        releases=releases,
        budget=budget,
        plans=plans,
        bundles=bundles,
        history=PolicyHistory(released),
        experiments=ExperimentStore(released),
        audits=audits,
        evidence=evidence,
        clock=clock,
    )
    return WebServices(
        keys=keys,
        consent=intake.consent,
        explanations=Explanations(intake.engine, intake.subjects, intake.rules, clock),
        notices=Notices(intake.engine, intake.subjects, evidence, clock),
        rules=intake.rules,
        webhooks=Webhooks(intake.engine, root, clock),
        exports=Exports(intake.engine, evidence, clock),
        retention=Retention(intake.engine, declaration, clock),
        rights=intake.rights,
        evidence=evidence,
        notary=notary,
        door=intake.door,
        staging=intake.staging,
        deciders=Deciders(bundles, list(declaration.sites), lambda site: policies.controls.killed(site) | settings.killed(site)),
        policies=policies,
        pricing=lambda: pricing(released, clock),
        bundles=bundles,
        releases=releases,
        budget=budget,
        plans=plans,
        audits=audits,
        findings=findings(released, declaration, clock),
        subscriptions=Subscriptions(released, root, evidence, clock),
        reports=Reports(releases, audits, evidence),
        dashboards=pages,
        sessions=Sessions(keys, root.secret("session"), clock),
        root=root,
        vaults=(intake.engine, released),
    )


def findings(released: Engine, declaration: Declaration, clock: Clock) -> Findings:
    """What officers do about findings, in a web process or on the command line."""
    return Findings(
        released,
        EvidenceTable(released, clock),
        corrections(declaration, released, clock),
        KeyStore(released).by_id,
        declaration,
        clock,
    )


def corrections(declaration: Declaration, released: Engine, clock: Clock) -> Corrections:
    """What the auditor may have the engine do."""
    releases, evidence = ReleaseStore(released, clock), EvidenceTable(released, clock)
    return PolicyCorrections(declaration, PolicyBook(released, evidence, clock), lambda: pricing(released, clock), releases, evidence)


def pricing(released: Engine, clock: Clock) -> Pricing:
    """What orders cost and how model versions compare; it loads numpy."""
    from adjust.pricing import Pricing

    return Pricing(ReleaseStore(released, clock), ModelStore(released), PolicyBook(released, EvidenceTable(released, clock), clock))


def sanitiser(settings: Settings, declaration: Declaration, *, clock: Clock | None = None) -> SanitiserServices:
    """What the sanitiser gets."""
    from adjust.assessor import Assessor
    from adjust.service import Engine as LearningEngine
    from audit import quality
    from audit.deliveries import Notifier
    from audit.scan import Scanner
    from audit.schedule import Schedule
    from consent.deliveries import Deliveries
    from ingest.secrets import Secrets
    from ingest.source import StagedSource
    from privacy.ledger import Ledger
    from privacy.plan import plan_site
    from privacy.presence import PresenceBook
    from privacy.service import Sanitiser
    from tacit.inspection import InspectedSource

    clock = clock or SystemClock()
    root = rootkey.load(settings)
    released = connect(settings.released_location)
    evidence = EvidenceTable(released, clock)
    notary = Notary(evidence, root.signing_key(), declaration.evidence, clock)
    intake = _intake(settings, declaration, root, notary, clock)
    releases = ReleaseStore(released, clock)
    bundles = BundleStore(released, root)
    audits, claims = AuditStore(released), Claims(released, owner=secrets.token_hex(12))
    scanner = Scanner(releases, audits, evidence, clock, corrections(declaration, released, clock))
    source = InspectedSource(
        StagedSource(intake.staging, intake.custody, intake.engine, declaration, clock), intake.engine, declaration, clock
    )
    return SanitiserServices(
        declaration=declaration,
        declaration_hash=fingerprint(declaration),
        source=source,
        sanitiser=Sanitiser(
            source,
            PresenceBook(intake.engine),
            Ledger(released, clock),
            releases,
            evidence,
            clock,
            Secrets(settings.custody_directory, root),
        ),
        releases=releases,
        release_quality=quality.check,
        plans=PlanStore(released),
        plan_site=plan_site,
        scanner=scanner,
        schedule=Schedule(claims, scanner, releases, audits, clock),
        notifier=Notifier(released, root, MailSettings(), clock),
        engine=LearningEngine(
            releases, bundles, PolicyHistory(released), evidence, root, clock, ModelStore(released), PolicyBook(released, evidence, clock)
        ),
        assessor=Assessor(
            releases,
            ExperimentStore(released),
            PolicyBook(released, evidence, clock),
            evidence,
            lambda site, kind, detail, connection: audits.raise_alert(site, kind, detail, at_ms=clock.now_ms(), connection=connection),
        ),
        consent=intake.consent,
        announce_lapses=lambda site: outbox.announce_lapses(intake.engine, site, now_ms=clock.now_ms()),
        deliveries=Deliveries(intake.engine, Webhooks(intake.engine, root, clock), clock),
        retention=Retention(intake.engine, declaration, clock),
        notary=notary,
        alert=lambda kind, site, names: _alert(audits, released, kind, site, names, clock),
        rights=intake.rights,
        rotation=Rotation(intake.engine, intake.subjects, clock),
        evidence=evidence,
        anchors=_anchors(declaration, notary, claims, clock),
        claims=claims,
        clock=clock,
    )


def _anchors(declaration: Declaration, notary: Notary, claims: Claims, clock: Clock) -> Anchors:
    from audit.anchors import Anchors, ways

    terms = declaration.evidence.anchor or AnchorTerms()
    return Anchors(notary, ways(terms, MailSettings()), claims, clock, every_ms=terms.every_ms)


def _alert(audits: AuditStore, released: Engine, kind: str, site: str, names: list[str], clock: Clock) -> None:
    what = {"retention.late": "jobs", "rights.overdue": "kinds", "evidence.damaged": "from"}[kind]
    with writing(released) as connection:
        audits.raise_alert(site, kind, {what: names}, at_ms=clock.now_ms(), connection=connection)


def _intake(settings: Settings, declaration: Declaration, root: RootKey, log: Notary, clock: Clock) -> _Intake:
    engine = connect(settings.intake_location)
    custody = Custody(settings.custody_directory, engine, root, clock)
    staging = Staging(settings.staging, custody, clock, declaration)
    subjects = Subjects(engine, root, clock, others=[ServedNotices()])
    rules = Rules.declared(declaration)
    gate = Gate(engine, subjects, clock, rules=rules)
    door = Door(declaration, gate, subjects, custody, staging, clock)
    withdrawals = Withdrawals(engine, custody, clock, declaration, staging)
    signer = Receipts(root)
    controllers = {name: site.controller for name, site in declaration.sites.items() if site.controller}
    consent = ConsentService(engine, subjects, withdrawals, door, signer, clock, rules=rules, controllers=controllers, log=log)
    counts = StandingRows(engine, custody, declaration, staging)
    work = RightsWork(engine, subjects, consent, withdrawals, counts, signer, declaration, clock)
    rights = Rights(engine, subjects, work, declaration, clock, log=log)
    return _Intake(engine, subjects, gate, custody, staging, door, consent, rules, rights)


def fingerprint(declaration: Declaration) -> str:
    """Sixteen hexadecimal digits that change with anything the engine acts on."""
    content = {
        name: {
            "measures": [m.definition for m in site.measures],
            "policies": {p.name: p.settings for p in site.policies.values()},
        }
        for name, site in declaration.sites.items()
    }
    return hashlib.sha256(canonical(content)).hexdigest()[:16]
