"""One signed difference: size rule, test, interval, corrections."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audit.differences
from audit.comparisons import Comparison
from audit.differences import Level, Reason, Verdict, critical_value, holm, verdict_of, worst
from audit.gaps import gaps_of, spread_of
from audit.judging import answer
from audit.pairs import Pairs, Tallies
from audit.questions import REWARD, Asked

Side = tuple[float, float]


def tallies(*groups: Side, sd: float = 0.0) -> Tallies:
    hits, misses = np.array(groups, dtype=float).T
    return Tallies.of(hits, misses, sd**2, sd**2)


def pair(group: Side, rest: Side, sd: float = 0.0) -> Pairs:
    one = np.ones(1)
    return Pairs(tallies(group, sd=sd), tallies(rest, sd=sd), one, 0 * one, one)


def reason(group: Side, rest: Side, sd: float = 0.0) -> Reason | None:
    sides = (tallies(group, sd=sd), tallies(rest, sd=sd))
    (comparison,) = _answered(Asked(Level.GROUPS, ("g",), (("a",),), REWARD, *sides, (REWARD,)))
    return comparison.reason


def _answered(asked: Asked) -> tuple[Comparison, ...]:
    # Two entries, so that the first one has somebody to be compared with.
    both = replace(asked, labels=(("a",), ("b",)), groups=Tallies.joined([asked.groups] * 2), rest=Tallies.joined([asked.rest] * 2))
    return answer([([both], 0.05)])[0][:1]


def interval(one: Pairs, critical: float) -> tuple[float, float]:
    low, high = one.intervals(np.array([critical]))
    return float(low[0]), float(high[0])


counts = st.integers(min_value=10, max_value=10**6)
sds = st.floats(min_value=0, max_value=50)


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(audit.differences).failed == 0


@settings(max_examples=30, deadline=None)
@given(counts, counts, counts, counts, sds)
def test_the_intervals_exclude_no_difference_exactly_where_the_test_rejects(a: int, b: int, c: int, d: int, sd: float) -> None:
    if reason((a, b), (c, d), sd) is not None:
        return
    one = pair((a, b), (c, d), sd)
    low, high = interval(one, critical_value())
    p, value = float(one.p_values()[0]), float(one.value[0])
    ratio_low, ratio_high = (float(edge[0]) for edge in one.ratio_intervals(np.array([critical_value()])))
    if abs(p - 0.05) > 1e-6:
        assert (low > 0 or high < 0) == (p < 0.05)
        assert (ratio_low > 1 or ratio_high < 1) == (p < 0.05)
    assert -1 <= low <= value + 1e-9
    assert value - 1e-9 <= high <= 1
    assert ratio_low <= float(one.ratio()[0]) * (1 + 1e-9)
    assert ratio_high >= float(one.ratio()[0]) * (1 - 1e-9)


@settings(max_examples=30, deadline=None)
@given(counts, counts, counts, counts, sds)
def test_swapping_the_sides_turns_the_sign_and_nothing_else(a: int, b: int, c: int, d: int, sd: float) -> None:
    if (found := reason((a, b), (c, d), sd)) is not None:
        assert reason((c, d), (a, b), sd) == found
        return
    there, back = pair((a, b), (c, d), sd), pair((c, d), (a, b), sd)
    assert there.p_values() == pytest.approx(back.p_values(), rel=1e-6, abs=1e-300)
    low, high = interval(there, 2.5)
    assert interval(back, 2.5) == pytest.approx((-high, -low), abs=1e-6)
    low, high = (float(edge[0]) for edge in there.ratio_intervals(np.array([2.5])))
    back_low, back_high = (float(edge[0]) for edge in back.ratio_intervals(np.array([2.5])))
    assert (back_low, back_high) == pytest.approx((1 / high, 1 / low if low else math.inf), rel=1e-6)


def test_more_noise_widens_the_interval() -> None:
    widths = []
    for sd in (0.0, 5.0, 20.0):
        low, high = interval(pair((300, 700), (500, 1500), sd), 1.96)
        widths.append(high - low)
    assert widths == sorted(widths)
    assert widths[2] > widths[0] * 1.2


def test_the_standard_error_without_noise_is_the_pooled_one_and_no_part_of_it_is_noise() -> None:
    one = pair((300, 700), (500, 1500))
    pooled = 800 / 3000
    assert one.standard_error()[0] == pytest.approx(math.sqrt(pooled * (1 - pooled) * (1 / 1000 + 1 / 2000)))
    assert one.noise_error()[0] == pytest.approx(0, abs=1e-9)


def test_noise_enters_the_standard_error_by_the_delta_method() -> None:
    rate, sd = 0.4, 12.0
    one = pair((400, 600), (800, 1200), sd)
    noise = sd**2 * ((1 - rate) ** 2 + rate**2) * (1 / 1000**2 + 1 / 2000**2)
    assert one.noise_error()[0] == pytest.approx(math.sqrt(noise))
    assert one.standard_error()[0] == pytest.approx(math.sqrt(0.24 * (1 / 1000 + 1 / 2000) + noise))


def test_the_ratio_interval_of_exact_counts_is_miettinens() -> None:
    # His score interval satisfies the score equation at its ends; checked here with the restricted estimate of large samples.
    one = pair((60, 340), (90, 210))
    low, high = (float(edge[0]) for edge in one.ratio_intervals(np.array([1.96])))
    for ratio in (low, high):
        rest = 150 / (ratio * 400 + 300)
        error = math.sqrt(ratio * rest * (1 - ratio * rest) / 400 + ratio**2 * rest * (1 - rest) / 300)
        assert abs(60 / 400 - ratio * 90 / 300) == pytest.approx(1.96 * error, rel=1e-6)


def test_a_ratio_to_nearly_nothing_is_open_above() -> None:
    one = pair((200, 200), (12, 388), 8.0)
    low, high = (float(edge[0]) for edge in one.ratio_intervals(np.array([1.96])))
    assert low > 1
    assert math.isinf(high)


def test_a_count_that_may_be_noise_alone_is_not_assessable() -> None:
    sd = 10.0
    margin = 5 * sd * math.sqrt(2)
    rest = (1000.0, 1000.0)
    assert reason((margin / 2 - 1, margin / 2), rest, sd) is Reason.NOISE
    assert reason((margin / 2 + 1, margin / 2), rest, sd) is None
    assert reason((0, 0), rest, sd) is Reason.NOISE


def test_too_few_expected_rewards_are_not_assessable() -> None:
    assert reason((1, 99), (10, 990)) is Reason.EXPECTED


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
    fair = spread_of(tallies((400, 600), (405, 595), (202, 298), sd=5.0))
    assert gaps_of([fair]) == gaps_of([fair])
    found = gaps_of([fair])
    assert found is not None
    assert found[1] > 0.05
    found = gaps_of([spread_of(tallies((400, 600), (600, 400), sd=5.0))])
    assert found is not None
    assert found == (pytest.approx(0.2), pytest.approx(0.001))
    assert gaps_of([spread_of(tallies((400, 600), (0, 0)))]) is None
    assert gaps_of([fair, None]) is None
