"""Undeclared keys: what a person alone has sent must not show, except with the chance that was paid for.

Everything that is seen is compared: which keys, in which order, and their counts. Audited at the default promise, where a sighting is next
to impossible, and at a large delta, where sightings are common enough to be counted against it (with a small epsilon, so that the noise is
wide and the whole threshold comes near what was paid for).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from privacy import accounting, noise
from privacy.blocks import Blocks
from privacy.bounding import Bounded
from privacy.ledger import Charge
from privacy.making import Making
from tacit.core.declaration import Bounds, Keys, Kind, Measure
from tests.attack.auditor import Along, Answers, Attack, Auditor, Fisher, Shapes
from tests.attack.frozen import terms
from tests.attack.people import ONCE, THRICE
from tests.privacy.world import count, window, world

COMMON, MINE = 0, 1
SINGLE = Bounds()
TIMES = 8_000
ATTACKS: list[Attack] = [Fisher(), Along(np.array([1.0, 0.0]), "the common key alone"), Shapes()]

Counts = Mapping[int, int]
"""One window's bounded counts by key number."""

Shown = Mapping[str, int]
Publish = Callable[[Counts, Mapping[int, str]], Shown]


def keys(bounds: Bounds) -> Measure:
    return replace(count("terms", share="1"), kind=Kind.KEYS, dimensions=(), keys=Keys("term", Decimal("0.5")), bounds=bounds)


def people(measure: Measure, crowd: int) -> tuple[Counts, Counts]:
    """With the person, who is the only one to send `MINE`, as often as counts; and without."""
    most, rest = measure.bounds.per_cell, measure.bounds.per_window - measure.bounds.per_cell
    return {COMMON: crowd + rest, MINE: most}, {COMMON: crowd}


def real(measure: Measure, charge: Charge, place: Path) -> Publish:
    """The release that the service makes."""
    house = world(place)
    making = Making(window(0), 0, Blocks(house.secrets, house.releases))

    def publish(counts: Counts, names: Mapping[int, str]) -> Shown:
        release = making.release(measure, Bounded({}, {measure.id: dict(counts)}, {}), charge, names)
        assert release.keys is not None
        assert list(release.keys) == sorted(release.keys)
        return dict(zip(release.keys, release.vector, strict=True))

    return publish


def planted(measure: Measure, *, scale: float, threshold: int) -> Publish:
    """A release with other noise or another threshold, uncertified."""
    bounds = (measure.bounds.per_window, 100.0, float(measure.bounds.per_cell))

    def publish(counts: Counts, names: Mapping[int, str]) -> Shown:
        spelled = {names[number]: amount for number, amount in counts.items()}
        return noise.thresholded(spelled, scale, threshold, bounds=bounds, rho_pico=10**30, delta=Fraction(1))

    return publish


def seen(windows: Sequence[Counts], publish: Publish, times: int = TIMES) -> Answers:
    """The windows' releases, so many times over: a hidden key counts as 0, and the code says which keys were shown in which window."""
    numbers, codes = np.zeros((times, 2)), np.zeros(times, dtype=np.int64)
    for counts in windows:
        copies = {2 * copy + key: amount for copy in range(times) for key, amount in counts.items()}
        names = {number: f"{number // 2:06d} {'common' if number % 2 == COMMON else 'mine'}" for number in copies}
        codes *= 4
        for name, value in publish(copies, names).items():
            copy, key = int(name[:6]), COMMON if name.endswith("common") else MINE
            numbers[copy, key] += value
            codes[copy] += 1 << key
    return Answers(numbers, codes)


@pytest.mark.parametrize(("epsilon", "delta"), [("1", "1e-6"), ("0.25", "0.02")])
@pytest.mark.parametrize("bounds", [ONCE, THRICE, SINGLE], ids=["once", "thrice", "single"])
def test_a_key_that_one_person_sends_is_seen_no_more_often_than_was_paid_for(
    auditor: Auditor, tmp_path: Path, bounds: Bounds, epsilon: str, delta: str
) -> None:
    measure = keys(bounds)
    sold = terms(measure, epsilon=epsilon, delta=delta)
    present, absent = ([counts] * bounds.windows for counts in people(measure, crowd=100))
    publish = real(measure, sold.charge, tmp_path)
    found = auditor.paired(seen(present, publish), seen(absent, publish), sold.claim, attacks=ATTACKS)
    assert not found.refutes(sold.claim), found


def test_sightings_at_a_large_delta_come_near_what_was_paid_for(tmp_path: Path) -> None:
    """Otherwise the silence above would mean little. One key, once, in one window: half of delta 0.02 is for that. The threshold is a whole
    number, so a little stays unused: 0.0092 is expected, and 8,000 releases show 0.004 to 0.016, but for a chance below 1e-7."""
    measure = keys(SINGLE)
    sold = terms(measure, epsilon="0.25", delta="0.02")
    mine = seen([{MINE: 1}], real(measure, sold.charge, tmp_path))
    assert sold.claim.uncertain == 0.01
    assert mine.codes is not None
    assert 0.004 < (mine.codes > 0).mean() < 0.016


def test_a_key_that_shows_with_its_only_sender_is_found_out(auditor: Auditor) -> None:
    """Without a threshold my key shows in nearly half of the releases, and never without me: missed with a chance below 1e-100."""
    measure = keys(ONCE)
    sold = terms(measure, epsilon="1")
    plan = accounting.plan_window(measure, sold.charge.rho_pico)
    assert plan is not None
    publish = planted(measure, scale=plan.count_scale, threshold=3)
    present, absent = people(measure, crowd=100)
    found = auditor.paired(seen([present], publish, 1_000), seen([absent], publish, 1_000), sold.claim, attacks=[Shapes()])
    assert found.refutes(sold.claim)
    assert found.attack == "shape"


def test_one_windows_delta_for_ten_is_found_out(auditor: Auditor, tmp_path: Path) -> None:
    """At delta 0.02 my key shows in one of ten windows with a chance of 0.088. A part of 0.04 among the 6,000 tested refutes the claim of
    epsilon 0.25, and 0.088 is twelve standard deviations above."""
    measure = keys(SINGLE)
    sold = terms(measure, epsilon="0.25", delta="0.02")
    publish = real(measure, sold.charge, tmp_path)
    found = auditor.paired(seen([{MINE: 1}] * 10, publish), seen([{}] * 10, publish), sold.claim, attacks=[Shapes()])
    assert found.epsilon > sold.claim.epsilon


def test_half_the_noise_on_keys_is_found_out(auditor: Auditor) -> None:
    """A common key that a person fills costs the whole charge where only one key may be sent; at epsilon 8, as in the other audits."""
    measure = keys(Bounds(per_window=2, per_cell=2))
    sold = terms(measure)
    plan = accounting.plan_window(measure, sold.charge.rho_pico)
    threshold = accounting.threshold_for(measure, sold.charge.rho_pico, sold.charge.delta_atto)
    assert plan is not None
    assert threshold is not None
    publish = planted(measure, scale=plan.count_scale / 2, threshold=threshold)
    present, absent = seen([{COMMON: 102}], publish, 2_400), seen([{COMMON: 100}], publish, 2_400)
    shift = 2 / (plan.count_scale / 2)
    assert auditor.silence(shift, sold.claim, answers=2_400) < 1e-6
    assert auditor.paired(present, absent, sold.claim).refutes(sold.claim)
