"""Sums over windows have the noise that they state, whatever the mechanism; the truth is inside.

False failure: a chi-squared statistic lies outside its two-sided 1e-10 quantiles (2e-10 for each of fewer than 500 such statistics), and a
normal one outside 6.5 standard deviations (8e-11 for each of fewer than 4,000): below 5e-7 a run, all tests together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest

from privacy import accounting, least_squares, series
from privacy.choosing import norm
from privacy.errors import MeasuresDiffer
from privacy.models import Release
from privacy.strategy import Strategy, decoded
from tacit.core.declaration import Bounds, Keys, Kind, Measure, ValueRange
from tests.privacy.world import WINDOW, Row, World, count, shop, window, world

CELLS, WINDOWS, BLOCK = 2_000, 10, 8
DWELL = ValueRange("seconds", 0, 99)
FREQUENT = Bounds(windows=3, per_window=5, per_cell=2)
MEASURES = (
    count("prefix", cells=CELLS, share="0.15", over_time="prefix", block=BLOCK),
    count("sliding", cells=CELLS, share="0.15", over_time="sliding:3", block=BLOCK),
    count("frequent", cells=CELLS, share="0.15", over_time="prefix", block=BLOCK, bounds=FREQUENT),
    count("dwell", cells=CELLS, share="0.15", over_time="prefix", block=BLOCK, value=DWELL),
    count("recent", cells=CELLS, share="0.15", over_time="sliding:3", block=BLOCK, value=DWELL),
    count("alone", cells=CELLS, share="0.15", value=DWELL),
)
CORRELATED = MEASURES[:-1]
STRETCHES = (range(WINDOWS), range(BLOCK), range(2, 6), range(5, WINDOWS), range(3), (0, 3, 9), (7, 8))
Floats = npt.NDArray[np.float64]


@dataclass
class Silence:
    """What was published of windows in which nobody did anything: noise alone."""

    releases: dict[str, list[Release]]

    def of(self, measure: Measure) -> list[Release]:
        return self.releases[measure.name]


@pytest.fixture(scope="module")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Silence:
    house = world(tmp_path_factory.mktemp("silence"))
    house.clock.now = WINDOWS * WINDOW
    house.close_due(shop(*MEASURES))
    found = Silence({m.name: house.releases.since("shop", m.id, -1) for m in MEASURES})
    dispose(house)
    return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[World]:
    one = world(tmp_path)
    yield one
    dispose(one)


def dispose(house: World) -> None:
    house.intake.dispose()
    house.released.dispose()


def fits(values: Iterable[float], sd: float) -> bool:
    """Whether the second moment is that of such noise: chi-squared, in the cube-root form of Wilson and Hilferty."""
    ratios = np.square(np.array(list(values), dtype=np.float64) / sd)
    n = len(ratios)
    z = (ratios.mean() ** (1 / 3) - (1 - 2 / (9 * n))) / math.sqrt(2 / (9 * n))
    return bool(abs(z) <= NormalDist().inv_cdf(1 - 1e-10))


def rows_of(releases: Sequence[Release], block: str) -> list[tuple[int, ...]]:
    return [r.vector for r in releases if r.row and r.row.block == block]


def named(measures: Sequence[Measure]) -> list[str]:
    return [m.name for m in measures]


@pytest.mark.parametrize("measure", CORRELATED, ids=named(CORRELATED))
def test_the_noise_of_a_row_is_the_one_that_the_mechanism_states(silence: Silence, measure: Measure) -> None:
    for release in silence.of(measure):
        assert release.row is not None
        row = np.array(release.vector) / release.row.strategy.unit
        assert fits(row[:CELLS], release.mechanism.scale)
        if measure.value is not None:
            assert release.mechanism.sum_scale is not None
            assert fits(row[CELLS:], release.mechanism.sum_scale)


@pytest.mark.parametrize("measure", CORRELATED, ids=named(CORRELATED))
def test_a_row_has_the_noise_of_the_formula(silence: Silence, measure: Measure) -> None:
    """sigma = Δ / sqrt(2 rho), with everything that a person's windows move the rows by in Δ; half of rho where there are sums."""
    first = silence.of(measure)[0]
    assert first.row is not None
    rho = accounting.rho_of(Decimal(1), Decimal("1e-6")) * 1e-12 * float(measure.share) / (1 if measure.value is None else 2)
    reach = norm(first.row.strategy, measure.bounds.windows) * measure.bounds.l2(CELLS)
    assert first.mechanism.scale == pytest.approx(reach / math.sqrt(2 * rho), rel=1e-4)


@pytest.mark.parametrize("measure", MEASURES, ids=named(MEASURES))
def test_a_windows_estimate_has_the_standard_deviation_that_it_states(silence: Silence, measure: Measure) -> None:
    for release in silence.of(measure):
        assert fits(release.values[:CELLS], release.sd)
        if measure.value is not None:
            assert release.sum_sd is not None
            assert fits(release.values[CELLS:], release.sum_sd)


