"""fairlearn is the oracle: its figures from one row a person equal ours from cells."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_difference, demographic_parity_ratio, equalized_odds_difference

from audit.brought import infer_table
from audit.comparisons import Comparison
from audit.inference import infer, summed
from audit.metrics import point_metrics
from tests.audit.examples import GENERATOR, GROUPS, audit_measure_of, example_site, line, release_of

ARMS = ("control", "larger", "largest")


def test_cells_give_the_figures_that_fairlearn_gives_for_rows() -> None:
    measure = audit_measure_of(example_site(arms=ARMS))
    exact = GENERATOR.integers(1, 200, size=(4, 3, 2))
    rows = [(g, a, r) for g, a, r in np.ndindex(3, 3, 2) for _ in range(exact[g, a, r])]
    groups, arms, rewards = (np.array(column) for column in zip(*rows, strict=True))
    found = point_metrics(summed(measure, [release_of(measure, exact.ravel().tolist(), scale=0.0)]))
    assert [m.arm for m in found] == list(ARMS)
    for index, one in enumerate(found):
        shown = (arms == index).astype(int)
        assert one.parity_difference == pytest.approx(demographic_parity_difference(rewards, shown, sensitive_features=groups))
        assert one.parity_ratio == pytest.approx(demographic_parity_ratio(rewards, shown, sensitive_features=groups))
        assert one.odds_difference == pytest.approx(equalized_odds_difference(rewards, shown, sensitive_features=groups))


def test_the_signed_differences_span_what_fairlearn_calls_the_gap() -> None:
    measure = audit_measure_of(example_site())
    exact = GENERATOR.integers(200, 400, size=(4, 2, 2))
    table = summed(measure, [release_of(measure, exact.ravel().tolist(), scale=0.0)])
    found = infer(table, 0.05)
    points = {m.arm: m for m in point_metrics(table)}
    spans = {"exposure": "parity_difference", "equalised_odds": "odds_difference"}
    seen = [(gap.gap, getattr(points[gap.arm or ""], spans[gap.statistic])) for gap in found.gaps if gap.statistic in spans]
    assert len(seen) == 4
    for ours, fairlearns in seen:
        assert ours == pytest.approx(fairlearns)
    rates: dict[str, Comparison] = {c.group: c for c in found.comparisons if c.statistic == "exposure" and c.arm == "larger"}
    sizes = exact[:3].sum(axis=(1, 2))
    for g, group in enumerate(GROUPS):
        assert rates[group].rate == pytest.approx(exact[g, 1].sum() / sizes[g])


def test_the_difference_of_two_exact_groups_is_fairlearns() -> None:
    rows = {"a": (320, 680), "b": (150, 350)}
    people = np.repeat(["a", "a", "b", "b"], [320, 680, 150, 350])
    selected = np.repeat([1, 0, 1, 0], [320, 680, 150, 350])
    oracle = demographic_parity_difference(selected, selected, sensitive_features=people)
    assert abs(infer_table(line(rows))["groups"][0]["difference"]) == pytest.approx(oracle)


def test_negative_cells_are_projected_and_empty_groups_left_out() -> None:
    measure = audit_measure_of(example_site())
    cells = np.array([[[40, 60], [50, 50]], [[-5, 30], [20, 10]], [[-1, -2], [-3, 0]], [[9, 9], [9, 9]]])
    found = point_metrics(summed(measure, [release_of(measure, cells.ravel().tolist())]))
    projected = {m.arm: m for m in found}
    assert projected["larger"].parity_difference == pytest.approx(abs(0.5 - 30 / 60))
    nobody = point_metrics(summed(measure, [release_of(measure, [-1] * measure.cells)]))
    assert nobody == []


def test_an_arm_that_nobody_was_shown_has_no_ratio() -> None:
    measure = audit_measure_of(example_site())
    cells = np.zeros((4, 2, 2), dtype=int)
    cells[:, 0, :] = 50
    unseen = point_metrics(summed(measure, [release_of(measure, cells.ravel().tolist())]))[1]
    assert unseen.parity_ratio is None
    assert unseen.parity_difference == 0
