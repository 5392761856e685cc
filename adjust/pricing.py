"""What a standing order costs: lift over the default arm with the weights in force and with those that the order would leave.

Rates of cells and arms are the learner's beliefs from released figures. The loss's standard deviation counts the privacy noise: an arm's
error over all cells, and what a cell's own evidence leaves open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adjust.cells import cell_keys
from adjust.controls import Controls, apply
from adjust.draws import ONE
from adjust.errors import NoBundle
from adjust.evidence import Floats
from adjust.model import Beliefs, believe
from adjust.models import Model
from adjust.models_store import ModelStore
from adjust.observations import blocks
from adjust.policies import PolicyBook
from adjust.recent import recent
from adjust.store import BundleStore
from audit.ports import Price
from privacy.releases import ReleaseStore
from tacit.core.declaration import Policy, Site

Weights = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Known:
    """What is believed of a policy's cells."""

    cells: tuple[str, ...]
    beliefs: Beliefs

    @property
    def people(self) -> Floats:
        """(cells,) estimated trials."""
        found: Floats = self.beliefs.exposures.sum(1)
        return found

    @property
    def traffic(self) -> dict[str, float]:
        """The same by cell."""
        return dict(zip(self.cells, self.people.tolist(), strict=True))


class Pricing:
    """Prices standing orders from what is released."""

    def __init__(self, releases: ReleaseStore, bundles: BundleStore, models: ModelStore, book: PolicyBook) -> None:
        self._releases, self._bundles, self._models, self._book = releases, bundles, models, book

    def weights(self, site: Site, policy: Policy) -> Weights:
        """The weights in force, for every cell. Raises `NoBundle`."""
        payload = self._bundles.latest_payload(site.name)
        entry = payload["policies"].get(policy.name) if payload else None
        if entry is None:
            raise NoBundle("nothing was published for this policy yet")
        return _of_entry(policy, entry)

    def model(self, site: Site, policy: Policy, version: int) -> Model:
        """A stored model version. Raises `UnknownModel`."""
        return self._models.get(site.name, policy.name, version)

    def known(self, site: Site, policy: Policy) -> Known | None:
        """Beliefs from all usable releases; None before the first."""
        measure = site.policy_measure(policy.name)
        cells = cell_keys(measure.dimensions[:-2])
        used = [r for r in recent(self._releases, measure) if r.usable is True]
        evidence = blocks(used, (len(cells), measure.dimensions[-2].size, 2))
        return Known(tuple(cells), believe(evidence, arms=len(policy.arms))) if evidence else None

    def price(self, site: Site, policy: Policy, orders: Mapping[str, Any]) -> Price:
        """What the orders would cost, on top of those that stand. Raises `NoBundle`."""
        before = self.weights(site, policy)
        known = self.known(site, policy)
        if known is None:
            return Price(None, None, None, "Cannot tell what this costs: nothing was released about this policy yet.")
        after = self._ordered(site, policy, orders, before, known)
        old, new = (np.array([weights[cell] for cell in known.cells]) for weights in (before, after))
        rates, share = _rates(known.beliefs), known.people / max(known.people.sum(), 1e-9)
        default = float(share @ rates[:, 0])
        if default <= 0 or known.people.sum() <= 0:
            return Price(None, None, None, "Cannot tell what this costs: the figures are too few beside the noise.")
        lifts = [float(share @ (weights * rates).sum(1)) / default - 1 for weights in (old, new)]
        sd = _error(known.beliefs, share, new - old) / default
        return Price(lifts[0], lifts[1], sd, _sentence(lifts[0], lifts[1], sd))

    def _ordered(self, site: Site, policy: Policy, orders: Mapping[str, Any], before: Weights, known: Known) -> Weights:
        if orders.get("paused") is not None:
            return {cell: [1.0] + [0.0] * (len(policy.arms) - 1) for cell in before}
        learned = before
        if (version := orders.get("pinned")) is not None:
            learned = _of_entry(policy, self.model(site, policy, version).weights)
        standing = self._book.controls.read(site.name, policy.name)
        wanted = Controls.of({"caps": dict(standing.caps), "within": standing.within, "blend": standing.blend} | dict(orders))
        controls = replace(wanted, mixes=wanted.mixes or standing.mixes)
        share = known.people / max(known.people.sum(), 1e-9)
        marginal = (share @ np.array([learned[cell] for cell in known.cells])).tolist()
        found, _ = apply(learned, marginal, marginal, controls, arms=list(policy.arms), traffic=known.traffic)
        return found


def _of_entry(policy: Policy, entry: Mapping[str, Any]) -> Weights:
    def shares(cumulative: list[int]) -> list[float]:
        return [(high - low) / ONE for low, high in zip([0, *cumulative[:-1]], cumulative, strict=True)]

    return {cell: shares(entry["weights"].get(cell, entry["default"])) for cell in cell_keys(policy.context)}


def _rates(beliefs: Beliefs) -> Floats:
    found: Floats = np.clip(beliefs.level[:, None] * (1 + beliefs.effect), 0.0, 1.0)
    return found


def _error(beliefs: Beliefs, share: Floats, moved: Floats) -> float:
    """Standard deviation of sum_c share_c sum_a moved_ca rate_ca: errors of arms are shared by cells, those of cells are their own."""
    weight = share[:, None] * beliefs.level[:, None] * moved
    arms = float(weight.sum(0) ** 2 @ beliefs.arm_error**2)
    own = float((weight**2 * beliefs.cell_spread**2 * (1 - beliefs.own_part)).sum())
    return math.sqrt(arms + own)


def _sentence(before: float, after: float, sd: float) -> str:
    lost = 100 * (before - after)
    head = f"Lift over the default arm {100 * before:+.1f} % now, {100 * after:+.1f} % afterwards"
    if abs(lost) <= 1.96 * 100 * sd:
        return f"{head}: the difference is within its error (± {196 * sd:.1f} points)."
    word = "costs" if lost > 0 else "gains"
    return f"{head}: {word} {abs(lost):.1f} ± {196 * sd:.1f} points of lift."
