"""What a peer's process does: for each line that it reads it does the job once and answers with a line of JSON.

The process stays between rounds, so its imports and its preparations are made once and are not in the seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Job:
    """At most `rows_a_person` rows of a person, counted in each of `cells` public cells, with Gaussian noise."""

    person: npt.NDArray[np.uint64]
    cell: npt.NDArray[np.uint32]
    cells: int
    rows_a_person: int
    epsilon: float
    delta: float
    rho: float


def job() -> Job:
    """The job that the first argument, a folder, describes."""
    place = Path(sys.argv[1])
    terms = json.loads((place / "terms.json").read_text())
    return Job(np.load(place / "person.npy"), np.load(place / "cell.npy"), **terms)


def answer(count: Callable[[], Mapping[int, float]]) -> None:
    """Do it as often as asked. `count` answers every cell's noisy count; a round's seconds are all that it takes."""
    for _ in sys.stdin:
        started = time.perf_counter()
        counts = count()
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "cells": len(counts), "total": sum(counts.values())}), flush=True)
