"""Lift kept beside privacy, through the simulator, and how fast policies are learned. Environments are drawn, not chosen.

An arm's rate is the base rate times a Gamma variable of relative standard deviation 0.33, that of items in the Open Bandit Dataset's men's
campaign; a cell's rate is the arm's times one of 0.23 (twice the concentration). epsilon 1, delta 1e-6, 100 planned windows, nothing
explored beside the learner's own sampling.
"""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from adjust.evidence import Block
from adjust.learn import allocate
from adjust.simulate import World
from benchmarks.result import Result
from tacit.simulation import Terms, simulate

SHAPE = 9.16
"""Of the Gamma variables: 1 / 0.33²."""

ENVIRONMENTS = 30

REAL = Path(__file__).parents[2] / "shared" / "data" / "upworthy_tests.csv"

DRAWN = (
    ("4 arms x 12 cells, 6 %, 1,000,000 people", (4, 12, 0.063, 1_000_000), 0.99),
    ("4 arms x 12 cells, 6 %, 100,000 people", (4, 12, 0.063, 100_000), 0.92),
    ("10 arms x 8 cells, 0.5 %, 1,000,000 people", (10, 8, 0.0059, 1_000_000), 0.94),
    ("34 arms, 0.5 %, 1,000,000 people", (34, 1, 0.0054, 1_000_000), 0.96),
    ("34 arms, 0.5 %, 100,000 people", (34, 1, 0.0054, 100_000), 0.57),
)

HEADLINES = (((7_000, 9_500), 0.54), ((11_000, 13_000), 0.69), ((20_000, 27_000), 0.77))


def run() -> Iterator[Result]:
    """The table's rows."""
    terms = Terms(seeds=2, explore=0.0)
    for name, (arms, cells, rate, people), goal in DRAWN:
        yield _kept(name, drawn(arms, cells, rate, people), terms, goal)
    if REAL.exists():
        for (least, most), goal in HEADLINES:
            worlds = headlines(least, most)
            yield _kept(f"{len(worlds)} headline tests, {least:,} to {most:,} people", worlds, terms, goal)
    yield _speed()


def drawn(arms: int, cells: int, rate: float, people: int, *, environments: int = ENVIRONMENTS) -> list[World]:
    """Environments drawn afresh."""
    rng = np.random.default_rng()
    found = []
    for number in range(environments):
        rates = rate * rng.gamma(SHAPE, 1 / SHAPE, arms)
        rates = rates * rng.gamma(2 * SHAPE, 1 / (2 * SHAPE), (cells, arms)) if cells > 1 else rates[None]
        found.append(World(f"drawn {number}", np.clip(rates, 0, 1), rng.dirichlet(np.full(cells, 3.0)), people))
    return found


def headlines(least: int, most: int) -> list[World]:
    """Real headline tests of four arms with so many people, the observed rates as truth."""
    tests: dict[str, list[tuple[int, int]]] = defaultdict(list)
    with REAL.open(newline="") as file:
        for line in csv.DictReader(file):
            tests[line["test_id"]].append((int(line["impressions"]), int(line["clicks"])))
    four = {name: arms for name, arms in tests.items() if len(arms) == 4 and min(arms)[0] > 0}
    return [
        World(name, np.array([[clicks / shown for shown, clicks in arms]]), np.ones(1), people)
        for name, arms in four.items()
        if least <= (people := sum(shown for shown, _ in arms)) <= most
    ]


def _kept(name: str, worlds: list[World], terms: Terms, goal: float) -> Result:
    found = simulate(worlds, terms)
    lift = found["lift"]
    measured = f"{lift['kept']:.2f} ± {found['kept_error']:.2f} ({lift['tacit']:+.3f} of {lift['non_private']:+.3f})"
    return Result(f"Lift kept: {name}", measured, f">= {goal}", lift["kept"] >= goal)


def _speed() -> Result:
    """100 policies of 50 cells and 4 arms after 100 windows, one after the other as when serving."""
    rng = np.random.default_rng()
    windows, weights = rng.normal(100, 10, (100, 50, 4, 2)), np.tril(np.ones((100, 100)))
    block = Block(np.tensordot(weights, windows, axes=1), np.full(100, 5.0), weights, windows, np.full(100, 5.0))
    start = time.perf_counter()
    for _ in range(100):
        allocate("thompson", [block], arms=4, explore=0.03)
    seconds = time.perf_counter() - start
    return Result("Learn 100 policies x 50 cells x 4 arms, 100 windows", f"{seconds:.2f} s", "< 2 s", seconds < 2)
