"""A noisy vector of 10,000 cells against OpenDP's own measurement, called directly on the same vector, in turns."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import numpy as np
import opendp.domains as od
import opendp.measurements as om
import opendp.metrics as ome

from benchmarks import workload
from benchmarks.result import Result
from benchmarks.turns import in_turns, ratios, spread, timed
from privacy import accounting, noise

CELLS, ROUNDS, SENSITIVITY = 10_000, 15, 10.0


def run() -> Iterator[Result]:
    """The noise's lines."""
    rho = accounting.rho_of(workload.EPSILON, workload.DELTA)
    scale = accounting.scale_for(SENSITIVITY, rho)
    vector = np.random.default_rng(20261124).integers(0, 1_000, CELLS)
    own = om.make_gaussian(od.vector_domain(od.atom_domain(T="i64")), ome.l2_distance(T="f64"), scale=scale)
    ours, opendp = in_turns(
        ROUNDS,
        timed(lambda: noise.gaussian(vector, scale, sensitivity=SENSITIVITY, rho_pico=rho)),
        timed(lambda: own(vector)),
    )
    middle = statistics.median(ours)
    yield Result("a noisy vector of 10,000 cells: time", f"{middle * 1000:.0f} ms")
    ratio = middle / statistics.median(opendp)
    yield Result("the same against OpenDP's measurement called directly", spread(ratio, ratios(ours, opendp)), "<= 1.2 x", ratio <= 1.2)
