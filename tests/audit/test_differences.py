"""One signed difference: size rule, test, interval, corrections."""

from __future__ import annotations

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audit.differences
from audit.differences import Difference, Reason, Tally, Verdict, bonferroni_critical, holm, largest_gap, verdict_of, worst

counts = st.integers(min_value=10, max_value=10**6)
sds = st.floats(min_value=0, max_value=50)


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(audit.differences).failed == 0


@given(counts, counts, counts, counts, sds)
def test_the_interval_excludes_zero_exactly_where_the_test_rejects(a: int, b: int, c: int, d: int, sd: float) -> None:
    difference = Difference(Tally(a, b, sd**2, sd**2), Tally(c, d, sd**2, sd**2))
    if difference.reason is not None:
        return
    low, high = difference.interval(bonferroni_critical(1))
    p = difference.p_value()
    if abs(p - 0.05) > 1e-6:
        assert (low > 0 or high < 0) == (p < 0.05)
    value = difference.value
    assert value is not None
    assert -1 <= low <= value + 1e-9
    assert value - 1e-9 <= high <= 1


@given(counts, counts, counts, counts, sds)
def test_swapping_the_sides_turns_the_sign_and_nothing_else(a: int, b: int, c: int, d: int, sd: float) -> None:
    one, other = Tally(a, b, sd**2, sd**2), Tally(c, d, sd**2, sd**2)
    there, back = Difference(one, other), Difference(other, one)
    if there.reason is not None or back.reason is not None:
        assert there.reason == back.reason
        return
    assert there.p_value() == pytest.approx(back.p_value(), rel=1e-6)
    low, high = there.interval(2.5)
    assert back.interval(2.5) == pytest.approx((-high, -low), abs=1e-6)


def test_more_noise_widens_the_interval() -> None:
    widths = []
    for sd in (0.0, 5.0, 20.0):
        low, high = Difference(Tally(300, 700, sd**2, sd**2), Tally(500, 1500, sd**2, sd**2)).interval(1.96)
        widths.append(high - low)
    assert widths == sorted(widths)
    assert widths[2] > widths[0] * 1.2


def test_the_standard_error_without_noise_is_the_pooled_one() -> None:
    difference = Difference(Tally(300, 700), Tally(500, 1500))
    pooled = 800 / 3000
    assert difference.standard_error() == pytest.approx(math.sqrt(pooled * (1 - pooled) * (1 / 1000 + 1 / 2000)))


def test_a_count_that_may_be_noise_alone_is_not_assessable() -> None:
    sd = 10.0
    margin = 5 * sd * math.sqrt(2)
    rest = Tally(1000, 1000, sd**2, sd**2)
    assert Difference(Tally(margin / 2 - 1, margin / 2, sd**2, sd**2), rest).reason is Reason.NOISE
    assert Difference(Tally(margin / 2 + 1, margin / 2, sd**2, sd**2), rest).reason is None
    assert Difference(Tally(), rest).reason is Reason.NOISE


def test_too_few_expected_rewards_are_not_assessable() -> None:
    assert Difference(Tally(1, 99), Tally(10, 990)).reason is Reason.EXPECTED


def test_holm_rejects_what_bonferroni_rejects_and_keeps_the_order() -> None:
    adjusted = holm({"a": 0.001, "b": 0.02, "c": 0.9, "d": 0.021})
    assert adjusted == pytest.approx({"a": 0.004, "b": 0.06, "d": 0.06, "c": 0.9})
    assert holm({}) == {}


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((-0.05, 0.05), Verdict.WITHIN),
        ((0.01, 0.04), Verdict.WITHIN),
        ((0.051, 0.2), Verdict.BREACH),
        ((-0.2, -0.051), Verdict.BREACH),
        ((0.04, 0.06), Verdict.ATTENTION),
        ((-0.06, -0.04), Verdict.ATTENTION),
        ((-0.06, 0.04), Verdict.CANNOT_TELL),
        (None, Verdict.CANNOT_TELL),
    ],
)
def test_verdicts_follow_the_published_rule(interval: tuple[float, float] | None, verdict: Verdict) -> None:
    assert verdict_of(interval, 0.05) is verdict


def test_a_scan_is_never_within_limits_by_default() -> None:
    assert worst([]) is Verdict.CANNOT_TELL
    assert worst([Verdict.WITHIN, Verdict.CANNOT_TELL]) is Verdict.CANNOT_TELL
    assert worst([Verdict.WITHIN, Verdict.CANNOT_TELL, Verdict.ATTENTION]) is Verdict.ATTENTION
    assert worst([Verdict.ATTENTION, Verdict.BREACH]) is Verdict.BREACH
    assert worst([Verdict.WITHIN]) is Verdict.WITHIN


def test_the_largest_gap_has_a_repeatable_p_value() -> None:
    fair = [Tally(400, 600, 25, 25), Tally(405, 595, 25, 25), Tally(202, 298, 25, 25)]
    unfair = [Tally(400, 600, 25, 25), Tally(600, 400, 25, 25)]
    assert largest_gap(fair) == largest_gap(fair)
    found = largest_gap(fair)
    assert found is not None
    assert found[1] > 0.05
    found = largest_gap(unfair)
    assert found is not None
    assert found[0] == pytest.approx(0.2)
    assert found[1] == pytest.approx(0.001)
    assert largest_gap([Tally(400, 600), Tally()]) is None
