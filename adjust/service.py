"""One step of the engine: learn every policy of a site from what was released, and publish one signed bundle.

The invariant: a learner that fails changes nothing for its policy (the last good weights stay) and leaves evidence that it failed.
"""

from __future__ import annotations

import numpy as np

from adjust.bundle import Bundle, Payload, Standing, salt_of
from adjust.controls import Controls
from adjust.learn import learn
from adjust.policies import Effective, PolicyBook
from adjust.published import Weighed, last_good, published
from adjust.recent import recent
from adjust.store import BundleStore, PolicyHistory
from privacy.models import Release
from privacy.releases import ReleaseStore
from tacit.core import logs
from tacit.core.clock import Clock
from tacit.core.declaration import Site
from tacit.core.evidence import Entry, EvidenceLog
from tacit.core.rootkey import RootKey

logs.allow(["learner.failed"])
log = logs.Log("adjust")


class Engine:
    """Learns and publishes; owns no state but what is in the released vault."""

    def __init__(
        self,
        releases: ReleaseStore,
        bundles: BundleStore,
        history: PolicyHistory,
        evidence: EvidenceLog,
        root: RootKey,
        clock: Clock,
        policies: PolicyBook | None = None,
    ) -> None:
        """Without a book of policies each is as it stands in the file, and runs."""
        self._releases, self._bundles, self._history = releases, bundles, history
        self._evidence, self._root, self._clock = evidence, root, clock
        self._policies = policies

    def revision(self, site: Site) -> int:
        """Grows whenever somebody changed, stopped or ordered something about a policy: a step is due then."""
        if self._policies is None:
            return 0
        self._policies.declare(site)
        return self._policies.revision(site)

    def step(self, site: Site) -> int | None:
        """Publish a bundle and return its version; None where the site has no policies or nothing has changed since the last one."""
        if not site.policies:
            return None
        if self._policies is not None:
            self._policies.declare(site)
        last = self._bundles.latest_payload(site.name)
        entries: dict[str, Payload] = {}
        states = {}
        failures: list[Entry] = []
        newest: list[Release] = []
        for name in site.policies:
            standing = self._standing(site, name)
            policy = standing.policy
            measure = site.policy_measure(policy.name)
            releases = recent(self._releases, measure)
            newest += releases[-1:]
            try:
                found = learn(policy, measure, releases, rng=np.random.default_rng())
                learned = Weighed(found.weights, found.general, found.marginal, found.windows)
                entries[policy.name] = published(standing, learned, last)
                states[policy.name] = found.to_json(list(policy.arms))
            except Exception as error:
                log.fault("learner.failed", error, policy=policy.name)
                failures.append(Entry("learner.failed", site.name, {"policy": policy.name, "error": type(error).__name__}))
                entries[policy.name] = published(standing, last_good(policy, last), last)
        names = sorted({r.id for r in newest})
        if last is not None and _unchanged(last, names, entries):
            self._evidence.append(failures)
            return None
        now = self._clock.now_ms()
        version = (last["version"] if last else 0) + 1
        bundle = Bundle(site.name, version, now, salt_of(site.name, site.privacy.epoch_of(now)), names, entries)
        end_ms = max((r.window.end_ms for r in newest), default=0)
        self._bundles.publish(bundle, self._evidence, entries=tuple(failures), states=states, window_end_ms=end_ms)
        return version

    def _standing(self, site: Site, policy: str) -> Effective:
        if self._policies is None:
            declared = site.policies[policy]
            return Effective(declared, Standing(), Controls(max_step=declared.max_step), 0)
        return self._policies.effective(site, policy)


def _unchanged(last: Payload, releases: list[str], entries: dict[str, Payload]) -> bool:
    """Whether a new bundle would only redraw the dice: same releases, same declaration."""
    drawn = ("weights", "default")
    return last["releases"] == releases and _without(last["policies"], drawn) == _without(entries, drawn)


def _without(policies: dict[str, Payload], names: tuple[str, ...]) -> dict[str, Payload]:
    return {policy: {k: v for k, v in entry.items() if k not in names} for policy, entry in policies.items()}
