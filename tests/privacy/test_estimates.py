"""Post-processing: against dense linear algebra where there is a formula, by statistics where there is a promise of coverage.

Coverage of a 95 % interval over N independent cases is held to 6.5 standard errors of N · 95 %: a false failure has a chance below 1e-10.
"""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from privacy.consistent import reconciled, shares_rows
from privacy.errors import MeasuresDiffer
from privacy.estimates import Table, means, non_negative
from privacy.local import keep_probability, other_probability
from privacy.quantiles import quantiles
from privacy.series import Sum
from tacit.core.declaration import Bounds, Dimension, Kind, Measure, ValueRange

CASES = 2_000
A, B, C = (Dimension(n, tuple(f"{n}{i}" for i in range(size)), closed=True) for n, size in (("a", 3), ("b", 4), ("c", 2)))
DEPTH = Dimension.binned("depth", (0, 10, 20, 40, 80, 160))


def measure_of(*dimensions: Dimension, name: str = "m", kind: Kind = Kind.COUNT, value: ValueRange | None = None) -> Measure:
    return Measure("shop", name, kind, "page", "measurement", dimensions, Decimal("0.1"), Bounds(1, 3, 3), value=value)


def sum_of(measure: Measure, values: np.ndarray, sd: float, sum_sd: float | None = None) -> Sum:
    return Sum(measure, tuple(values.tolist()), sd, sum_sd, 1, 0, 1)


def covered(hits: int, cases: int = CASES) -> bool:
    return hits >= 0.95 * cases - 6.5 * math.sqrt(cases * 0.95 * 0.05)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_estimates_are_possible_counts_that_add_up(values: list[float]) -> None:
    found = non_negative(values)
    assert min(found) >= 0
    assert math.fsum(found) == pytest.approx(max(math.fsum(values), 0.0), abs=1e-4)


def test_estimates_are_the_nearest_possible_counts() -> None:
    values = np.array([30.0, -12.0, 5.0, -1.0, 8.0])
    rules = {"type": "eq", "fun": lambda x: x.sum() - values.sum()}
    nearest = minimize(lambda x: ((x - values) ** 2).sum(), np.full(5, 6.0), bounds=[(0, None)] * 5, constraints=rules).x
    assert non_negative(values.tolist()) == pytest.approx(nearest.tolist(), abs=1e-3)


def test_cells_marginals_and_total_cover_the_truth_and_their_estimates_agree() -> None:
    measure, rng = measure_of(A, B), np.random.default_rng()
    truth = np.array([0, 0, 1, 3, 50, 0, 7, 2, 900, 10, 0, 4], dtype=float)
    hits = {"cell": 0, "marginal": 0, "total": 0}
    for _ in range(CASES):
        table = Table.of(sum_of(measure, truth + rng.normal(0, 20, 12), 20.0))
        rows, third = table.marginals(), table.cell(2).to_json()
        for row in (table.cell(0).to_json(), *rows["a"], table.total().to_json()):
            assert row["interval"][0] >= 0
        hits["cell"] += third["interval"][0] <= 1 <= third["interval"][1]
        low, high = rows["a"][1]["interval"]
        hits["marginal"] += low <= truth[4:8].sum() <= high
        low, high = table.total().to_json()["interval"]
        hits["total"] += low <= truth.sum() <= high
        total = max(table.total().value, 0.0)
        assert math.fsum(r["estimate"] for r in rows["a"]) == pytest.approx(total, abs=1e-6)
        assert math.fsum(r["estimate"] for r in rows["b"]) == pytest.approx(total, abs=1e-6)
    assert all(covered(count) for count in hits.values()), hits


def test_shares_and_means_cover_the_truth() -> None:
    values, rng = ValueRange("seconds", 0, 120), np.random.default_rng()
    measure = measure_of(A, kind=Kind.SUM, value=values)
    counts, totals = np.array([400.0, 90.0, 5.0]), np.array([400 * 31.0, 90 * 77.0, 5 * 60.0])
    hits, silent = [0, 0, 0], 0
    for _ in range(CASES):
        noisy_counts = counts + rng.normal(0, 8, 3)
        noisy_sums = totals - 60 * counts + rng.normal(0, 480, 3) + 60 * noisy_counts
        found = sum_of(measure, np.concatenate([noisy_counts, noisy_sums]), 8.0, math.hypot(480, 60 * 8))
        part = Table.of(found).share(1)
        assert part is not None
        hits[0] += part["interval"][0] <= 90 / 495 <= part["interval"][1]
        first, second, third = means(found)
        assert first is not None
        hits[1] += first["interval"][0] <= 31 <= first["interval"][1]
        hits[2] += second is None or second["interval"][0] <= 77 <= second["interval"][1]
        silent += third is None
    assert all(covered(count) for count in hits), hits
    assert silent > 0.9 * CASES, "a count below its noise has no mean"


