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
from tests.attack import faults
from tests.attack.auditor import Along, Answers, Attack, Auditor, Fisher, Shapes
from tests.attack.frozen import bounded, plan_of, terms
from tests.attack.people import ONCE, THRICE, Event, staged
from tests.privacy.world import count, world
from tests.privacy.world import window as first_window

COMMON, MINE = 7 << 32 | 1, 7 << 32 | 2
KEYS = (COMMON, MINE)
"""Numbers of two keys."""

SINGLE = Bounds()
TIMES = 8_000
ATTACKS: list[Attack] = [Fisher(), Along(np.array([1.0, 0.0]), "the common key alone"), Shapes()]

Counts = Mapping[int, int]
"""One window's bounded counts by key number."""

Shown = Mapping[str, int]
Publish = Callable[[Counts, Mapping[int, str]], Shown]


def keys(bounds: Bounds) -> Measure:
    return replace(count("terms", share="1"), kind=Kind.KEYS, dimensions=(), keys=Keys("term", Decimal("0.5")), bounds=bounds)


def counts(measure: Measure, place: Path, *, mine: Sequence[int] = ()) -> list[Counts]:
    """Real bounded counts, window by window, of a hundred people who send `COMMON` and of one who sends these keys in every window."""
    windows = measure.bounds.windows
    events = [(person, _sends(window, COMMON, 0)) for window in range(windows) for person in range(window * 100 + 10, window * 100 + 110)]
    me = [_sends(window, key, message) for window in range(windows) for message, key in enumerate(mine)]
    found = bounded([measure], staged([measure], *events, mine=me, windows=windows), world(place).sanitiser.presence, in_epoch=windows)
    return [one.keyed[measure.id] for one in found]


def _sends(window: int, key: int, message: int) -> Event:
    return Event(window, key & 0xFFFFFFFF, 100 * window + message, key >> 32)


def real(measure: Measure, charge: Charge, place: Path) -> Publish:
    """The release that the service makes."""
    house = world(place)
    making = Making(first_window(0), 0, Blocks(house.secrets, house.releases))

    def publish(window: Counts, names: Mapping[int, str]) -> Shown:
        release = making.release(measure, Bounded({}, {measure.id: dict(window)}, {}), charge, names)
        assert release.keys is not None
        assert list(release.keys) == sorted(release.keys)
        return dict(zip(release.keys, release.vector, strict=True))

    return publish


def planted(measure: Measure, *, scale: float, threshold: int) -> Publish:
    """A release with other noise or another threshold, uncertified."""
    bounds = (measure.bounds.per_window, 100.0, float(measure.bounds.per_cell))

    def publish(window: Counts, names: Mapping[int, str]) -> Shown:
        spelled = {names[number]: amount for number, amount in window.items()}
        return noise.thresholded(spelled, scale, threshold, bounds=bounds, rho_pico=10**30, delta=Fraction(1))

    return publish


def seen(windows: Sequence[Counts], publish: Publish, times: int = TIMES) -> Answers:
    """The windows' releases, so many times over: a hidden key counts as 0, and the code says which keys were shown in which window."""
    numbers, codes = np.zeros((times, 2)), np.zeros(times, dtype=np.int64)
    for window in windows:
        copies = {2 * copy + KEYS.index(key): amount for copy in range(times) for key, amount in window.items()}
        publication = publish(copies, {number: f"{number // 2:06d} {number % 2}" for number in copies})
        codes *= 4
        for name, value in publication.items():
            copy, key = map(int, name.split())
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
    present, absent = counts(measure, tmp_path, mine=[MINE] * 6 + [COMMON]), counts(measure, tmp_path)
    assert [one[MINE] for one in present] == [bounds.per_cell] * bounds.windows
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


def test_a_key_that_shows_with_its_only_sender_is_found_out(auditor: Auditor, tmp_path: Path) -> None:
    """Without a threshold my key shows in nearly half of the releases, and never without me: missed with a chance below 1e-100."""
    measure = keys(ONCE)
    sold = terms(measure, epsilon="1")
    plan = plan_of(measure, sold.charge)
    publish = planted(measure, scale=plan.count_scale, threshold=3)
    present, absent = (seen(counts(measure, tmp_path, mine=mine), publish, 1_000) for mine in ([MINE] * 6, []))
    found = auditor.paired(present, absent, sold.claim, attacks=[Shapes()])
    assert found.refutes(sold.claim)
    assert found.attack == "shape"


def test_one_windows_delta_for_ten_is_found_out(auditor: Auditor, tmp_path: Path) -> None:
    """At delta 0.02 my key shows in one of ten windows with a chance of 0.088. A part of 0.04 among the 6,000 tested refutes the claim of
    epsilon 0.25, and 0.088 is twelve standard deviations above."""
    measure = keys(SINGLE)
    ten = faults.in_windows(measure, 10)
    sold = terms(measure, epsilon="0.25", delta="0.02")
    publish = real(measure, sold.charge, tmp_path)
    present, absent = (seen(_mine_alone(counts(ten, tmp_path, mine=mine)), publish) for mine in ([MINE], []))
    found = auditor.paired(present, absent, sold.claim, attacks=[Shapes()])
    assert found.epsilon > sold.claim.epsilon


def test_half_the_noise_on_keys_is_found_out(auditor: Auditor, tmp_path: Path) -> None:
    """A common key that a person fills costs the whole charge where only one key may be sent; at epsilon 8, as in the other audits."""
    measure = keys(Bounds(per_window=2, per_cell=2))
    sold = terms(measure)
    plan = plan_of(measure, sold.charge)
    threshold = accounting.threshold_for(measure, sold.charge.rho_pico, sold.charge.delta_atto)
    assert threshold is not None
    publish = planted(measure, scale=plan.count_scale / 2, threshold=threshold)
    present, absent = (seen(counts(measure, tmp_path, mine=mine), publish, 2_400) for mine in ([COMMON] * 6, []))
    assert auditor.silence(2 / (plan.count_scale / 2), sold.claim, answers=2_400) < 1e-6
    assert auditor.paired(present, absent, sold.claim).refutes(sold.claim)


def _mine_alone(windows: Sequence[Counts]) -> list[Counts]:
    """Without the common key, whose noise is independent of what is looked at."""
    return [{key: amount for key, amount in one.items() if key == MINE} for one in windows]
