"""What a standing order costs: lift over the default arm with the weights in force and with those that the order would leave.

Rates of cells and arms are the learner's beliefs from released figures. The loss's standard deviation counts the privacy noise: an arm's
error over all cells, and what a cell's own evidence leaves open. Weights are made as the engine makes those of the next bundle, without
`max_step`: what an order leads to counts, not how many bundles it takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adjust.cells import cell_keys
from adjust.controls import Controls, apply
from adjust.errors import NoBundle
from adjust.evidence import Floats
from adjust.model import Beliefs, believe
from adjust.models import Model
from adjust.models_store import ModelStore
from adjust.observations import blocks
from adjust.policies import PolicyBook
from adjust.published import Weighed, of_model, serving, weighed
from adjust.recent import recent
from audit.ports import Price
from privacy.releases import ReleaseStore
from tacit.core.declaration import Policy, Site

Weights = Mapping[str, Any]
"""Cell -> shares of the arms."""

EDGE = 1.959964
"""Half a 95 % interval, in standard deviations."""


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


@dataclass(frozen=True, slots=True)
class Compared:
    """Two model versions under the same beliefs: expected reward of a person who is not held out, and their difference (b - a)."""

    a: int
    b: int
    reward_a: float | None
    reward_b: float | None
    difference: float | None
    sd: float | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        versions = {name: {"version": getattr(self, name), "reward": getattr(self, f"reward_{name}")} for name in ("a", "b")}
        return versions | {"difference": self.difference, "sd": self.sd, "sentence": self.sentence}


class Pricing:
    """Prices standing orders from what is released."""

    def __init__(self, releases: ReleaseStore, models: ModelStore, book: PolicyBook) -> None:
        self._releases, self._models, self._book = releases, models, book

    def model(self, site: Site, policy: Policy, version: int) -> Model:
        """A stored model version that can serve. Raises `UnknownModel` and `PolicyState`."""
        return self._models.servable(site.name, policy.name, version)

    def known(self, site: Site, policy: Policy) -> Known | None:
        """Beliefs from all usable releases; None before the first."""
        measure = site.policy_measure(policy.name)
        cells = cell_keys(measure.dimensions[:-2])
        used = [r for r in recent(self._releases, measure) if r.usable is True]
        evidence = blocks(used, (len(cells), measure.dimensions[-2].size, 2))
        return Known(tuple(cells), believe(evidence, arms=len(policy.arms))) if evidence else None

    def learned(self, site: Site, policy: Policy, controls: Controls, known: Known | None) -> Weighed:
        """The weights that serve before any limit is applied to them. Raises `NoBundle`."""
        newest = next(iter(self._models.list(site.name, policy.name, limit=1)), None)
        if newest is None:
            raise NoBundle("nothing was published for this policy yet")
        own = of_model(policy, newest, known.traffic if known else {})
        return serving(policy, controls, newest, own, lambda version: self._models.get(site.name, policy.name, version))[1]

    def price(self, site: Site, policy: Policy, orders: Mapping[str, Any]) -> Price:
        """What the orders would cost, on top of those that stand. Raises `NoBundle`."""
        standing = self._book.effective(site, policy.name).controls
        stopped = standing.paused is not None or standing.killed
        if stopped and orders.get("paused") is None:
            standing = replace(standing, paused=None, killed=False)
        else:
            stopped = False
        wanted = Controls.of(orders)
        known = self.known(site, policy)
        if known is None:
            return Price(None, None, None, "Cannot tell what this costs: nothing was released about this policy yet.")
        before, after = (
            self._ordered(site, policy, one, known)
            for one in (standing, replace(standing, **{key: getattr(wanted, key) for key in orders}))
        )
        old, new = (np.array([weights[cell] for cell in known.cells]) for weights in (before, after))
        rates, share = _rates(known.beliefs), known.people / max(known.people.sum(), 1e-9)
        default = float(share @ rates[:, 0])
        if default <= 0 or known.people.sum() <= 0:
            return Price(None, None, None, "Cannot tell what this costs: the figures are too few beside the noise.")
        lifts = [float(share @ (weights * rates).sum(1)) / default - 1 for weights in (old, new)]
        sd = _error(known.beliefs, share, new - old) / default
        aside = " The policy is stopped; these are figures for when it runs again." if stopped else ""
        return Price(lifts[0], lifts[1], sd, _sentence(lifts[0], lifts[1], sd) + aside)

    def compare(self, site: Site, policy: Policy, a: int, b: int) -> Compared:
        """Two versions side by side, from the same released figures. Raises `UnknownModel` and `PolicyState`."""
        tables = [weighed(policy, self.model(site, policy, version).weights).weights for version in (a, b)]
        known = self.known(site, policy)
        if known is None or known.people.sum() <= 0:
            return Compared(a, b, None, None, None, None, "Cannot tell them apart: nothing was released about this policy yet.")
        old, new = (np.array([weights[cell] for cell in known.cells]) for weights in tables)
        rates, share = _rates(known.beliefs), known.people / known.people.sum()
        one, other = (float(share @ (weights * rates).sum(1)) for weights in (old, new))
        difference, sd = other - one, _error(known.beliefs, share, new - old)
        head = f"Version {a} is expected to give {100 * one:.2f} rewards in 100 people, version {b} {100 * other:.2f}"
        if abs(difference) <= EDGE * sd or difference == 0:
            said = f"{head}: the difference is within its error (± {100 * EDGE * sd:.2f})."
        else:
            said = f"{head}: {100 * abs(difference):.2f} ± {100 * EDGE * sd:.2f} {'more' if difference > 0 else 'fewer'}."
        return Compared(a, b, one, other, difference, sd, said)

    def _ordered(self, site: Site, policy: Policy, controls: Controls, known: Known | None) -> Weights:
        """What people are answered by under these orders."""
        learned = self.learned(site, policy, controls, known)
        if controls.paused is not None or controls.killed:
            return {cell: [1.0] + [0.0] * (len(policy.arms) - 1) for cell in learned.weights}
        found, _ = apply(learned.weights, learned.general, learned.marginal, controls, arms=list(policy.arms), traffic=learned.traffic)
        return found


def _rates(beliefs: Beliefs) -> Floats:
    found: Floats = np.clip(beliefs.level[:, None] * (1 + beliefs.effect), 0.0, 1.0)
    return found


def _error(beliefs: Beliefs, share: Floats, moved: Floats) -> float:
    """Standard deviation of sum_c share_c sum_a moved_ca rate_ca.

    An effect is own_part of what its cell shows and for the rest its arm's: the error of the arm is shared by cells as far as they lean on
    it, and what the cell's own evidence leaves open is its own.
    """
    weight = share[:, None] * beliefs.level[:, None] * moved
    leaning = 1 - beliefs.own_part
    arms = float((weight * leaning).sum(0) ** 2 @ beliefs.arm_error**2)
    own = float((weight**2 * beliefs.cell_spread**2 * leaning).sum())
    return math.sqrt(arms + own)


def _sentence(before: float, after: float, sd: float) -> str:
    lost = 100 * (before - after)
    head = f"Lift over the default arm {100 * before:+.1f} % now, {100 * after:+.1f} % afterwards"
    if abs(lost) <= EDGE * 100 * sd:
        return f"{head}: the difference is within its error (± {100 * EDGE * sd:.1f} points)."
    word = "costs" if lost > 0 else "gains"
    return f"{head}: {word} {abs(lost):.1f} ± {100 * EDGE * sd:.1f} points of lift."
