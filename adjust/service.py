"""The engine's step: learn every policy of a site from its usable releases and publish one bundle.

A learner that throws keeps its last good weights; the evidence log says so.
"""

from __future__ import annotations

import secrets
from typing import Any

from adjust.bundle import payload, policy_entry
from adjust.learn import learn
from adjust.store import BundleStore
from privacy.releases import ReleaseStore
from tacit.core import logs
from tacit.core.clock import Clock
from tacit.core.declaration import Site
from tacit.core.evidence import Entry, EvidenceLog

HORIZON_MS = 90 * 86_400_000

logs.allow(["learner.failed"])


class Engine:
    """Learns from the released vault and writes to it; it has no other source."""

    def __init__(self, releases: ReleaseStore, bundles: BundleStore, evidence: EvidenceLog, clock: Clock) -> None:
        self._releases, self._bundles, self._evidence, self._clock = releases, bundles, evidence, clock

    def step(self, site: Site) -> int | None:
        """Publish the next bundle; its version, or None for a site without policies."""
        if not site.policies:
            return None
        now_ms = self._clock.now_ms()
        before = self._bundles.latest_payload(site.name) or {"policies": {}}
        entries: dict[str, Any] = {}
        states: dict[str, Any] = {}
        used: list[str] = []
        for policy in site.policies.values():
            measure = site.policy_measure(policy.name)
            usable = [r for r in self._releases.since(site.name, measure.id, now_ms - HORIZON_MS) if r.usable]
            try:
                learned = learn(policy, measure, usable)
            except Exception as error:
                logs.Log("engine").fault("learner.failed", error, policy=policy.name)
                self._evidence.append([Entry("learner.failed", site.name, {"policy": policy.name, "error": type(error).__name__})])
                uniform = [1.0] * len(policy.arms)
                entries[policy.name] = before["policies"].get(policy.name) or policy_entry(policy, uniform, {})
                continue
            entries[policy.name] = policy_entry(policy, learned.marginal, learned.weights)
            states[policy.name] = learned.state(policy)
            used += [r.id for r in usable]
        salt = secrets.token_hex(8)
        return self._bundles.publish(
            site.name, lambda version: payload(site.name, version, now_ms, used, entries, salt), states, self._evidence, now_ms=now_ms
        )
