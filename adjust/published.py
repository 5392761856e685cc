"""From learned weights to a policy's entry in the next bundle: standing orders are applied to them, with the last bundle in view."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from adjust.bundle import Payload, policy_entry
from adjust.cells import cell_keys
from adjust.controls import Controls, apply
from adjust.draws import ONE
from adjust.models import Model
from adjust.policies import Effective
from tacit.core.declaration import Policy


@dataclass(frozen=True, slots=True)
class Weighed:
    """Weights by cell, those of an unknown cell, those over all people, and how many releases they rest on."""

    weights: Mapping[str, Sequence[float]]
    general: Sequence[float]
    marginal: Sequence[float]
    windows: int
    traffic: Mapping[str, float] = field(default_factory=dict)
    """People by cell, as far as they are known."""

    def beside(self, rival: Weighed, share: float) -> Weighed:
        """Both side by side: `share` of the people is answered by the rival. Arms are drawn independently of which of the two it is."""

        def both(own: Sequence[float], other: Sequence[float]) -> list[float]:
            return [(1 - share) * a + share * b for a, b in zip(own, other, strict=True)]

        cells = {cell: both(own, rival.weights.get(cell, rival.general)) for cell, own in self.weights.items()}
        return replace(self, weights=cells, general=both(self.general, rival.general), marginal=both(self.marginal, rival.marginal))


def serving(policy: Policy, controls: Controls, newest: Model, own: Weighed, version_of: Callable[[int], Model]) -> tuple[int, Weighed]:
    """The model version that serves, and its weights: the newest, the one that was rolled back to, or two of them side by side.

    `own` are the newest version's weights. A version that does not fit the policy any more does not serve.
    """

    def earlier(version: int) -> Weighed | None:
        model = newest if version == newest.version else version_of(version)
        return of_model(policy, model, own.traffic) if model.fits(newest.weights) else None

    version, weights = newest.version, own
    if controls.pinned is not None and (pinned := earlier(controls.pinned)) is not None:
        version, weights = controls.pinned, pinned
    if controls.versus is not None and (rival := earlier(controls.versus.version)) is not None:
        weights = weights.beside(rival, controls.versus.share)
    return version, weights


def of_model(policy: Policy, model: Model, traffic: Mapping[str, float]) -> Weighed:
    """A stored version's weights, among the people as they are now."""
    return replace(weighed(policy, model.weights), marginal=model.parameters["weights"], traffic=traffic)


def published(standing: Effective, learned: Weighed, last: Payload | None) -> Payload:
    """The policy's entry in the next bundle."""
    policy = standing.policy
    before = _before(policy, last)
    cells, general = apply(
        learned.weights,
        learned.general,
        learned.marginal,
        standing.controls,
        before.weights if before else None,
        arms=list(policy.arms),
        general_before=before.general if before else None,
        traffic=learned.traffic,
    )
    return policy_entry(policy, cells, general, windows=learned.windows, standing=standing.standing)


def last_good(policy: Policy, last: Payload | None) -> Weighed:
    """The weights that were published last, or an even split where those do not fit the policy any more."""
    even = [1 / len(policy.arms)] * len(policy.arms)
    return _before(policy, last) or Weighed({}, even, even, 0)


def _before(policy: Policy, last: Payload | None) -> Weighed | None:
    entry = last["policies"].get(policy.name) if last else None
    if entry is None:
        return None
    same = entry["order"] == {"arms": list(policy.arms), "context": [d.name for d in policy.context]}
    if not same or entry["context"] != {d.name: list(d.values) for d in policy.context}:
        return None
    return weighed(policy, entry)


def weighed(policy: Policy, entry: Payload) -> Weighed:
    """The weights of a bundle's entry or of a model version, cell by cell."""
    general = _shares(entry["default"])
    cells = {key: _shares(entry["weights"].get(key, entry["default"])) for key in cell_keys(policy.context)}
    return Weighed(cells, general, general, entry["windows"])


def _shares(cumulative: Sequence[int]) -> list[float]:
    return [(high - low) / ONE for low, high in itertools.pairwise([0, *cumulative])]
