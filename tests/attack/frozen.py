"""The release function on frozen input: real bounding once for each input, then the real noise as often as an audit needs.

Noise is added to exact integers cell by cell, so a vector that holds a window's cells many times over gets what as many releases of the
window would: the same plan, the same sampler, one call. Cells that the person does not change are independent of those, and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from privacy import accounting
from privacy.accounting import Plan
from privacy.bounding import Bounded, bounded_counts
from privacy.ledger import Charge
from privacy.making import noised
from privacy.models import ATTO, PICO, Window
from privacy.ports import Columns
from privacy.presence import PresenceBook
from privacy.stream import State, advance
from tacit.core.declaration import Dimension, Measure
from tests.attack.auditor import Along, Answers, Attack, Claim, Fisher, Floats
from tests.attack.people import IN_EPOCH, Staged
from tests.privacy.world import WINDOW, contributions, shop

Ints = npt.NDArray[np.int64]
Place = tuple[int, int]
"""A window's number and a cell."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a measure that has its site's whole budget may cost, as the ledger charges it."""

    charge: Charge
    claim: Claim
    """About everything that is published from one person's epoch."""


def terms(measure: Measure, *, epsilon: str = "8", delta: str = "1e-6") -> Terms:
    """A large epsilon, or delta, makes an audit sharp: what is tested does not depend on it."""
    site = shop(measure, epsilon=epsilon)
    site = replace(site, privacy=replace(site.privacy, delta=Decimal(delta)))
    rho, converting = accounting.terms_of(site)
    reserved = accounting.share_of(rho, measure.share)
    keys = accounting.atto(site.privacy.delta * measure.keys.delta_share) if measure.keys else 0
    charge = Charge(accounting.per_window(measure, reserved), accounting.per_window(measure, keys))
    uncertain = keys / ATTO
    return Terms(charge, Claim(accounting.epsilon_of(reserved, converting), float(site.privacy.delta), reserved / PICO, uncertain))


def plan_of(measure: Measure, charge: Charge) -> Plan:
    """The plan that a release is made with."""
    plan = accounting.plan_window(measure, charge.rho_pico)
    assert plan is not None
    return plan


def bounded(measures: Sequence[Measure], staged: Staged, book: PresenceBook, *, in_epoch: int = IN_EPOCH) -> list[Bounded]:
    """What counts in each window. Each knows who was counted before in its epoch, as in service."""
    found = []
    for number, rows in enumerate(staged):
        epoch = number - number % in_epoch
        at = Window("shop", number * WINDOW, (number + 1) * WINDOW, epoch * WINDOW)
        found.append(remembered(book, at, measures, contributions(rows)))
    for number in range(0, len(staged), in_epoch):
        book.end_epoch("shop", number * WINDOW)
    return found


def remembered(book: PresenceBook, at: Window, measures: Sequence[Measure], rows: Columns) -> Bounded:
    """One window's counts, and the people in them remembered for the next."""
    seen = book.state(at)
    found = bounded_counts(rows, measures, book.others(at, measures), start_ms=at.start_ms)
    book.record(at, found.people, seen=seen)
    return found


def vectors(measures: Sequence[Measure], windows: Sequence[Bounded]) -> dict[str, Ints]:
    """The exact vectors of each measure, (windows, length)."""
    return {m.name: np.array([found.vectors[m.id] for found in windows]) for m in measures}


def counted(measures: Sequence[Measure], staged: Staged, book: PresenceBook, *, in_epoch: int = IN_EPOCH) -> dict[str, Ints]:
    """Both at once."""
    return vectors(measures, bounded(measures, staged, book, in_epoch=in_epoch))


def before_noise(plan: Plan, vectors: Ints) -> Ints:
    """What noise is added to: the vectors themselves, or the strategy rows of one block."""
    if plan.strategy is None:
        return vectors
    state, rows = State.empty(plan.strategy, vectors.shape[1]), []
    for vector in vectors:
        row, state = advance(plan.strategy, state, vector)
        rows.append(row)
    return np.array(rows)


def changed(measure: Measure, one: Ints, other: Ints) -> list[Place]:
    """Windows and cells in which anything differs."""
    differs = one != other
    cells = differs[:, : measure.cells].copy()
    if measure.value is not None:
        cells |= differs[:, measure.cells :]
    return [(int(t), int(cell)) for t, cell in zip(*cells.nonzero(), strict=True)]


def loss(measure: Measure, plan: Plan, present: Ints, absent: Ints) -> float:
    """The exact rho that a change costs under a plan's noise."""
    moved = (present - absent).astype(float) / plan.unit
    rho = float((moved[:, : measure.cells] ** 2).sum()) / (2 * plan.count_scale**2)
    if plan.sum_scale is not None:
        rho += float((moved[:, measure.cells :] ** 2).sum()) / (2 * plan.sum_scale**2)
    return rho


def released(measure: Measure, plan: Plan, exact: Ints, places: Sequence[Place], times: int) -> Floats:
    """The numbers at these places in so many independent releases, (times, places); for a sum the counts and then the sums."""
    at, cells = np.array([t for t, _ in places]), np.array([cell for _, cell in places])
    vector = np.tile(exact[at, cells], times)
    if measure.value is not None:
        vector = np.concatenate([vector, np.tile(exact[at, measure.cells + cells], times)])
    noisy = np.array(noised(_copies(measure, times, len(places)), plan, vector), dtype=np.float64)
    parts = noisy.reshape(-1, times, len(places))
    return np.concatenate(list(parts), axis=1)


def attacks(measure: Measure, plan: Plan, present: Ints, absent: Ints, places: Sequence[Place]) -> list[Attack]:
    """A direction learnt from the answers, and the best linear one there is: the change, weighted by the inverse of the noise's covariance.

    What is published as a sum has the count's noise in it `centre` times, which whoever knows the configuration takes out again.
    """
    at, cells = np.array([t for t, _ in places]), np.array([cell for _, cell in places])
    moved = (present - absent).astype(np.float64)
    along = moved[at, cells] / plan.count_scale**2
    if plan.sum_scale is not None:
        sums = moved[at, measure.cells + cells] / plan.sum_scale**2
        along = np.concatenate([along - plan.centre * sums, sums])
    return [Fisher(), Along(along)]


def answers(measure: Measure, plan: Plan, exact: Ints, places: Sequence[Place], times: int) -> Answers:
    """The same as the auditor takes them."""
    return Answers(released(measure, plan, exact, places, times))


def _copies(measure: Measure, times: int, places: int) -> Measure:
    """A measure with so many cells, for its length alone: the plan is the original's."""
    copies = Dimension("copy", tuple(map(str, range(times))), closed=True)
    return replace(measure, dimensions=(copies, Dimension("place", tuple(map(str, range(places))), closed=True)), share=Decimal(1))
