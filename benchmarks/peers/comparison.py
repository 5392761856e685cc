"""One window closed by us and the same count by the peers, on the same rows, in turns, in one run.

Only what a peer does from its own form of the rows to the noisy counts is in its seconds; ours has the ledger, presence, publication
and evidence of a close in it. Whether everybody computed the same statistic is checked: the capped total is known exactly.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from benchmarks import workload
from benchmarks.result import Result
from benchmarks.turns import Contestant, in_turns, median_ratio
from privacy import accounting
from privacy.models import PICO

ROUNDS = 3
ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-peers"
PEERS = (("PipelineDP, local backend", "pipeline_dp_local", 15), ("OpenDP, polars layer", "opendp_polars", 6))
"""Name, module, and how many times as long as we it should take."""


def available() -> bool:
    """Whether the peers' environment has been made."""
    return (ENVIRONMENT / ".installed").exists()


def run() -> Iterator[Result]:
    """The peers' lines."""
    if not available():
        raise SystemExit("The peers have no environment yet: run `make bench-peers`.")
    pages = workload.measure(per_cell=workload.ROWS_A_PERSON)
    columns = workload.rows(pages.id)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        np.save(folder / "person.npy", columns["p1"])
        np.save(folder / "cell.npy", columns["cell"])
        _, of_each = np.unique(columns["p1"], return_counts=True)
        expected = int(np.minimum(of_each, workload.ROWS_A_PERSON).sum())
        rho = accounting.rho_of(workload.EPSILON, workload.DELTA)
        terms = {"cells": workload.CELLS, "rows_a_person": workload.ROWS_A_PERSON, "epsilon": float(workload.EPSILON)}
        (folder / "terms.json").write_text(json.dumps(terms | {"delta": float(workload.DELTA), "rho": rho / PICO}))
        close = stack.enter_context(workload.closing(columns, pages))
        peers = [stack.enter_context(_peer(module, folder, expected)) for _, module, _ in PEERS]

        def ours() -> float:
            started = time.perf_counter()
            release = close()
            seconds = time.perf_counter() - started
            _require_same("Tacit", len(release.vector), sum(release.vector), expected)
            return seconds

        times = in_turns(ROUNDS, ours, *peers)
    yield from _lines(times)


def _lines(times: Sequence[Sequence[float]]) -> Iterator[Result]:
    yield Result("close the same with at most ten rows a person: time", f"{statistics.median(times[0]):.2f} s")
    for (name, _, goal), seconds in zip(PEERS, times[1:], strict=True):
        yield Result(f"the same count by {name}: time", f"{statistics.median(seconds):.2f} s")
        ratio, text = median_ratio(seconds, times[0])
        yield Result("  against ours", text, f">= {goal} x", ratio >= goal)


@contextmanager
def _peer(module: str, folder: Path, expected: int) -> Iterator[Contestant]:
    """A process that does the job once for every line it is sent, and ends when nothing more can come."""
    command = [str(ENVIRONMENT / "bin" / "python"), "-m", f"{__package__}.{module}", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    asked, answers = process.stdin, process.stdout
    assert asked is not None
    assert answers is not None

    def contestant() -> float:
        line = ""
        with suppress(BrokenPipeError):
            print(file=asked, flush=True)
            line = answers.readline()
        if not line:
            raise SystemExit(f"The peer {module} stopped without an answer.")
        answer = json.loads(line)
        _require_same(module, answer["cells"], answer["total"], expected)
        return float(answer["seconds"])

    try:
        yield contestant
    finally:
        with suppress(BrokenPipeError):
            asked.close()
        process.wait()
        answers.close()


def _require_same(name: str, cells: int, total: float, expected: int) -> None:
    """The noise of all cells together has a standard deviation of at most 50 · √cells: eight of them is never chance."""
    if cells != workload.CELLS or abs(total - expected) > 8 * 50 * math.sqrt(cells):
        raise SystemExit(f"{name} counted something else: {total:,.0f} rows in {cells} cells instead of {expected:,} in {workload.CELLS}.")
