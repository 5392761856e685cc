"""Whole scans of noisy tables.

Statistical tests draw fresh randomness. Measured beforehand over 27,000 tables for each kind of noise: 4.4-4.7 % of fair tables are
flagged, 97.5-97.8 % of the single intervals cover, and in 95.2-95.4 % of tables all of them do. Every bound below is at least six standard
errors away from that, so this file fails by chance less often than once in a million runs. The full grid is `make bench`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from audit.brought import infer_table
from audit.comparisons import Comparison, Inference
from audit.errors import ReleaseMismatch, TableRefused
from audit.foreign import read_table
from audit.inference import EXPOSURE, infer, summed
from audit.judging import answer
from privacy.local import debiased, keep_probability, other_probability
from tests.audit.examples import GENERATOR, GROUPS, audit_measure_of, example_site, line, release_of, trials, with_noise

EACH = 280
PEOPLE = (1_000, 10_000, 100_000)
LAYOUTS = ((0.5, 0.5), (0.5, 0.3, 0.2), (0.51, 0.34, 0.09, 0.06))
NOISES = ((0.0, "none"), (4.5, "discrete_gaussian"), (17.0, "discrete_gaussian"), (5.6, "discrete_laplace"), (2.0, "randomised_response"))
"""Standard deviation of a cell's noise; for randomised response its epsilon."""


def drawn(people: int, shares: Sequence[float], rates: Sequence[float], sd: float, name: str) -> dict[str, Any]:
    """A random table of hits and misses."""
    sizes = GENERATOR.multinomial(people, shares)
    hits = GENERATOR.binomial(sizes, rates)
    if name == "randomised_response":
        cells = np.concatenate([answered_at_random(hits, sd), answered_at_random(sizes - hits, sd)])
    else:
        cells = np.array(with_noise(np.concatenate([hits, sizes - hits]), sd, laplace=name == "discrete_laplace"), dtype=float)
    table = line({str(g): (cells[g], cells[g + len(shares)]) for g in range(len(shares))}, sd=sd, name=name)
    return table | ({"mechanism": {"name": name, "epsilon": sd}} if name == "randomised_response" else {})


