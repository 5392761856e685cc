"""One step of the engine: learn every policy of a site from what was released, and publish one signed bundle.

The invariant: a learner that fails changes nothing for its policy (the last good weights stay) and leaves evidence that it failed.
"""

from __future__ import annotations

from adjust.bundle import Bundle, Payload, Standing, policy_entry, salt_of
from adjust.controls import Controls
from adjust.learn import Learned, learn
from adjust.models import WEIGHTS, Model, lineage
from adjust.models_store import ModelStore
from adjust.policies import Effective, PolicyBook
from adjust.published import Weighed, last_good, published, serving
from adjust.recent import recent
from adjust.store import BundleStore, PolicyHistory
from privacy.models import Release
from privacy.releases import ReleaseStore
from tacit.core import logs
from tacit.core.clock import Clock
from tacit.core.declaration import Policy, Site
from tacit.core.evidence import Entry, EvidenceLog
from tacit.core.rootkey import RootKey

CHAIN = ("field", "next", "hesitation", "abandonment")
"""What a Markov learner keeps of its chain."""

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
        models: ModelStore,
        policies: PolicyBook | None = None,
    ) -> None:
        """Without a book of policies each is as it stands in the file, and runs."""
        self._releases, self._bundles, self._history, self._models = releases, bundles, history, models
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
        versions: list[Model] = []
        for name in site.policies:
            effective = self._effective(site, name)
            policy = effective.policy
            measure = site.policy_measure(policy.name)
            releases = recent(self._releases, measure)
            newest += releases[-1:]
            try:
                found = learn(policy, measure, releases, transitions=self._transitions(site, policy))
                model, new = self._models.numbered(self._model(site, policy, found))
                serving, learned = self._serving(policy, effective.controls, model, found)
                entries[policy.name] = published(effective, learned, last) | {"model": serving} | _tables(found)
                versions += [model] if new else []
                states[policy.name] = found.to_json(list(policy.arms))
            except Exception as error:
                log.fault("learner.failed", error, policy=policy.name)
                failures.append(Entry("learner.failed", site.name, {"policy": policy.name, "error": type(error).__name__}))
                entries[policy.name] = published(effective, last_good(policy, last), last) | _served(policy, last)
        names = sorted({r.id for r in newest})
        if last is not None and _unchanged(last, names, entries):
            self._evidence.append(failures)
            return None
        now = self._clock.now_ms()
        version = (last["version"] if last else 0) + 1
        bundle = Bundle(site.name, version, now, salt_of(site.name, site.privacy.epoch_of(now)), names, entries)
        end_ms = max((r.window.end_ms for r in newest), default=0)
        self._bundles.publish(
            bundle,
            self._evidence,
            entries=tuple(failures),
            states=states,
            window_end_ms=end_ms,
            also=lambda connection: self._models.keep(versions, connection),
        )
        return version

    def _effective(self, site: Site, policy: str) -> Effective:
        if self._policies is None:
            declared = site.policies[policy]
            return Effective(declared, Standing(), Controls(max_step=declared.max_step), 0)
        return self._policies.effective(site, policy)

    def _transitions(self, site: Site, policy: Policy) -> list[Release]:
        measure = site.measure(policy.transitions) if policy.transitions else None
        return recent(self._releases, measure) if measure else []

    def _model(self, site: Site, policy: Policy, found: Learned) -> Model:
        entry = policy_entry(policy, found.weights, found.general, windows=found.windows)
        parameters = found.parameters | {"rates": found.rates, "rate_sds": found.rate_sds, "weights": found.marginal}
        return Model(
            site.name,
            policy.name,
            version=0,
            at_ms=self._clock.now_ms(),
            learner=policy.learner,
            releases=lineage(found.releases),
            parameters=parameters,
            metrics=found.metrics | {"windows": found.windows},
            weights={name: entry[name] for name in WEIGHTS},
        )

    def _serving(self, policy: Policy, controls: Controls, newest: Model, found: Learned) -> tuple[int, Weighed]:
        own = Weighed(found.weights, found.general, found.marginal, found.windows, found.traffic)
        return serving(policy, controls, newest, own, lambda version: self._models.get(newest.site, newest.policy, version))


def _tables(found: Learned) -> Payload:
    """A Markov learner's tables, for triggers on the device: next steps, hesitation and abandonment by label."""
    return {"chain": {name: found.parameters[name] for name in CHAIN}} if all(name in found.parameters for name in CHAIN) else {}


def _served(policy: Policy, last: Payload | None) -> Payload:
    """The model version that served last."""
    before = last["policies"].get(policy.name, {}) if last else {}
    return {"model": before["model"]} if "model" in before else {}


def _unchanged(last: Payload, releases: list[str], entries: dict[str, Payload]) -> bool:
    """Whether a new bundle would only say the same again: same releases, same declaration, same orders."""
    drawn = ("weights", "default", "chain")
    return last["releases"] == releases and _without(last["policies"], drawn) == _without(entries, drawn)


def _without(policies: dict[str, Payload], names: tuple[str, ...]) -> dict[str, Payload]:
    return {policy: {k: v for k, v in entry.items() if k not in names} for policy, entry in policies.items()}
