"""`tacit simulate`: what a given epsilon will cost, before a policy starts.

The real sanitiser and the real learner run against a table of supposed true rates, beside the same learner on exact counts.
"""

from __future__ import annotations

import csv
import math
import multiprocessing
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adjust.simulate import Settings, World, run
from tacit.core.errors import Problem
from tacit.sanitised import Exact, Sanitised, measure_of

COLUMNS = ("policy", "cell", "arm", "rate", "share", "people")

CELLS_LIMIT, RUNS_LIMIT = 20_000, 100_000
"""Cells times arms of one policy, and policies times seeds."""

LEAST_POLICIES, RESAMPLES = 10, 500
"""For the standard error of the kept part."""

NUMBERS = 6_000
"""Counts that are released together: small enough for progress to be seen and for all processors to be busy."""


class SuppositionInvalid(Problem):
    """A table that cannot be simulated; `detail` names the line or the policy's number, never a value."""

    type = "supposition-invalid"
    title = "The table cannot be simulated"
    default_next_step = f"Write the columns {','.join(COLUMNS)}, one line for each arm in each cell; docs/simulate.md has an example."


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for."""

    epsilon: Decimal = Decimal(1)
    delta: Decimal = Decimal("1e-6")
    windows: int = 100
    seeds: int = 3
    learner: str = "thompson"
    explore: float = 0.03
    drift: float = 0.0
    """Relative standard deviation of each rate's random step from window to window."""


@dataclass(frozen=True, slots=True)
class Task:
    """Policies of one shape, one after the other seed by seed, with noise or without."""

    worlds: tuple[World, ...]
    seeds: tuple[int, ...]
    private: bool


Rewards = dict[tuple[str, int, bool], tuple[float, float]]
"""By policy, seed and whether there was noise: expected rewards, and those of an even split."""


