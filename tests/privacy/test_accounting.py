from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import accounting, centring, noise
from privacy.models import PICO
from tacit.core.declaration import Bounds, ValueRange
from tests.privacy.world import count

ONE, MILLIONTH = Decimal(1), Decimal("1e-6")


def test_rho_of_the_default_promise_is_the_tight_one() -> None:
    assert accounting.rho_of(ONE, MILLIONTH) / PICO == pytest.approx(0.0243559703595, abs=1e-11)


def test_rho_is_the_largest_that_keeps_the_promise() -> None:
    rho = accounting.rho_of(ONE, MILLIONTH)
    assert accounting.epsilon_of(rho, MILLIONTH) <= 1.0
    assert accounting.epsilon_of(rho + 1, MILLIONTH) > 1.0


def test_presence_in_every_epoch_accumulates_as_documented() -> None:
    found = accounting.accumulation(accounting.rho_of(ONE, MILLIONTH), MILLIONTH)
    assert found == pytest.approx({"7": 2.8676, "30": 6.4804, "365": 29.807}, abs=1e-3)


@given(st.integers(1, 30), st.integers(1, 50), st.integers(1, 50), st.integers(10**3, 10**12))
def test_a_persons_windows_never_cost_more_than_the_reservation(windows: int, per_window: int, cells: int, reserved: int) -> None:
    measure = count(cells=cells, bounds=Bounds(windows, per_window, 1))
    plan = accounting.plan_window(measure, accounting.per_window(measure, reserved))
    assert plan is not None
    assert plan.count_rho_pico * windows <= reserved
    assert noise.loss(plan.count_scale, plan.count_sensitivity) * PICO <= plan.count_rho_pico * (1 + 1e-12)
    sigma = math.sqrt(windows * measure.bounds.l2(cells) ** 2 / (2 * reserved / PICO))
    assert plan.count_scale >= sigma * (1 - 1e-12)
    assert plan.count_scale == pytest.approx(sigma, rel=windows / reserved + 1e-9)


@given(st.integers(-1000, 1000), st.integers(1, 1000))
def test_the_centre_of_a_sum_gives_the_least_noise(low: int, width: int) -> None:
    values = ValueRange("x", low, low + width)

    def variance(c: int) -> int:
        return max(values.high - c, c - low) ** 2 + c**2

    assert variance(centring.centre(values)) == min(variance(c) for c in range(min(low, 0), max(values.high, 0) + 1))


def test_a_sum_splits_its_rho_and_states_the_noise_of_what_is_published() -> None:
    measure = count(value=ValueRange("seconds", 0, 120))
    plan = accounting.plan_window(measure, PICO // 100)
    assert plan is not None
    assert plan.count_rho_pico + plan.sum_rho_pico <= plan.rho_pico
    assert (plan.centre, plan.sum_sensitivity) == (60, 60.0)
    assert plan.mechanism.sum_scale == pytest.approx(60 * math.sqrt(2) * plan.count_scale)
