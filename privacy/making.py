"""From bounded counts to releases: the one place where noise meets numbers. What comes out of here is private; what goes in is not.

Every scale is certified by OpenDP against the charge before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from privacy import accounting, noise
from privacy.accounting import Plan
from privacy.blocks import Blocks
from privacy.bounding import Bounded
from privacy.errors import NotCertified
from privacy.ledger import Charge
from privacy.models import ATTO, THRESHOLD, Mechanism, NoisyCount, Release, Window, noisy
from tacit.core.declaration import Measure
from tacit.core.ids import new_id


@dataclass(frozen=True, slots=True)
class Making:
    """Makes the releases of one window."""

    window: Window
    now_ms: int
    blocks: Blocks

    def release(self, measure: Measure, found: Bounded, charge: Charge, names: Mapping[int, str]) -> Release:
        """One measure's release. `names` spells the undeclared keys that were staged.

        Raises `NotCertified`, `StorageUnavailable`, `Overtaken`.
        """
        plan = accounting.plan_window(measure, charge.rho_pico)
        if plan is None:  # the ledger admits nothing that it cannot pay noise for
            raise NotCertified()
        if measure.keys is not None:
            return self._keys(measure, plan, found.keyed[measure.id], charge, names)
        exact = found.vectors[measure.id]
        if plan.strategy is None:
            return self._new(measure, plan.mechanism, charge, noised(measure, plan, exact))
        step = self.blocks.step(measure, plan, exact, now_ms=self.now_ms)
        vector = noised(measure, step.plan, step.exact)
        row = step.row(vector, self.blocks.releases.rows(step.block, before=step.position))
        return self._new(measure, step.plan.mechanism, charge, vector, row=row)

    def _keys(self, measure: Measure, plan: Plan, counts: Mapping[int, int], charge: Charge, names: Mapping[int, str]) -> Release:
        threshold = accounting.threshold_for(measure, charge.rho_pico, charge.delta_atto)
        if threshold is None:
            raise NotCertified()
        spelled: dict[str, int] = {}
        for number, count in counts.items():
            if number in names:  # a spelling that was lost with its process suppresses its key
                spelled[names[number]] = spelled.get(names[number], 0) + count
        shown = noise.thresholded(
            spelled,
            plan.count_scale,
            threshold,
            bounds=(measure.bounds.per_window, plan.count_sensitivity, float(measure.bounds.per_cell)),
            rho_pico=plan.count_rho_pico,
            delta=Fraction(charge.delta_atto, ATTO),
        )
        mechanism = Mechanism(name=THRESHOLD, scale=plan.count_scale)
        return self._new(measure, mechanism, charge, tuple(shown.values()), keys=tuple(shown), threshold=threshold)

    def _new(self, measure: Measure, mechanism: Mechanism, charge: Charge, vector: tuple[NoisyCount, ...], **more: object) -> Release:
        identity = new_id("rel", now_ms=self.now_ms)
        return Release(identity, self.window.site, measure, self.window, mechanism, charge.rho_pico, vector, self.now_ms, **more)  # type: ignore[arg-type]  # the named fields of a release


def noised(measure: Measure, plan: Plan, exact: npt.NDArray[np.int64]) -> tuple[NoisyCount, ...]:
    """A vector in units of 1 / `plan.unit` with its noise: counts and, for a sum, sums from which the centre was taken, given back here."""
    counts = exact[: measure.cells]
    vector = noise.gaussian(
        counts, plan.count_scale * plan.unit, sensitivity=plan.count_sensitivity * plan.unit, rho_pico=plan.count_rho_pico
    )
    if plan.sum_scale is None:
        return vector
    centred = exact[measure.cells :]
    sums = noise.gaussian(centred, plan.sum_scale * plan.unit, sensitivity=plan.sum_sensitivity * plan.unit, rho_pico=plan.sum_rho_pico)
    return vector + noisy(total + plan.centre * count for total, count in zip(sums, vector, strict=True))
