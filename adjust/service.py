"""One step of the engine: learn every policy of a site from what was released, and publish one signed bundle.

The invariant: a learner that fails changes nothing for its policy (the last good weights stay) and leaves evidence that it failed.
"""

from __future__ import annotations

from adjust.bundle import Bundle, Payload, policy_entry, salt_of
from adjust.learn import Learned, learn
from adjust.models import WEIGHTS, Model, lineage
from adjust.models_store import ModelStore
from adjust.recent import recent
from adjust.store import BundleStore, PolicyHistory
from privacy.models import Release
from privacy.releases import ReleaseStore
from tacit.core import logs
from tacit.core.clock import Clock
from tacit.core.declaration import Policy, Site
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
        models: ModelStore,
    ) -> None:
        self._releases, self._bundles, self._history, self._models = releases, bundles, history, models
        self._evidence, self._root, self._clock = evidence, root, clock

    def step(self, site: Site) -> int | None:
        """Publish a bundle and return its version; None where the site has no policies or nothing has changed since the last one."""
        if not site.policies:
            return None
        last = self._bundles.latest_payload(site.name)
        entries: dict[str, Payload] = {}
        states = {}
        failures: list[Entry] = []
        newest: list[Release] = []
        versions: list[Model] = []
        for policy in site.policies.values():
            measure = site.policy_measure(policy.name)
            releases = recent(self._releases, measure)
            newest += releases[-1:]
            try:
                found = learn(policy, measure, releases, transitions=self._transitions(site, policy))
                entry = policy_entry(policy, found.weights, found.general, windows=found.windows)
                model, new = self._models.numbered(self._model(site, policy, found, entry))
                versions += [model] if new else []
                entries[policy.name] = self._standing(model, entry)
                states[policy.name] = found.to_json(list(policy.arms))
            except Exception as error:
                log.fault("learner.failed", error, policy=policy.name)
                failures.append(Entry("learner.failed", site.name, {"policy": policy.name, "error": type(error).__name__}))
                entries[policy.name] = _kept(policy, last)
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

    def _transitions(self, site: Site, policy: Policy) -> list[Release]:
        measure = site.measure(policy.transitions) if policy.transitions else None
        return recent(self._releases, measure) if measure else []

    def _model(self, site: Site, policy: Policy, found: Learned, entry: Payload) -> Model:
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

    def _standing(self, newest: Model, entry: Payload) -> Payload:
        """The entry with the weights of the version that was rolled back to, if they fit it, else with its own."""
        pinned = self._models.pinned(newest.site, newest.policy)
        if pinned is None or pinned == newest.version:
            return newest.serve(entry)
        model = self._models.get(newest.site, newest.policy, pinned)
        return model.serve(entry) if model.fits(entry) else newest.serve(entry)


def _kept(policy: Policy, last: Payload | None) -> Payload:
    """The policy as it is declared now with its last good weights, or an even split where those do not fit any more."""
    even = [1 / len(policy.arms)] * len(policy.arms)
    entry = policy_entry(policy, {}, even, windows=0)
    before = last["policies"].get(policy.name) if last else None
    if before is not None and (before["order"], before["context"]) == (entry["order"], entry["context"]):
        entry |= {name: before[name] for name in ("weights", "default", "windows", "model") if name in before}
    return entry


def _unchanged(last: Payload, releases: list[str], entries: dict[str, Payload]) -> bool:
    """Whether a new bundle would only redraw the dice: same releases, same declaration."""
    drawn = ("weights", "default")
    return last["releases"] == releases and _without(last["policies"], drawn) == _without(entries, drawn)


def _without(policies: dict[str, Payload], names: tuple[str, ...]) -> dict[str, Payload]:
    return {policy: {k: v for k, v in entry.items() if k not in names} for policy, entry in policies.items()}
