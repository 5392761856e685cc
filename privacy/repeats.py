"""Which of many 64-bit hashes occur more than once. Nearly none do, and sorting all to find that out would take half as long as counting.

Each position claims the slot that the upper bits of its hash name. Of those that claim one slot the last is remembered; the others are
compared with it here, and among themselves in the next round, by the bits that follow. A shared slot alone means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

FEW = 20_000
"""So many hashes are simply sorted."""

ROUNDS = 3
"""Then the bits are used up: what is left, however much, is sorted."""

AT_ONCE = 1 << 16
"""Positions taken together, so that what is computed for them stays in the processor's cache."""


def repeated(hashes: npt.NDArray[np.uint64], rounds: int = ROUNDS) -> npt.NDArray[np.intp]:
    """Positions that name each hash occurring more than once at least once, and no other hash.

    >>> bool(len(repeated(np.array([3, 5, 4], dtype=np.uint64))))
    False
    >>> hashes = np.array([3, 5, 3], dtype=np.uint64)
    >>> set(hashes[repeated(hashes)].tolist())
    {3}
    """
    if len(hashes) <= FEW or not rounds:
        order = np.argsort(hashes)
        twins: npt.NDArray[np.intp] = order[1:][hashes[order[1:]] == hashes[order[:-1]]]
        return twins
    bits = min(len(hashes).bit_length() + 1, 24)
    last = np.empty(1 << bits, dtype=np.int32 if len(hashes) <= np.iinfo(np.int32).max else np.int64)
    for positions, slots in _slots(hashes, bits, last.dtype):
        last[slots] = positions
    found, rest = [], []
    for positions, slots in _slots(hashes, bits, last.dtype):
        holder = last.take(slots)
        lost = np.flatnonzero(holder != positions)
        loser = positions[lost]
        found.append(loser[hashes[loser] == hashes[holder[lost]]])
        rest.append(loser)
    losers = np.concatenate(rest)
    again = repeated(hashes[losers] << np.uint64(bits) | hashes[losers] >> np.uint64(64 - bits), rounds - 1)
    return np.concatenate([*found, losers[again]])


def _slots(hashes: npt.NDArray[np.uint64], bits: int, counted: np.dtype[Any]) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.int64]]]:
    for start in range(0, len(hashes), AT_ONCE):
        block = hashes[start : start + AT_ONCE]
        yield np.arange(start, start + len(block), dtype=counted), (block >> np.uint64(64 - bits)).view(np.int64)