def answered_at_random(people: np.ndarray[Any, np.dtype[np.int64]], epsilon: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The debiased counts of groups after each person's device has answered at random."""
    k = len(people)
    chances = np.full((k, k), other_probability(epsilon, k))
    np.fill_diagonal(chances, keep_probability(epsilon, k))
    reports = sum(GENERATOR.multinomial(n, chance / chance.sum()) for n, chance in zip(people, chances, strict=True))
    return np.array([value for value, _ in debiased(list(map(float, reports)), epsilon, 0.0)])


def judged(tables: Sequence[dict[str, Any]]) -> list[tuple[Comparison, ...]]:
    read = [read_table(table) for table in tables]
    return answer([([one.asked], one.limit) for one in read])


def flagged(comparisons: Sequence[Comparison]) -> bool:
    return any(c.p is not None and c.p < 0.05 for c in comparisons)


def settings(gap: float, each: int) -> list[tuple[int, tuple[float, ...], list[float]]]:
    return [
        (people, shares, [0.4] + [0.4 + gap] + [0.4] * (len(shares) - 2)) for people in PEOPLE for shares in LAYOUTS for _ in range(each)
    ]


@pytest.mark.parametrize(("sd", "name"), NOISES)
def test_fair_tables_are_flagged_at_the_nominal_rate(sd: float, name: str) -> None:
    # 2,520 tables: a standard error of 0.42 points.
    found = judged([drawn(people, shares, rates, sd, name) for people, shares, rates in settings(0.0, EACH)])
    assert 0.02 < np.mean([flagged(comparisons) for comparisons in found]) < 0.075


def test_the_flag_rate_leaves_its_band_when_the_noise_is_ignored() -> None:
    for sd, name in ((17.0, "discrete_gaussian"), (0.5, "randomised_response")):
        tables = [drawn(1_000, LAYOUTS[1], [0.4] * 3, sd, name) | {"mechanism": {"name": "none"}} for _ in range(400)]
        assert np.mean([flagged(comparisons) for comparisons in judged(tables)]) > 0.15


@pytest.mark.parametrize(("sd", "name"), NOISES)
def test_intervals_cover_the_true_differences_and_ratios(sd: float, name: str) -> None:
    # 900 tables, 2,700 intervals that hang together by tables: standard errors of at most 0.75 points together and 0.5 single.
    single, together, ratios = [], [], []
    drawings = settings(0.1, 100)
    for (_, shares, rates), comparisons in zip(drawings, judged([drawn(*one, sd, name) for one in drawings]), strict=True):
        covered = []
        for g, found in enumerate(comparisons):
            if found.interval is None:
                continue
            rest = float(np.average(np.delete(rates, g), weights=np.delete(shares, g)))
            covered.append(found.interval[0] <= rates[g] - rest <= found.interval[1])
            assert found.ratio_interval is not None
            ratios.append(found.ratio_interval[0] <= rates[g] / rest <= (found.ratio_interval[1] or math.inf))
        single += covered
        together.append(all(covered))
    assert np.mean(single) >= 0.94
    assert np.mean(ratios) >= 0.94
    assert np.mean(together) >= 0.90


def test_noise_alone_is_never_flagged_and_never_assessed() -> None:
    tables = [drawn(0, LAYOUTS[2], [0.4] * 4, 10.0, "discrete_gaussian") for _ in range(200)]
    for comparisons in judged(tables):
        assert all(c.p is None and c.interval is None and c.reason == "below_noise" for c in comparisons)
    assert infer_table(tables[0])["verdict"] == "cannot tell"


@pytest.mark.parametrize("rows", [{}, {"a": (500, 500)}, {"a": (0, 0), "b": (0, 0)}, {"a": (-30, -12), "b": (-4, 3)}])
def test_nothing_to_compare_cannot_be_told(rows: Mapping[str, tuple[float, float]]) -> None:
    for sd in (0.0, 5.0):
        found = infer_table(line(rows, sd=sd))
        assert found["verdict"] == "cannot tell"
        assert all(g["difference"] is None and g["interval"] is None and g["p"] is None for g in found["groups"])


def test_an_empty_group_is_named_and_the_others_are_still_compared() -> None:
    found = infer_table(line({"a": (4000, 6000), "b": (6000, 4000), "c": (0, 0)}))
    by_name = {g["group"]: g for g in found["groups"]}
    assert by_name["c"]["reason"] == "below_noise"
    assert by_name["a"]["verdict"] == by_name["b"]["verdict"] == "breach"
    fair = infer_table(line({"a": (50_000, 50_000), "b": (50_000, 50_000), "c": (0, 0)}))
    assert fair["verdict"] == "cannot tell", "a group that nobody could look at must not turn the scan green"


def test_negative_cells_are_taken_as_they_are() -> None:
    found = infer_table(line({"a": (-3, 5000), "b": (2500, 2500)}, sd=5.0))
    first = found["groups"][0]
    assert first["verdict"] == "breach"
    assert -1 <= first["interval"][0] <= first["interval"][1] < -0.4


def test_a_large_fair_table_is_within_limits() -> None:
    found = infer_table(line({"a": (50_000, 50_000), "b": (50_010, 49_990)}, sd=3.0))
    assert found["verdict"] == "within limits"
    assert [g["verdict"] for g in found["groups"]] == ["within limits"] * 2


def test_two_groups_are_one_comparison_seen_from_both_sides() -> None:
    one, other = infer_table(line({"a": (480, 520), "b": (520, 480)}))["groups"]
    assert one["p"] == pytest.approx(other["p"])
    assert one["p"] == pytest.approx(0.0736, abs=1e-3)  # not doubled
    assert one["difference"] == pytest.approx(-other["difference"])


@pytest.mark.parametrize(
    "fault",
    [
        {"mechanism": None},
        {"mechanism": {"name": "discrete_gaussian"}},
        {"mechanism": {"name": "discrete_gaussian", "sd": 0}},
        {"mechanism": {"name": "discrete_gaussian", "sd": float("nan")}},
        {"mechanism": {"name": "secret-name", "sd": 1}},
        {"mechanism": {"name": "none", "sd": 3}},
        {"limit": "5 %"},
        {"limit": None},
        {"id": None},
        {"cells": None},
        {"cells": [3]},
        {"cells": [{"group": "secret-name", "bin": "2", "value": 1}]},
        {"cells": [{"group": "secret-name", "bin": "1", "value": float("inf")}]},
        {"cells": [{"group": "secret-name", "bin": "1", "value": 10**400}]},
        {"cells": [{"group": "secret-name", "bin": "1", "value": 1}] * 2},
        {"cells": [{"group": "secret-name", "bin": "1", "value": 1}]},
    ],
)
def test_a_table_that_cannot_be_judged_is_refused_without_an_echo(fault: dict[str, Any]) -> None:
    with pytest.raises(TableRefused) as refused:
        infer_table(line({"a": (10, 10), "b": (10, 10)}, sd=1.0) | fault)
    assert "secret-name" not in refused.value.diagnostics()


def test_a_missing_mechanism_and_a_line_that_is_no_object_are_refused() -> None:
    with pytest.raises(TableRefused, match="object"):
        infer_table([])  # type: ignore[arg-type]  # what a line of a file may hold
    whole = line({"a": (10, 10), "b": (10, 10)})
    del whole["mechanism"]
    with pytest.raises(TableRefused, match="mechanism"):
        infer_table(whole)


SHARES = {"under_35": 0.4, "35_to_54": 0.3, "55_plus": 0.2, "other": 0.1}
EVEN = dict.fromkeys(SHARES, (0.5, 0.5))
SAME = dict.fromkeys(SHARES, (0.3, 0.3))


def scanned(people: int, shown: Mapping[str, Sequence[float]], reward: Mapping[str, Sequence[float]], *, releases: int = 5) -> Inference:
    measure = audit_measure_of(example_site())
    parts = [release_of(measure, with_noise(trials(measure, people // releases, SHARES, shown, reward), 4.0)) for _ in range(releases)]
    return infer(summed(measure, parts), 0.05)


def of(found: Inference, group: str, statistic: str) -> list[Comparison]:
    return [c for c in found.comparisons if c.group == group and c.statistic == statistic]


def test_a_planted_exposure_skew_is_a_breach_for_the_right_group() -> None:
    found = scanned(50_000, EVEN | {"55_plus": (0.7, 0.3)}, SAME)
    assert found.verdict == "breach"
    for comparison in of(found, "55_plus", EXPOSURE):
        assert comparison.verdict == "breach"
        assert abs(comparison.difference or 0) == pytest.approx(0.2, abs=0.06)
    assert all(c.verdict != "breach" for c in found.comparisons if c.statistic != EXPOSURE)


def test_a_planted_reward_gap_of_one_arm_is_found_beside_an_even_exposure() -> None:
    found = scanned(100_000, EVEN, SAME | {"55_plus": (0.3, 0.6)})
    breaches = {(c.group, c.statistic, c.arm) for c in found.comparisons if c.verdict == "breach"}
    assert ("55_plus", "reward_of_arm", "larger") in breaches
    assert not {b for b in breaches if b[1] == EXPOSURE}


def test_the_unknown_group_is_stated_and_not_compared() -> None:
    found = scanned(50_000, EVEN | {"other": (1.0, 0.0)}, SAME)
    assert {c.group for c in found.comparisons} == set(GROUPS)
    assert found.verdict != "breach"
    (unknown,) = found.unknown
    assert unknown.dimension == "age_band"
    assert unknown.share == pytest.approx(0.1, abs=0.02)
    assert unknown.sd is not None


def test_each_dimension_is_compared_and_the_other_ones_are_summed_over() -> None:
    measure = audit_measure_of(example_site({"age_band": ("young", "old"), "region": ("north", "south")}, holdout=0.1))
    exact = np.full((3, 3, 3, 2), 500)
    exact[1, :, 1, :] = 2000
    table = summed(measure, [release_of(measure, exact.ravel().tolist(), scale=0.0)])
    found = infer(table, 0.05)
    exposure = {(c.dimension, c.group, c.arm): c for c in found.comparisons if c.statistic == EXPOSURE}
    assert exposure["age_band", "old", "larger"].difference == pytest.approx(4 / 6 - 1 / 3)
    assert exposure["region", "north", "larger"].difference == pytest.approx(0)
    assert exposure["age_band", "old", "holdout"].verdict == "breach"
    assert {c.arm for c in found.comparisons if c.statistic == "reward_of_arm"} == {"control", "larger"}


def test_noise_variances_of_releases_add_up() -> None:
    measure = audit_measure_of(example_site())
    zeros = [0] * measure.cells
    table = summed(measure, [release_of(measure, zeros, scale=3.0), release_of(measure, zeros, scale=4.0)])
    assert table.noise_sd == pytest.approx(5.0)
    comparison = infer(table, 0.05).comparisons[0]
    assert comparison.people_sd == pytest.approx(5.0 * 4**0.5)


def test_no_release_at_all_cannot_be_told() -> None:
    found = infer(summed(audit_measure_of(example_site()), []), 0.05)
    assert found.verdict == "cannot tell"
    assert found.gaps == ()
    assert found.unknown[0].share is None


def test_releases_of_another_definition_are_refused() -> None:
    measure, other = audit_measure_of(example_site()), audit_measure_of(example_site(arms=("a", "b", "c")))
    with pytest.raises(ReleaseMismatch):
        summed(measure, [release_of(other, [0] * other.cells)])
