"""Decisions a second in one process: targeting, holdout, cell, arm and propensity; other libraries beside it where they are installed.

Contestants go in turns, so that what slows the machine down slows all of them down; seconds are those of the processor.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from adjust.decide import Decider
from adjust.draws import line
from benchmarks.peers import comparison
from benchmarks.peers.deciders import ARMS, CONTEXT, DECISIONS, HOLDOUT
from benchmarks.result import Result
from benchmarks.turns import Contestant, in_turns, median_ratio

ROUNDS = 15
GOAL = 1_000_000
PEERS = (("GrowthBook's SDK", "growthbook", 12), ("UnleashClient", "unleash", None), ("OpenFeature, in memory", "openfeature", None))
"""Name, module's word for it, and how many times as long as we it should take."""

POLICY = {
    "zone": "front.headline",
    "arms": ARMS,
    "order": {"arms": list(ARMS), "context": ["device", "daypart", "country"]},
    "context": {"device": ["mobile", "desktop"], "daypart": ["morning", "day", "evening"], "country": ["NL", "DE"]},
    "targeting": {"all": [{"device": {"in": ["mobile", "desktop"]}}, {"daypart": {"ne": "night"}}, {"country": {"eq": "NL"}}]},
    "default": [16384, 32768, 49151, 65535],
    "holdout": HOLDOUT,
    "trigger": None,
}


def run() -> Iterator[Result]:
    """The lines of decisions."""
    names = PEERS if comparison.available() else ()
    with ExitStack() as stack:
        peers = [stack.enter_context(_peer(word)) for _, word, _ in names]
        few, many = _decisions(cells=1), _decisions(cells=10_000)
        times = in_turns(ROUNDS, _timed(few), _timed(many), _timed(_hashes), *peers)
    rate = DECISIONS / min(times[0])
    yield Result("decisions/s in process: 3 conditions, holdout, propensity", f"{rate:,.0f}", f">= {GOAL:,}", rate >= GOAL)
    ratio, text = median_ratio(times[1], times[0])
    yield Result("  the same with 10,000 cells of other weights: time", text, "<= 1.2 x", ratio <= 1.2)
    yield Result("  of it, the two SHA-256 that the specification asks for", median_ratio(times[2], times[0])[1])
    for (name, _, goal), seconds in zip(names, times[3:], strict=True):
        yield Result(f"decisions/s by {name}", f"{DECISIONS / min(seconds):,.0f}")
        ratio, text = median_ratio(seconds, times[0])
        yield Result("  its time against ours", text, f">= {goal} x" if goal else "", ratio >= goal if goal else None)


def _decisions(*, cells: int) -> Callable[[], None]:
    """A job: one decision for each unit."""
    weights = {f"device{i}|morning|NL": [10_000, 20_000, 30_000, 65535] for i in range(cells - 1)}
    weights["|".join(CONTEXT.values())] = [30_000, 40_000, 50_000, 65535]
    content = {"site": "bench", "version": 1, "salt": "0123456789abcdef", "policies": {"headline": {**POLICY, "weights": weights}}}
    decide = Decider.from_bundle(content).decide
    units = [f"unit-{number}" for number in range(DECISIONS)]

    def job() -> None:
        for unit in units:
            decide("headline", context=CONTEXT, unit=unit)

    return job


def _hashes() -> None:
    """What no decider can do without: where each unit stands in the holdout's draw and in the arms'."""
    holdout, arms = line("headline", "bench", ":holdout"), line("headline", "0123456789abcdef")
    for number in range(DECISIONS):
        place = f"unit-{number}".encode()
        for draw in (holdout, arms):
            taken = draw()
            taken.update(place)
            taken.digest()


def _timed(job: Callable[[], None]) -> Contestant:
    def contestant() -> float:
        started = time.process_time()
        job()
        return time.process_time() - started

    return contestant


@contextmanager
def _peer(word: str) -> Iterator[Contestant]:
    command = [str(comparison.ENVIRONMENT / "bin" / "python"), "-m", "benchmarks.peers.deciders", word]
    process = subprocess.Popen(command, cwd=comparison.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    asked, answers = process.stdin, process.stdout
    assert asked is not None
    assert answers is not None

    def contestant() -> float:
        line = ""
        with suppress(BrokenPipeError):
            print(file=asked, flush=True)
            line = answers.readline()
        if not line:
            raise SystemExit(f"The peer {word} stopped without an answer.")
        return float(json.loads(line)["seconds"])

    try:
        yield contestant
    finally:
        with suppress(BrokenPipeError):
            asked.close()
        process.wait()
        answers.close()
