"""The noise is what the formula says. False failure: a chi-squared statistic of N cells lies outside its two-sided 1e-7 quantiles,
so below 2e-7 for each test that uses one.
"""

from __future__ import annotations

import math
from decimal import Decimal
from statistics import NormalDist

import numpy as np
import pytest

from privacy import accounting, noise
from privacy.errors import NotCertified
from privacy.models import PICO, Release
from tacit.core.declaration import Bounds, ValueRange
from tests.privacy.world import WINDOW, World, count, shop, window

CELLS = 4_000


def consistent(values: list[int], variance: float) -> bool:
    """Whether the second moment fits; Wilson and Hilferty's cube-root form of the chi-squared quantiles, accurate far beyond need here."""
    n = len(values)
    ratio = sum(v * v for v in values) / variance / n
    z = (ratio ** (1 / 3) - (1 - 2 / (9 * n))) / math.sqrt(2 / (9 * n))
    return bool(abs(z) <= NormalDist().inv_cdf(1 - 1e-7))


def empty_release(house: World, bounds: Bounds = Bounds(), value: ValueRange | None = None) -> Release:  # noqa: B008 - frozen
    site = shop(count(cells=CELLS, bounds=bounds, value=value))
    house.clock.now = WINDOW
    return house.sanitiser.close(site, window(0))[0]


def formula(bounds: Bounds, parts: int = 1) -> float:
    rho = accounting.rho_of(Decimal(1), Decimal("1e-6")) / PICO * 0.5 / parts
    return bounds.windows * bounds.l2(CELLS) ** 2 / (2 * rho)


@pytest.mark.parametrize("bounds", [Bounds(), Bounds(windows=3, per_window=5, per_cell=2)])
def test_published_noise_has_the_variance_of_the_formula(house: World, bounds: Bounds) -> None:
    release = empty_release(house, bounds)
    variance = formula(bounds)
    assert release.mechanism.scale**2 == pytest.approx(variance, rel=1e-6)
    assert consistent(list(release.vector), variance)


def test_halved_noise_fails_that_very_test() -> None:
    variance = formula(Bounds())
    half = math.sqrt(variance) / 2
    drawn = noise.gaussian(np.zeros(CELLS, np.int64), half, sensitivity=1.0, rho_pico=PICO)
    assert not consistent(list(drawn), variance)


def test_a_published_sum_has_the_standard_deviation_that_its_cells_state(house: World) -> None:
    release = empty_release(house, value=ValueRange("seconds", 0, 121))
    cells = release.cells()
    sums = [c for c in cells if c["bin"] == "sum"]
    counts = [c for c in cells if c["bin"] == "count"]
    assert (len(counts), len(sums)) == (CELLS, CELLS)
    assert consistent([c["value"] for c in sums], sums[0]["sd"] ** 2)
    assert consistent([c["value"] for c in counts], formula(Bounds(), parts=2))


def test_nothing_is_drawn_when_the_noise_does_not_cover_the_charge() -> None:
    with pytest.raises(NotCertified):
        noise.gaussian(np.zeros(1, np.int64), 1.0, sensitivity=1.01, rho_pico=PICO // 2)


def test_numbers_beyond_32_bits_survive() -> None:
    (value,) = noise.gaussian(np.array([2**40]), 1.0, sensitivity=1.0, rho_pico=PICO)
    assert abs(value - 2**40) < 100  # false failure below 1e-2000