@pytest.mark.parametrize("stretch", STRETCHES, ids=[",".join(map(str, s)) for s in STRETCHES])
@pytest.mark.parametrize("measure", MEASURES, ids=named(MEASURES))
def test_a_sum_over_any_windows_has_the_standard_deviation_that_it_states(
    silence: Silence, measure: Measure, stretch: Sequence[int]
) -> None:
    found = series.total(silence.of(measure)[at] for at in stretch)
    assert found is not None
    assert (found.windows, found.start_ms, found.end_ms) == (len(stretch), stretch[0] * WINDOW, (stretch[-1] + 1) * WINDOW)
    counts, sums = np.array(found.values[:CELLS]), np.array(found.values[CELLS:])
    assert fits(counts, found.sd)
    if measure.value is not None:
        assert found.sum_sd is not None
        assert fits(sums, found.sum_sd)
        middle = accounting.centre(measure.value)
        assert fits(sums - middle * counts, math.sqrt(found.sum_sd**2 - (middle * found.sd) ** 2)), "the rest is noise of the sum alone"


@pytest.mark.parametrize("measure", CORRELATED, ids=named(CORRELATED))
def test_an_estimate_follows_from_the_published_rows_alone(silence: Silence, measure: Measure) -> None:
    for at, release in enumerate(silence.of(measure)):
        assert release.row is not None
        before = rows_of(silence.of(measure)[: at + 1], release.row.block)
        assert release.values == pytest.approx(decoded(release.row.strategy, before), abs=1e-6)


def test_sums_over_time_have_less_noise_than_windows_added_up(silence: Silence) -> None:
    for measure, stretch in ((CORRELATED[0], range(BLOCK)), (CORRELATED[1], range(3, 6))):
        found = series.total(silence.of(measure)[at] for at in stretch)
        alone = accounting.plan_with(measure, silence.of(measure)[0].rho_pico, None)
        assert found is not None
        assert alone is not None
        assert found.sd < 0.9 * alone.count_scale * math.sqrt(len(stretch))


