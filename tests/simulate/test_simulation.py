"""The simulator: reads what a manager supposes, spends exactly the stated budget, and tells what it costs."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from adjust.simulate import Settings, World, run
from privacy import accounting
from tacit import simulation
from tacit.cli import app
from tacit.sanitised import Exact, Sanitised, measure_of
from tacit.simulation import SuppositionInvalid, Terms, read, simulate

HEAD = "policy,cell,arm,rate,share,people\n"
CLEAR = HEAD + "".join(f"clear,all,arm{i},{rate},1,20000\n" for i, rate in enumerate([0.02, 0.03, 0.09]))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "supposed.csv"
    path.write_text(CLEAR)
    return path


def test_a_table_is_read_with_its_cells_shares_and_people(tmp_path: Path) -> None:
    path = tmp_path / "supposed.csv"
    path.write_text(HEAD + "p,a,x,0.1,3,500\np,a,y,0.2,3,500\np,b,x,0.3,1,500\np,b,y,0.4,1,500\n")
    (world,) = read(path)
    assert world.rates.tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert (world.shares.tolist(), world.people) == ([0.75, 0.25], 500)


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "p,a,x,0.1,1,5\n",
        "p,a,x,0.1,1,5\np,a,x,0.1,1,5\n",
        "p,a,x,0.1,1,5\np,a,y,1.1,1,5\n",
        "p,a,x,0.1,1,5\np,a,y,nan,1,5\n",
        "p,a,x,0.1,1,5\np,a,y,secret,1,5\n",
        "p,a,x,0.1,1,5\np,a,y,0.1,2,5\n",
        "p,a,x,0.1,1,5\np,a,y,0.1,1,6\n",
        "p,a,x,0.1,0,5\np,a,y,0.1,0,5\n",
        "p,a,x,0.1,1,5\np,a,y,0.1,1,5\np,b,x,0.1,1,5\n",
        "p,a,x\np,a,y\n",
    ],
)
def test_a_table_that_says_too_little_is_refused_without_repeating_it(lines: str, tmp_path: Path) -> None:
    path = tmp_path / "supposed.csv"
    path.write_text(HEAD + lines)
    with pytest.raises(SuppositionInvalid) as caught:
        read(path)
    assert "secret" not in caught.value.diagnostics()


def test_a_missing_column_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "supposed.csv"
    with pytest.raises(SuppositionInvalid):
        read(path)
    path.write_text("policy,cell,arm,rate,people\n")
    with pytest.raises(SuppositionInvalid, match="share"):
        read(path)


def test_the_command_prints_the_report_of_the_contract(table: Path) -> None:
    done = CliRunner().invoke(app, ["simulate", str(table), "--windows", "8", "--seeds", "1", "--format", "json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    (one,) = found["policies"]
    assert (one["policy"], one["people"]) == ("clear", 20_000)
    assert set(one["lift"]) == set(found["lift"]) == {"tacit", "non_private", "kept"}


@pytest.mark.parametrize("option", [["--epsilon", "0"], ["--epsilon", "nan"], ["--delta", "x"], ["--epsilon", "inf"]])
def test_a_promise_that_is_none_is_refused(option: list[str], table: Path) -> None:
    done = CliRunner().invoke(app, ["simulate", str(table), *option])
    assert done.exit_code == 1


def test_a_clear_winner_is_found_with_and_without_privacy(table: Path) -> None:
    """The best arm has 1.93 times the mean rate. Both learners find it within a few of 20 windows: each lift is above 0.5.

    Measured: 0.83 and 0.86, with a standard deviation below 0.02 over runs.
    """
    told: list[tuple[int, int]] = []
    found = simulate(read(table), Terms(windows=20, seeds=2), progress=lambda done, total: told.append((done, total)))
    assert found["lift"]["non_private"] > 0.5
    assert found["lift"]["tacit"] > 0.5
    assert told[-1] == (80, 80)


def test_a_tiny_epsilon_keeps_next_to_nothing(table: Path) -> None:
    """With epsilon 0.001 the noise is 3,000 people wide and arms are guessed: the mean lift of 12 runs is far below that of learning.

    Each run's lift is below 0.93 and above -0.57 and its mean about 0 (measured: within 0.1); 0.6 is 7 standard errors above it.
    """
    found = simulate(read(table), Terms(epsilon=Decimal("0.001"), windows=8, seeds=12))
    assert found["lift"]["tacit"] < 0.6


def test_a_fixed_split_has_no_lift(table: Path) -> None:
    """Over 20,000 people the shares of three arms are within 0.02 of even (6 standard deviations), so that the lift is below 0.05."""
    found = simulate(read(table), Terms(learner="fixed", windows=4, seeds=1))
    assert abs(found["lift"]["tacit"]) < 0.05


def test_arms_are_shown_by_the_bundles_weights_and_counted_once() -> None:
    seen = []
    source = Exact(measure_of(2, 1, 2))
    worlds = [World(name, np.array([[1.0, 0.0]]), np.ones(1), 101) for name in "ab"]

    def watched(exact: np.ndarray) -> object:
        seen.append(exact.reshape(2, 2, 2))
        return source(exact)

    rewards = run(worlds, watched, Settings(windows=3, learner="thompson", explore=0.0), rng=np.random.default_rng())  # type: ignore[arg-type]  # a wrapped source
    assert np.sum(seen, axis=(0, 2, 3)).tolist() == [101, 101]
    assert rewards[..., 1].sum(0).tolist() == [50.5, 50.5]
    assert rewards[..., 0].sum() == np.sum(seen, axis=0)[:, 0, 1].sum()


def test_the_noise_is_that_of_the_declared_epsilon_and_of_correlated_rows() -> None:
    """The standard deviation of 4,000 noisy zeros in a first row is the plan's, within 7 % (6 standard errors)."""
    measure = measure_of(1000, 1, 2)
    made = Sanitised(measure, Decimal(1), Decimal("1e-6"))
    row = made(np.zeros(4000, dtype=np.int64))
    assert row.row is not None
    plan = accounting.plan_with(measure, accounting.rho_of(Decimal(1), Decimal("1e-6")), row.row.strategy)
    assert plan is not None
    assert row.mechanism.scale == plan.count_scale
    assert np.std(np.array(row.vector) / row.row.strategy.unit) == pytest.approx(plan.count_scale, rel=0.07)


