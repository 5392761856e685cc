"""Closing a window: a million contributions against the same bounding and counting in plain DuckDB, in turns, in one run; then ten
million in a process of their own, for its memory."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from benchmarks import workload
from benchmarks.result import Result
from benchmarks.turns import in_turns, median_ratio, timed

ROUNDS = 5
MANY = 10
"""So many times the rows and the people, for the memory."""
PLAIN = """
select cell, count(*) from (
  select *, row_number() over (partition by p1, p2 order by h) as place from (
    select *, row_number() over (partition by p1, p2, cell order by h) as place_in_cell from contributions
  ) where place_in_cell <= 1
) where place <= 10 group by cell
"""


def run() -> Iterator[Result]:
    """The close's lines."""
    pages = workload.measure(per_cell=1)
    columns = workload.rows(pages.id)
    with workload.closing(columns, pages) as close:
        ours, plain = in_turns(ROUNDS, timed(close), lambda: _plain(columns))
    yield Result("close 1,000,000 contributions, 1,000 cells: time", f"{statistics.median(ours):.2f} s")
    ratio, text = median_ratio(ours, plain)
    yield Result("the same against plain DuckDB bounding and counting", text, "<= 1.5 x", ratio <= 1.5)
    command = [sys.executable, "-m", __name__]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=True)
    many = json.loads(done.stdout)
    yield Result("close 10,000,000 contributions, 1,000 cells: time", f"{many['seconds']:.2f} s")
    peak = many["peak_bytes"] / 1e9
    yield Result("  peak memory of the whole process, its rows included", f"{peak:.2f} GB", "< 2 GB", peak < 2)


def _plain(columns: dict[str, npt.NDArray[np.generic]]) -> float:
    connection = duckdb.connect()
    connection.register("contributions", columns)
    seconds = timed(lambda: connection.execute(PLAIN).fetchall())()
    connection.close()
    return seconds


def main() -> None:
    """`python -m benchmarks.close`: one close of ten million rows; JSON with its seconds and the peak memory of this process."""
    pages = workload.measure(per_cell=1)
    columns = workload.rows(pages.id, number=MANY * workload.ROWS, people=MANY * workload.PEOPLE)
    with workload.closing(columns, pages) as close:
        seconds = timed(close)()
    # Linux hands the parent's peak on to a child: this is never below the truth.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
