"""Closing a window: a million contributions against the same bounding and counting in plain DuckDB, in turns, in one run."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from audit.log import Log
from benchmarks.result import Result
from privacy.ledger import Ledger
from privacy.models import Window
from privacy.ports import Columns, Contributions
from privacy.presence import PresenceBook
from privacy.releases import ReleaseStore
from privacy.service import Sanitiser
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.declaration import Bounds, Dimension, Kind, Measure, PrivacyTerms, Site
from tacit.migrations import upgrade

ROWS, PEOPLE, CELLS, ROUNDS = 1_000_000, 80_000, 1_000, 5
DAY = 86_400_000
PLAIN = """
select cell, count(*) from (
  select *, row_number() over (partition by p1, p2 order by h) as place from (
    select *, row_number() over (partition by p1, p2, cell order by h) as place_in_cell from contributions
  ) where place_in_cell <= 1
) where place <= 10 group by cell
"""


class _Arrived:
    """The same rows for every window, each in an epoch of its own."""

    def __init__(self, columns: dict[str, npt.NDArray[np.generic]]) -> None:
        self._columns = columns

    def closed(self, site: str, after_ms: int | None) -> Sequence[Window]:
        start = after_ms or 0
        return [Window(site, start, start + DAY, start)]

    def contributions(self, window: Window) -> Contributions:  # noqa: ARG002
        return Contributions(self._columns)

    def steady(self, window: Window, rows: Columns) -> AbstractContextManager[bool]:  # noqa: ARG002
        return nullcontext(True)

    def forget(self, window: Window) -> bool:  # noqa: ARG002
        return True

    def end_epoch(self, site: str, epoch_ms: int, end_ms: int) -> bool:  # noqa: ARG002
        return True

    def sweep(self, site: str, until_ms: int) -> None:
        """There is no key."""

    def cut(self, site: str) -> None:
        """Nothing is open."""


def run() -> Iterator[Result]:
    """The close's lines."""
    measure = Measure(
        site="bench", name="pages", kind=Kind.COUNT, event="page", purpose="measurement",
        dimensions=(Dimension("key", tuple(f"k{i}" for i in range(CELLS)), closed=True),), share=Decimal(1), bounds=Bounds(1, 10, 1),
    )  # fmt: skip
    site = Site("bench", PrivacyTerms(Decimal(1), Decimal("1e-6"), DAY, DAY), "eu", None, (measure,))
    columns = _rows(measure.id)
    with tempfile.TemporaryDirectory() as place:
        intake, released = connect(f"sqlite:///{Path(place) / 'intake.db'}"), connect(f"sqlite:///{Path(place) / 'released.db'}")
        upgrade(intake, "intake")
        upgrade(released, "released")
        clock = SystemClock()
        sanitiser = Sanitiser(
            _Arrived(columns), PresenceBook(intake), Ledger(released, clock), ReleaseStore(released), Log(released, clock), clock
        )
        plain, ours = [], []
        for number in range(ROUNDS + 1):
            plain.append(_plain(columns))
            started = time.perf_counter()
            sanitiser.close(site, Window("bench", number * DAY, (number + 1) * DAY, number * DAY))
            ours.append(time.perf_counter() - started)
        intake.dispose()
        released.dispose()
    ratios = [a / b for a, b in zip(ours[1:], plain[1:], strict=True)]
    ratio, seconds = statistics.median(ratios), statistics.median(ours[1:])
    yield Result("close 1,000,000 contributions, 1,000 cells: time", f"{seconds:.2f} s")
    spread = f"{ratio:.2f} x ({min(ratios):.2f}-{max(ratios):.2f})"
    yield Result("the same against plain DuckDB bounding and counting", spread, "<= 3 x", ratio <= 3)


def _plain(columns: dict[str, npt.NDArray[np.generic]]) -> float:
    connection = duckdb.connect()
    connection.register("contributions", columns)
    started = time.perf_counter()
    connection.execute(PLAIN).fetchall()
    seconds = time.perf_counter() - started
    connection.close()
    return seconds


def _rows(measure_id: int) -> dict[str, npt.NDArray[np.generic]]:
    random = np.random.default_rng(20261124)
    weight = random.pareto(1.2, PEOPLE) + 0.05  # most people do little, a few do a great deal
    person = random.choice(PEOPLE, ROWS, p=weight / weight.sum())
    pseudonyms = random.integers(0, 2**64, (2, PEOPLE), dtype=np.uint64)
    popularity = 1 / np.arange(1, CELLS + 1)
    return {
        "p1": pseudonyms[0][person],
        "p2": pseudonyms[1][person],
        "h": random.integers(-(2**63), 2**63 - 1, ROWS, dtype=np.int64),
        "m": random.integers(0, 2**64, ROWS, dtype=np.uint64),
        "measure": np.full(ROWS, measure_id, dtype=np.int64),
        "cell": random.choice(CELLS, ROWS, p=popularity / popularity.sum()).astype(np.uint32),
        "value": np.zeros(ROWS, dtype=np.int32),
    }