def test_blocks_go_on_from_their_kept_state_and_grow() -> None:
    made = Sanitised(measure_of(1, 1, 2), Decimal(1), Decimal("1e-6"))
    rows = [made(np.full(4, 7, dtype=np.int64)).row for _ in range(50)]
    assert [row.position for row in rows if row is not None] == [*range(16), *range(32), 0, 1]


def test_too_many_runs_are_refused(monkeypatch: pytest.MonkeyPatch, table: Path) -> None:
    monkeypatch.setattr(simulation, "RUNS_LIMIT", 2)
    with pytest.raises(SuppositionInvalid):
        simulate(read(table), Terms(seeds=3))


@pytest.mark.slow
def test_many_policies_are_simulated_by_several_processes(tmp_path: Path) -> None:
    path = tmp_path / "supposed.csv"
    path.write_text(HEAD + "".join(f"p{p},all,a{i},0.0{i + 1},1,900\n" for p in range(12) for i in range(4)))
    found = simulate(read(path), Terms(windows=130, seeds=1))
    assert len(found["policies"]) == 12


def test_drifting_rates_are_the_same_with_noise_and_without_and_differ_between_seeds() -> None:
    (world,) = [World("p", np.full((2, 3), 0.1), np.array([0.5, 0.5]), 1000)]
    terms = Terms(windows=50, drift=0.1)
    first, again, other = (simulation._drifting(world, seed, terms).rates for seed in (0, 0, 1))
    assert first.shape == (50, 2, 3)
    assert (first == again).all()
    assert (first != other)[1:].all()
    assert (first[0] == world.rates).all()
