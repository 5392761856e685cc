"""The sanitiser's loop: closes windows that are due, lets the engine learn from what was released, audits, and writes evidence.

Each piece of work is owned through a claim with a lease, so any number of workers may run; each piece can be repeated after a crash.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field

from audit.evidence_errors import EvidenceDamaged
from audit.results import ScanResult
from privacy.models import Window
from privacy.plans import fingerprint
from tacit.core import logs
from tacit.core.declaration import Site
from tacit.core.errors import Problem
from tacit.core.evidence import Entry
from tacit.wiring import SanitiserServices

TICK_SECONDS = 0.5
EVIDENCE_BATCH = 1_000

EVENTS = (
    "window.closed",
    "bundle.published",
    "scan.done",
    "worker.started",
    "worker.stopped",
    "work.failed",
    "release.held",
    "plan.made",
    "policy.paused",
    "evidence.damaged",
    "retention.late",
    "rights.overdue",
    "subject_key.destroyed",
)
STEPS = ("end", "close", "check", "learn", "assess", "scan", "overdue", "plan", "lapses", "retain", "rights", "consent")
LAPSE_SECONDS, DAY_MS = 30, 86_400_000
logs.allow([*EVENTS, *STEPS])
log = logs.Log("worker")


@dataclass
class Done:
    """What one pass did."""

    windows: list[Window] = field(default_factory=list)
    bundles: dict[str, int] = field(default_factory=dict)
    scans: list[ScanResult] = field(default_factory=list)

    @property
    def anything(self) -> bool:
        """Whether there was work at all."""
        return bool(self.windows or self.bundles or self.scans)


class Worker:
    """Works through what is due for every site of the declaration."""

    def __init__(self, services: SanitiserServices) -> None:
        self._services = services
        self._planned: dict[str, str] = {}
        self._looked: dict[str, int] = {}
        self._reminded: dict[str, int] = {}
        self._retained: dict[str, int] = {}
        self._verified: int | None = None
        self._tended: dict[str, int] = {}

    def once(self) -> Done:
        """Handle what is due now, one site after the other. A fault in one site or step is logged and leaves the others alone."""
        done = Done()
        for site in self._services.declaration.sites.values():
            steps = {
                "end": self._end,
                "close": self._close,
                "check": self._check,
                "learn": self._learn,
                "assess": self._assess,
                "scan": self._scan,
                "overdue": self._overdue,
                "plan": self._plan,
                "lapses": self._lapses,
                "retain": self._retain,
                "rights": self._rights,
            }
            for name, step in steps.items():
                try:
                    step(site, done)
                except Problem as problem:
                    log.fault("work.failed", problem, step=name, site=site.name)
                except Exception as error:
                    log.fault("work.failed", error, step=name, site=site.name)
        for name, work in {"consent": self._consent_evidence, "verify": self._verify_evidence}.items():
            try:
                work()
            except Exception as error:
                log.fault("work.failed", error, step=name)
        return done

    def run(self, stop: threading.Event, *, parent: int | None = None) -> None:
        """Work until told to stop, or until the process that started this one is gone."""
        log.info("worker.started")
        # beside the loop: a receiver that hangs must not keep a window from closing
        threading.Thread(target=self._services.deliveries.run, args=(stop,), daemon=True, name="webhooks").start()
        threading.Thread(target=self._services.notifier.run, args=(stop,), daemon=True, name="notifications").start()
        threading.Thread(target=self._services.anchors.run, args=(stop,), daemon=True, name="anchors").start()
        while not stop.is_set() and (parent is None or os.getppid() == parent):
            self.once()
            stop.wait(TICK_SECONDS)
        stop.set()
        log.info("worker.stopped")

    def deliver(self) -> int:
        """Anchor what is due and send what webhooks and mail are owed now; how many messages arrived. For a worker that runs once."""
        self._services.anchors.once()
        return self._services.deliveries.once().delivered + self._services.notifier.once()

    def _end(self, site: Site, done: Done) -> None:  # noqa: ARG002 - one signature for all steps
        """End the epochs that are over. Closing a window does so too; this finishes what a crash or a change of the declaration left."""
        self._services.sanitiser.end_epochs(site.name)

    def _close(self, site: Site, done: Done) -> None:
        services = self._services
        for window in services.sanitiser.due(site.name):
            job = f"close:{site.name}"
            if not services.claims.take(job, window.start_ms, now_ms=services.clock.now_ms()):
                break  # somebody else is at it; later windows must wait, because bounding looks back
            services.sanitiser.close(site, window)
            services.claims.finish(job, window.start_ms)
            done.windows.append(window)
            log.info("window.closed", site=site.name)

    def _check(self, site: Site, done: Done) -> None:  # noqa: ARG002 - one signature for all steps
        """Decide which releases the engine may use. Two workers may check the same one: the answer is the same."""
        services = self._services
        for release in services.releases.unchecked(site.name):
            usable, quality = services.release_quality(release)
            services.releases.set_usable(release.id, usable, quality)
            if not usable:
                log.warning("release.held", site=site.name, measure=release.measure.name)

    def _learn(self, site: Site, done: Done) -> None:
        """Publish a bundle when there is none yet or something was released or ordered since; the slot is the last closed window's end."""
        services = self._services
        slot = services.releases.last_closed(site.name) or 0
        job = f"learn:{site.name}:{services.declaration_hash}:{services.engine.revision(site)}"
        if services.claims.is_done(job, slot) or services.releases.unchecked(site.name):
            return  # learnt already, or somebody is still checking what there is to learn from
        if not services.claims.take(job, slot, now_ms=services.clock.now_ms()):
            return
        version = services.engine.step(site)
        services.claims.finish(job, slot)
        if version is not None:
            done.bundles[site.name] = version
            log.info("bundle.published", site=site.name, version=version)

    def _assess(self, site: Site, done: Done) -> None:  # noqa: ARG002 - one signature for all steps
        """Look at every experiment after each window, once, and pause what crosses a guardrail."""
        services = self._services
        slot, job = services.releases.last_closed(site.name) or 0, f"assess:{site.name}:{services.declaration_hash}"
        if not site.policies or services.claims.is_done(job, slot) or services.releases.unchecked(site.name):
            return
        if services.claims.take(job, slot, now_ms=services.clock.now_ms()):
            for policy in services.assessor.step(site):
                log.warning("policy.paused", site=site.name, policy=policy)
            services.claims.finish(job, slot)

    def _scan(self, site: Site, done: Done) -> None:
        """The scans whose slot has come and whose windows are all decided, missed ones included."""
        for result in self._services.schedule.run_due(site):
            done.scans.append(result)
            log.info("scan.done", site=site.name, audit=result.audit)

    def _overdue(self, site: Site, done: Done) -> None:  # noqa: ARG002 - one signature for all steps
        """Tell of findings past their due date, looked for at most twice a minute."""
        slot = self._services.clock.now_ms() // (LAPSE_SECONDS * 1000)
        if site.audits and self._reminded.get(site.name) != slot:
            self._services.scanner.overdue(site)
            self._reminded[site.name] = slot

    def _plan(self, site: Site, done: Done) -> None:  # noqa: ARG002 - one signature for all steps
        """Keep the plan of the declaration where web processes can read it. Two workers may make the same one."""
        services = self._services
        if site.name in self._planned:
            return
        sha256 = fingerprint(site)
        if services.plans.about(site.name) != sha256:
            services.plans.save(site.name, sha256, services.plan_site(site), at_ms=services.clock.now_ms())
            log.info("plan.made", site=site.name)
        self._planned[site.name] = sha256

    def _lapses(self, site: Site, done: Done) -> None:  # noqa: ARG002 - one signature for all steps
        """Tell webhooks of grants that have lapsed, at most twice a minute. The mark of the last look keeps it to once for each."""
        slot = self._services.clock.now_ms() // (LAPSE_SECONDS * 1000)
        if self._looked.get(site.name) != slot:
            self._services.announce_lapses(site.name)
            self._looked[site.name] = slot

    def _retain(self, site: Site, done: Done) -> None:  # noqa: ARG002 - one signature for all steps
        """Delete what has been kept long enough, once a day; an alert, once a day too, if a job had not run for longer than it may."""
        services = self._services
        slot, job = services.clock.now_ms() // DAY_MS * DAY_MS, f"retain:{site.name}"
        if self._retained.get(site.name) == slot or services.claims.is_done(job, slot):
            return
        if not services.claims.take(job, slot, now_ms=services.clock.now_ms()):
            return
        late = [one["job"] for one in services.retention.standing(site.name)["jobs"] if one["late"] and one["last_run_at"]]
        if late:
            self._alarm("retention.late", site, slot, late)
        try:
            services.evidence.append(services.retention.run(site.name))
        except Exception:
            self._alarm("retention.late", site, slot, late or ["retention"])
            raise
        services.claims.finish(job, slot)
        self._retained[site.name] = slot

    def _rights(self, site: Site, done: Done) -> None:  # noqa: ARG002 - one signature for all steps
        """At most twice a minute: finish what rights requests still wait for, destroy lookup keys that are due, alert once a day of
        requests that are overdue."""
        services, now_ms = self._services, self._services.clock.now_ms()
        if self._tended.get(site.name) == now_ms // (LAPSE_SECONDS * 1000):
            return
        services.rights.tend(site.name)
        if services.rotation.destroy_due(site.name):
            log.info("subject_key.destroyed", site=site.name)
        if late := services.rights.overdue(site.name):
            self._alarm("rights.overdue", site, now_ms // DAY_MS * DAY_MS, late)
        self._tended[site.name] = now_ms // (LAPSE_SECONDS * 1000)

    def _alarm(self, kind: str, site: Site, slot: int, names: list[str]) -> None:
        services, job = self._services, f"{kind}:{site.name}"
        if not services.claims.is_done(job, slot) and services.claims.take(job, slot, now_ms=services.clock.now_ms()):
            log.warning(kind, site=site.name)
            services.alert(kind, site.name, names)
            services.claims.finish(job, slot)

    def _verify_evidence(self) -> None:
        """Read the whole evidence log once a day, hold it against every checkpoint that was kept, and put on record that it verifies.

        Of a log that does not, every site is told; nothing is entered, because nothing that follows a bad entry proves anything.
        """
        services, job = self._services, "verify-evidence"
        slot = services.clock.now_ms() // DAY_MS * DAY_MS
        if self._verified == slot or services.claims.is_done(job, slot):
            return
        if not services.claims.take(job, slot, now_ms=services.clock.now_ms()):
            return
        try:
            size = services.notary.verify().size
        except EvidenceDamaged as damage:
            for site in services.declaration.sites.values():
                self._alarm("evidence.damaged", site, slot, [str(damage.first_bad)])
        else:
            services.evidence.append([Entry("evidence.verified", "*", {"size": size})])
        services.claims.finish(job, slot)
        self._verified = slot

    def _consent_evidence(self) -> None:
        """Move commitments to consent changes, proofs of rights requests and destructions of lookup keys into the evidence log.

        Owned by one worker at a time, so none is entered twice.
        """
        services = self._services
        if not services.claims.take("consent-evidence", 0, now_ms=services.clock.now_ms()):
            return
        while pending := services.consent.pending_evidence(EVIDENCE_BATCH):
            indices = services.evidence.append([entry for _, entry in pending])
            services.consent.set_evidence({seq: index for (seq, _), index in zip(pending, indices, strict=True)})
        while finished := services.rights.pending_evidence(EVIDENCE_BATCH):
            indices = services.evidence.append([entry for _, entry in finished])
            services.rights.set_evidence({name: index for (name, _), index in zip(finished, indices, strict=True)})
        while destroyed := services.rotation.pending_evidence(EVIDENCE_BATCH):
            indices = services.evidence.append([entry for _, entry in destroyed])
            services.rotation.set_evidence({key: index for (key, _), index in zip(destroyed, indices, strict=True)})
