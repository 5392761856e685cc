"""A policy's releases as arrays: rows with independent noise, and each window's own estimates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adjust.evidence import Block
from privacy.least_squares import rows
from privacy.models import Release

SMALLEST = 1e-3
"""Noise that is not there at all (a comparison without privacy) still needs a variance to divide by."""


def blocks(releases: Sequence[Release], shape: tuple[int, ...]) -> list[Block]:
    """Blocks of `shape` = (…, cells, places, 2), in no particular order.

    A window whose release cannot be used is taken to be like the others of its block: later rows hold part of it.
    """
    by_start = {r.window.start_ms: r for r in releases}
    found = []
    for one in rows(releases):
        seen = {at: by_start[start] for at, start in enumerate(one.starts) if start is not None}
        windows = np.empty((len(one.starts), int(np.prod(shape))))
        spread = np.empty(len(one.starts))
        windows[:] = np.mean([r.values for r in seen.values()], axis=0)
        spread[:] = max(float(np.mean([r.sd for r in seen.values()])), SMALLEST)
        for at, release in seen.items():
            windows[at], spread[at] = release.values, max(release.sd, SMALLEST)
        found.append(
            Block(
                rows=one.values.reshape(-1, *shape),
                scale=np.maximum(one.scale, SMALLEST),
                weights=one.weights,
                windows=windows.reshape(-1, *shape),
                spread=spread,
            )
        )
    return found
