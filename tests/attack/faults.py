"""Faults planted on purpose, through the seams that the code has: another plan, other bounds, other order keys, other noise.

Each is a mistake somebody could make. The audits must call every one of them unsound, or their silence about the real code says nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from privacy import accounting
from privacy.accounting import Plan, scale_for
from tacit.core.declaration import Bounds, Measure, ValueRange
from tests.attack.auditor import Answers
from tests.attack.frozen import Ints, released
from tests.attack.people import Staged


def half_noise(plan: Plan) -> Plan:
    """Half the scale, which loses four times as much. OpenDP would refuse that against the charge; here it is told to expect it."""
    return replace(
        plan,
        count_scale=plan.count_scale / 2,
        count_rho_pico=5 * plan.count_rho_pico,
        sum_scale=None if plan.sum_scale is None else plan.sum_scale / 2,
        sum_rho_pico=5 * plan.sum_rho_pico,
    )


def without_caps(measure: Measure) -> Measure:
    """The measure as it is counted when nobody bounds what a person sends in a window."""
    return replace(measure, bounds=Bounds(measure.bounds.windows, per_window=1_000, per_cell=1_000))


def without_clipping(measure: Measure) -> Measure:
    """The measure as it is summed when values are taken as they come."""
    return replace(measure, value=ValueRange("seconds", -(10**9), 10**9))


def in_windows(measure: Measure, windows: int) -> Measure:
    """The measure as it is counted when a person may be in more windows than are paid for."""
    return replace(measure, bounds=replace(measure.bounds, windows=windows))


def without_the_norm(plan: Plan, measure: Measure) -> Plan:
    """Strategy rows with the noise of a single count: what the person's other rows show is forgotten."""
    sensitivity = accounting.norm_of(measure)
    return replace(plan, count_sensitivity=sensitivity, count_scale=scale_for(sensitivity, plan.count_rho_pico))


def by_position(staged: Staged) -> Staged:
    """Rows ordered by where they stand: a hash of the row number in the place of a hash of the message."""

    def position(number: int) -> int:
        return int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:8], "little", signed=True)

    return [[(who, position(at), *rest) for at, (who, _, *rest) in enumerate(rows)] for rows in staged]  # type: ignore[misc]  # a row's six fields


def one_draw_for_all_windows(measure: Measure, plan: Plan, exact: Ints, cell: int, times: int) -> Answers:
    """Every window's count of a cell with the same noise, as if the sampler had been seeded afresh for each."""
    noise = released(measure, plan, exact, [(0, cell)], times) - exact[0, cell]
    return Answers(noise + exact[:, cell])
