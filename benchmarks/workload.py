"""The rows that all close benchmarks share, and the real sanitiser on vaults of its own that closes windows with them.

The rows are drawn from one seed: most people do little, a few do a great deal, everybody does something; cells are Zipf-distributed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from decimal import Decimal
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audit.log import Log
from ingest.secrets import Secrets
from privacy.ledger import Ledger
from privacy.models import Release, Window
from privacy.ports import COLUMNS, Columns, Contributions
from privacy.presence import PresenceBook
from privacy.releases import ReleaseStore
from privacy.service import Sanitiser
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.declaration import Bounds, Dimension, Kind, Measure, PrivacyTerms, Site
from tacit.core.rootkey import RootKey
from tacit.migrations import upgrade

ROWS, PEOPLE, CELLS, ROWS_A_PERSON = 1_000_000, 80_000, 1_000, 10
EPSILON, DELTA = Decimal(1), Decimal("1e-6")
DAY = 86_400_000
CHUNK = 1_000_000


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


def measure(per_cell: int) -> Measure:
    """A count over the cells that takes ten rows of a person, so many of them in one cell."""
    keys = tuple(f"k{i}" for i in range(CELLS))
    return Measure(
        site="bench", name="pages", kind=Kind.COUNT, event="page", purpose="measurement", dimensions=(Dimension("key", keys, closed=True),),
        share=Decimal(1), bounds=Bounds(windows=1, per_window=ROWS_A_PERSON, per_cell=per_cell),
    )  # fmt: skip


@contextmanager
def closing(columns: dict[str, npt.NDArray[np.generic]], pages: Measure) -> Iterator[Callable[[], Release]]:
    """A function that closes the next window with these rows and answers its release, as long as the context lasts."""
    site = Site("bench", PrivacyTerms(EPSILON, DELTA, DAY, DAY), "eu", None, (pages,))
    with tempfile.TemporaryDirectory() as place:
        intake, released = connect(f"sqlite:///{Path(place) / 'intake.db'}"), connect(f"sqlite:///{Path(place) / 'released.db'}")
        upgrade(intake, "intake")
        upgrade(released, "released")
        clock = SystemClock()
        log, secrets = Log(released, clock), Secrets(Path(place) / "custody", RootKey(bytes(32)))
        sanitiser = Sanitiser(_Arrived(columns), PresenceBook(intake), Ledger(released, clock), ReleaseStore(released), log, clock, secrets)
        starts = count(0, DAY)

        def close() -> Release:
            start = next(starts)
            (release,) = sanitiser.close(site, Window("bench", start, start + DAY, start))
            return release

        yield close
        intake.dispose()
        released.dispose()


def rows(measure_id: int, *, number: int = ROWS, people: int = PEOPLE) -> dict[str, npt.NDArray[np.generic]]:
    """So many rows of exactly so many people, drawn a chunk at a time: making them takes little more memory than they do."""
    random = np.random.default_rng(20261124)
    weight = random.pareto(1.2, people) + 0.05
    weight /= weight.sum()
    popularity = 1 / np.arange(1, CELLS + 1)
    popularity /= popularity.sum()
    pseudonyms = random.integers(0, 2**64, (2, people), dtype=np.uint64)
    columns: dict[str, npt.NDArray[np.generic]] = {name: np.zeros(number, dtype=kind) for name, kind in COLUMNS.items()}
    columns["measure"][:] = np.int64(measure_id)
    apart = number // people  # every so many rows stands one of the next person, so that nobody is left out
    for start in range(0, number, CHUNK):
        here = slice(start, min(start + CHUNK, number))
        place = np.arange(here.start, here.stop)
        person = random.choice(people, len(place), p=weight)
        own = (place % apart == 0) & (place // apart < people)
        person[own] = place[own] // apart
        columns["p1"][here], columns["p2"][here] = pseudonyms[0][person], pseudonyms[1][person]
        columns["h"][here] = random.integers(-(2**63), 2**63 - 1, len(place), dtype=np.int64)
        columns["m"][here] = random.integers(0, 2**64, len(place), dtype=np.uint64)
        columns["cell"][here] = random.choice(CELLS, len(place), p=popularity)
    return columns