def simulate(worlds: Sequence[World], terms: Terms, *, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """The report: `{policies: [{policy, people, lift: {tacit, non_private, kept}}], lift: {means}, kept_error}`.

    A lift is what people's rewards exceed those of an even split over the same people by. `kept` is None where nothing can be kept:
    the learner without privacy has no lift. `progress` is told how many of how many windows are done.
    `kept_error` is the standard error over policies.
    """
    rewards = _all(_tasks(worlds, terms), terms, progress or (lambda _done, _total: None))
    policies, lifts = [], []
    for world in worlds:
        noisy, exact = (np.mean([_lift(rewards[world.policy, seed, private]) for seed in range(terms.seeds)]) for private in (True, False))
        lifts.append((float(noisy), float(exact)))
        policies.append({"policy": world.policy, "people": world.people, "lift": _summary(*lifts[-1])})
    noisy, exact = np.mean(lifts, axis=0).tolist()
    return {"policies": policies, "lift": _summary(noisy, exact), "kept_error": _error(np.array(lifts))}


def read(path: Path) -> list[World]:
    """The policies of a CSV file. Raises `SuppositionInvalid`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file)
            if missing := set(COLUMNS) - set(lines.fieldnames or ()):
                raise SuppositionInvalid(f"the column {min(missing)!r} is missing")
            found: dict[str, list[tuple[int, dict[str, str]]]] = defaultdict(list)
            for line in lines:
                found[line["policy"] or ""].append((lines.line_num, line))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SuppositionInvalid(f"{path} cannot be read") from error
    if not found:
        raise SuppositionInvalid("there is no line below the head")
    return [_world(policy, lines_of) for policy, lines_of in found.items()]


def _world(policy: str, lines: Sequence[tuple[int, Mapping[str, str]]]) -> World:
    rates: dict[tuple[str, str], float] = {}
    shares: dict[str, float] = {}
    people: set[int] = set()
    for number, line in lines:
        cell, arm = line["cell"] or "", line["arm"] or ""
        if (cell, arm) in rates:
            raise SuppositionInvalid(f"line {number} gives an arm in a cell a second time")
        rates[cell, arm] = _number(line["rate"], number, "rate", most=1.0)
        share = _number(line["share"], number, "share", most=1e12)
        if shares.setdefault(cell, share) != share:
            raise SuppositionInvalid(f"line {number} gives its cell another share than an earlier line")
        people.add(int(_number(line["people"], number, "people", most=1e9)))
    arms = list(dict.fromkeys(arm for _, arm in rates))
    here = lines[0][0]
    if len(rates) != len(arms) * len(shares):
        raise SuppositionInvalid(f"the policy that starts in line {here} does not give every arm in every cell")
    if len(arms) < 2 or len(rates) > CELLS_LIMIT:
        raise SuppositionInvalid(f"the policy that starts in line {here} needs at least 2 arms, and at most {CELLS_LIMIT} lines")
    if len(people) != 1 or sum(shares.values()) <= 0:
        raise SuppositionInvalid(f"the policy that starts in line {here} needs one number of people, and shares above 0")
    table = np.array([[rates[cell, arm] for arm in arms] for cell in shares])
    return World(policy, table, np.array(list(shares.values())) / sum(shares.values()), people.pop())


def _number(text: str | None, line: int, name: str, *, most: float) -> float:
    try:
        found = float(text or "")
    except ValueError:
        found = math.nan
    if not 0 <= found <= most:
        raise SuppositionInvalid(f"line {line} has no number between 0 and {most:g} as {name}")
    return found


def _tasks(worlds: Sequence[World], terms: Terms) -> list[Task]:
    if len(worlds) * terms.seeds > RUNS_LIMIT:
        raise SuppositionInvalid(f"more than {RUNS_LIMIT} policies times seeds", next_step="Give fewer policies, or fewer seeds.")
    by_shape: dict[tuple[int, int], list[tuple[World, int]]] = defaultdict(list)
    for seed in range(terms.seeds):
        for world in worlds:
            by_shape[world.shape].append((world, seed))
    found = []
    for (cells, arms), runs in by_shape.items():
        step = max(1, min(NUMBERS // (cells * arms * 2), math.ceil(len(runs) / (os.cpu_count() or 1))))
        for start in range(0, len(runs), step):
            some, seeds = zip(*runs[start : start + step], strict=True)
            found += [Task(some, seeds, private) for private in (True, False)]
    return found


def _all(tasks: Sequence[Task], terms: Terms, progress: Callable[[int, int], None]) -> Rewards:
    total, done = len(tasks) * terms.windows, 0
    found: Rewards = {}

    def tick() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    if len(tasks) * terms.windows < 500 or (os.cpu_count() or 1) == 1:  # starting a process takes longer
        for task in tasks:
            found |= _one(task, terms, tick)
        return found
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: set[Future[Rewards]] = {pool.submit(_one, task, terms) for task in tasks}
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for one in finished:
                found |= one.result()
                done += terms.windows
                progress(done, total)
    return found


def _one(task: Task, terms: Terms, tick: Callable[[], None] | None = None) -> Rewards:
    """All windows of a task: the real noise where it is private, none where it is not; people differ from seed to seed."""
    measure = measure_of(len(task.worlds), *task.worlds[0].shape, planned=terms.windows)
    source = Sanitised(measure, terms.epsilon, terms.delta) if task.private else Exact(measure)
    settings = Settings(terms.windows, terms.learner, terms.explore)
    rng = np.random.default_rng([*task.seeds, len(task.worlds)])
    worlds = [_drifting(world, seed, terms) for world, seed in zip(task.worlds, task.seeds, strict=True)] if terms.drift else task.worlds
    rewards = run(worlds, source, settings, rng=rng, tick=tick).sum(0).tolist()
    keys = [(world.policy, seed, task.private) for world, seed in zip(task.worlds, task.seeds, strict=True)]
    return {key: (gained, even) for key, (gained, even) in zip(keys, rewards, strict=True)}


def _drifting(world: World, seed: int, terms: Terms) -> World:
    """The same walk with noise and without: each rate goes its own way, on average where it began."""
    rng = np.random.default_rng([seed, *world.policy.encode()])
    steps = rng.normal(-(terms.drift**2) / 2, terms.drift, (terms.windows - 1, *world.shape))
    paths = np.concatenate([np.zeros((1, *world.shape)), np.cumsum(steps, axis=0)])
    return replace(world, rates=np.clip(world.rates * np.exp(paths), 0.0, 1.0))


def _lift(rewards: tuple[float, float]) -> float:
    gained, even = rewards
    return gained / even - 1 if even > 0 else 0.0


def _error(lifts: NDArray[np.float64]) -> float | None:
    """The standard error of the kept part, by drawing policies with replacement; None where there are too few or nothing is to be kept."""
    if len(lifts) < LEAST_POLICIES or lifts[:, 1].mean() <= 1e-9:
        return None
    drawn = np.random.default_rng(0).integers(0, len(lifts), (RESAMPLES, len(lifts)))
    noisy, exact = lifts[drawn].mean(1).T
    return round(float(np.std(noisy / np.where(exact > 1e-9, exact, np.inf))), 4)


def _summary(noisy: float, exact: float) -> dict[str, float | None]:
    return {"tacit": round(noisy, 6), "non_private": round(exact, 6), "kept": round(noisy / exact, 4) if exact > 1e-9 else None}