def test_quantiles_cover_the_truth_and_say_what_they_leave_out() -> None:
    measure, rng = measure_of(DEPTH, C), np.random.default_rng()
    truth = np.array([200, 40, 150, 10, 300, 60, 90, 0, 30, 0, 20, 0], dtype=float)
    rows = truth.reshape(6, 2).sum(1)[:5]
    goal, before = rows.sum() / 2, np.cumsum(rows)
    bin_ = int(np.searchsorted(before, goal))
    low_edge, high_edge = DEPTH.edges[bin_], DEPTH.edges[bin_ + 1]
    hits = 0
    for _ in range(CASES):
        found = quantiles(Table.of(sum_of(measure, truth + rng.normal(0, 15, 12), 15.0)), [0.5])["depth"]
        one = found["quantiles"][0]
        assert one["value"] is not None
        hits += one["interval"][0] <= high_edge and one["interval"][1] >= low_edge
        assert found["outside"]["value"] == pytest.approx(20 / 900, abs=0.15)
    assert covered(hits)
    exact = quantiles(Table.of(sum_of(measure, truth, 1e-9)), [0.5, 0.999])["depth"]["quantiles"]
    assert exact[0]["value"] == pytest.approx(low_edge + (high_edge - low_edge) * (goal - (before[bin_ - 1])) / rows[bin_])
    assert exact[1]["value"] <= DEPTH.edges[-1]
    nothing = quantiles(Table.of(sum_of(measure, np.zeros(12), 15.0)), [0.5])["depth"]["quantiles"]
    assert nothing == [{"q": 0.5, "value": None, "interval": None}]


def test_reconciled_cells_are_those_of_generalised_least_squares() -> None:
    one, other, rng = measure_of(A, B, name="one"), measure_of(B, C, name="other"), np.random.default_rng()
    x, y, sd, other_sd = rng.normal(50, 30, 12), rng.normal(90, 30, 8), 5.0, 3.0
    found = reconciled(Table.of(sum_of(one, x, sd)), Table.of(sum_of(other, y, other_sd)))
    to_b = np.kron(np.ones((1, 3)), np.eye(4))  # sums of one's cells over a
    from_other = np.kron(np.eye(4), np.ones((1, 2)))
    # Minimise |x' - x|²/sd² + |y' - y|²/other_sd² subject to equal sums over what is shared.
    rule = np.hstack([to_b, -from_other])
    variance = np.diag([sd**2] * 12 + [other_sd**2] * 8)
    gain = variance @ rule.T @ np.linalg.inv(rule @ variance @ rule.T)
    best = np.concatenate([x, y]) - gain @ rule @ np.concatenate([x, y])
    left = variance - gain @ rule @ variance
    mine = left[:12, :12]
    assert found.values == pytest.approx(best[:12].tolist())
    assert [found.cell(at).sd for at in range(12)] == pytest.approx(np.sqrt(np.diag(mine)).tolist())
    assert all(found.cell(at).sd < sd for at in range(12))
    assert [found.noise.with_total(at) for at in range(12)] == pytest.approx(mine.sum(1).tolist())
    assert found.noise.of_total() == pytest.approx(mine.sum())
    for _ in range(20):
        weights = rng.normal(size=12)
        assert found.noise.variance(dict(enumerate(weights))) == pytest.approx(weights @ mine @ weights)


def test_only_measures_of_the_same_rows_are_reconciled() -> None:
    one, other = measure_of(A, B, name="one"), measure_of(B, C, name="other")
    assert shares_rows(one, other)
    capped = Bounds(1, 3, 1)
    for different in (
        replace(other, event="click"),
        replace(other, purpose="personalisation"),
        replace(other, bounds=Bounds(1, 2, 2)),
        replace(other, kind=Kind.PEOPLE),
        one,
    ):
        assert not shares_rows(one, different)
    assert not shares_rows(replace(one, bounds=capped), replace(other, bounds=capped)), "a cap on cells keeps other rows"
    with pytest.raises(MeasuresDiffer):
        reconciled(Table.of(sum_of(one, np.zeros(12), 1.0)), Table.of(sum_of(replace(other, event="click"), np.zeros(8), 1.0)))


def test_nothing_is_divided_by_a_count_that_noise_could_be() -> None:
    assert Table.of(sum_of(measure_of(C), np.array([1.0, 3.0]), 1.0)).share(0) is None


@pytest.mark.parametrize(("truth", "epsilon"), [([5_000, 5_000], 1.0), ([2_000, 8_000], 1.0), ([3_000, 3_000, 3_000], 4.0)])
def test_what_is_concluded_from_randomised_answers_covers_the_truth(truth: list[int], epsilon: float) -> None:
    dimension = Dimension("x", tuple(f"x{i}" for i in range(len(truth))), closed=True)
    measure, rng, k = replace(measure_of(dimension), local_epsilon=Decimal(str(epsilon))), np.random.default_rng(), len(truth)
    p, q = keep_probability(epsilon, k), other_probability(epsilon, k)
    odds = np.full((k, k), q) + np.eye(k) * (p - q)
    hits = {"share": 0, "pair": 0, "total": 0}
    for _ in range(CASES):
        reports = sum(rng.multinomial(n, odds[cell]) for cell, n in enumerate(truth)) + rng.normal(0, 5, k)
        table = Table.of(sum_of(measure, np.array(reports, dtype=float), 5.0))
        part = table.share(0)
        assert part is not None
        hits["share"] += part["interval"][0] <= truth[0] / sum(truth) <= part["interval"][1]
        pair, total = table.sum_of([0, 1]), table.total()
        hits["pair"] += abs(pair.value - sum(truth[:2])) <= 1.959964 * pair.sd
        hits["total"] += abs(total.value - sum(truth)) <= 1.959964 * total.sd
    assert all(covered(count) for count in hits.values()), hits
    assert all(count <= 0.985 * CASES for count in hits.values()), "and is not far too cautious"