@pytest.mark.parametrize("measure", CORRELATED, ids=named(CORRELATED))
def test_halved_noise_fails_those_very_tests(silence: Silence, measure: Measure) -> None:
    last = silence.of(measure)[BLOCK - 1]
    assert last.row is not None
    rows = rows_of(silence.of(measure), last.row.block)
    halved = [tuple(v // 2 for v in row) for row in rows]
    assert fits(decoded(last.row.strategy, rows)[:CELLS], last.sd)
    assert not fits((v / last.row.strategy.unit for v in halved[0][:CELLS]), last.mechanism.scale)
    assert not fits(decoded(last.row.strategy, halved)[:CELLS], last.sd)


CROWDED = 25
TRUE = (
    count("prefix", cells=CROWDED, share="0.25", over_time="prefix", block=BLOCK),
    count("recent", cells=CROWDED, share="0.25", over_time="sliding:3", block=BLOCK, value=DWELL),
    count("frequent", cells=CROWDED, share="0.25", over_time="prefix", block=BLOCK, bounds=Bounds(windows=3)),
)


def crowds(measure: Measure, nth: int) -> tuple[list[Row], list[int], list[int]]:
    """New people in every window, their number and their values by cell."""
    sizes = [(nth * 37 + cell * 11) % 40 for cell in range(CROWDED)]
    rows, sums = [], []
    for cell, size in enumerate(sizes):
        people = [(nth * CROWDED + cell) * 100 + n for n in range(size)]
        rows += [(person, person, nth, measure.id, cell, (person * 7) % 130) for person in people]
        sums.append(sum(min((person * 7) % 130, DWELL.high) for person in people))
    return rows, sizes, sums


@dataclass
class Known:
    """What was published of windows whose numbers are known, under so large an epsilon that one person more or less shows."""

    releases: dict[str, list[Release]]
    truth: dict[str, list[Floats]]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    house = world(tmp_path_factory.mktemp("known"))
    truth: dict[str, list[Floats]] = {m.name: [] for m in TRUE}
    for at in range(WINDOWS):
        for measure in TRUE:
            rows, counts, sums = crowds(measure, at)
            house.source.put(at * WINDOW, *rows)
            truth[measure.name].append(np.array(counts + (sums if measure.value else []), dtype=np.float64))
    house.clock.now = WINDOWS * WINDOW
    house.close_due(shop(*TRUE, epsilon="200"))
    found = Known({m.name: house.releases.since("shop", m.id, -1) for m in TRUE}, truth)
    dispose(house)
    return found


@pytest.mark.parametrize("stretch", [*STRETCHES, *((at,) for at in range(WINDOWS))], ids=str)
@pytest.mark.parametrize("measure", TRUE, ids=named(TRUE))
def test_sums_over_any_windows_read_back_the_truth(known: Known, measure: Measure, stretch: Sequence[int]) -> None:
    found = series.total(known.releases[measure.name][at] for at in stretch)
    assert found is not None
    assert found.sd < 1
    missed = np.array(found.values) - np.sum([known.truth[measure.name][at] for at in stretch], axis=0)
    assert np.abs(missed[:CROWDED]).max() <= 6.5 * found.sd
    if measure.value is not None:
        assert found.sum_sd is not None
        assert np.abs(missed[CROWDED:]).max() <= 6.5 * found.sum_sd


@pytest.mark.parametrize("measure", TRUE, ids=named(TRUE))
def test_wrong_coefficients_fail_that_very_test(known: Known, measure: Measure) -> None:
    last = known.releases[measure.name][BLOCK - 1]
    assert last.row is not None
    rows = rows_of(known.releases[measure.name], last.row.block)
    missed = [
        np.abs(np.array(decoded(strategy, rows)[:CROWDED]) - known.truth[measure.name][BLOCK - 1][:CROWDED]).max()
        for strategy in (last.row.strategy, mistaken(last.row.strategy))
    ]
    assert missed[0] <= 6.5 * last.sd < missed[1]


def mistaken(strategy: Strategy) -> Strategy:
    """A strategy with its second coefficient a third too small."""
    if strategy.band:
        return replace(strategy, band=(strategy.band[0], strategy.band[1] * 2 // 3, *strategy.band[2:]))
    return replace(strategy, buffers=tuple((weight * 2 // 3, decay) for weight, decay in strategy.buffers))


def test_a_rate_read_from_the_rows_is_the_planted_one_with_the_stated_standard_deviation(house: World) -> None:
    cells, rate = 400, 0.02
    exposed = np.array([250.0, 200, 0, 300, 250, 100, 350, 250, 250, 150])
    measure = count("rewards", cells=cells, share="1", over_time="prefix", block=BLOCK)
    for at, exposures in enumerate(exposed):
        people = range(at * 10_000, at * 10_000 + int(exposures * rate) * cells)
        house.source.put(at * WINDOW, *[(person, person, at, measure.id, person % cells, 0) for person in people])
    house.clock.now = WINDOWS * WINDOW
    house.close_due(shop(measure))
    several = least_squares.rows(house.releases.since("shop", measure.id, -1))
    assert [rows.values.shape for rows in several] == [(BLOCK, cells), (WINDOWS - BLOCK, cells)]
    exposures = [exposed[:BLOCK], exposed[BLOCK:]]
    found = [least_squares.rate(several, exposures, cell) for cell in range(cells)]
    z = np.array([(estimate - rate) / sd for estimate, sd in found])
    assert fits(z, 1.0)
    assert abs(z.mean()) * math.sqrt(cells) <= 6.5
    sums = series.total(house.releases.since("shop", measure.id, -1))
    assert sums is not None
    assert found[0][1] < sums.sd / exposed.sum(), "less noise than in the sum over all windows"
    assert least_squares.rate(several, [0 * exposed[:BLOCK], 0 * exposed[BLOCK:]], 0) == (0.0, math.inf)


def test_a_row_that_is_left_out_leaves_the_rate_unbiased(house: World) -> None:
    cells = 50
    measure = count("rewards", cells=cells, share="1", over_time="sliding:3", block=BLOCK)
    for at in range(6):
        house.source.put(at * WINDOW, *[(at * 10_000 + p, p, at, measure.id, p % cells, 0) for p in range(20 * cells)])
    house.clock.now = 6 * WINDOW
    house.close_due(shop(measure))
    (rows,) = least_squares.rows(r for r in house.releases.since("shop", measure.id, -1) if r.window.start_ms != 2 * WINDOW)
    assert rows.starts == (0, WINDOW, None, 3 * WINDOW, 4 * WINDOW, 5 * WINDOW)
    estimates = [least_squares.rate([rows], [np.full(6, 1_000.0)], cell) for cell in range(cells)]
    assert max(abs(estimate - 0.02) / sd for estimate, sd in estimates) <= 6.5


def test_only_releases_of_one_measure_with_declared_cells_add_up(house: World) -> None:
    assert series.total([]) is None
    house.clock.now = WINDOW
    keyed = replace(count("search", share="0.3"), kind=Kind.KEYS, dimensions=(), keys=Keys("word", Decimal("0.1")))
    first, second, third = house.sanitiser.close(shop(count("a", share="0.3"), count("b", share="0.3"), keyed), window(0))
    with pytest.raises(MeasuresDiffer):
        series.total([first, second])
    with pytest.raises(MeasuresDiffer):
        series.total([third])
