"""The running side of correlated noise: turns a window's exact vector into its strategy row and keeps what later rows need.

What is kept is secret: sums of exact counts of the block so far (or its last windows), without any pseudonym or row. It is sealed in the
custody of the keys, for one block of windows, and destroyed with it. All arithmetic is on whole numbers, so that the L2 norm that
`choosing.norm` and `choosing.slack` state holds exactly and not up to floating point.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privacy.strategy import FINE, Strategy

LIMIT = 2**62
"""Rows are clipped to 64 bits with room for noise. Clipping moves two rows no further apart, so it costs no privacy."""

_HEADER = struct.Struct("<4sII")
_MARK = b"TSS1"
_WIDTH = 16
"""Bytes of one kept number."""


@dataclass(frozen=True, slots=True)
class State:
    """What a block remembers: (vectors, cells) whole numbers, buffers in units of 2^-40 or plain counts, newest first."""

    kept: npt.NDArray[np.object_]

    @classmethod
    def empty(cls, strategy: Strategy, cells: int) -> State:
        """Before the first window of a block."""
        return cls(np.zeros((strategy.remembers, cells), dtype=object))

    def packed(self) -> bytes:
        """For custody."""
        numbers = b"".join(int(number).to_bytes(_WIDTH, "little", signed=True) for number in self.kept.ravel())
        return _HEADER.pack(_MARK, *self.kept.shape) + numbers

    @classmethod
    def unpacked(cls, content: bytes) -> State | None:
        """What `packed` wrote; None where it is something else, which counts as lost."""
        if len(content) < _HEADER.size:
            return None
        mark, vectors, cells = _HEADER.unpack_from(content)
        if mark != _MARK or len(content) != _HEADER.size + vectors * cells * _WIDTH:
            return None
        numbers = [int.from_bytes(content[at : at + _WIDTH], "little", signed=True) for at in range(_HEADER.size, len(content), _WIDTH)]
        kept = np.empty(vectors * cells, dtype=object)
        kept[:] = numbers
        return cls(kept.reshape(vectors, cells))

    def fits(self, strategy: Strategy, cells: int) -> bool:
        """Whether this is a state of such a block."""
        return self.kept.shape == (strategy.remembers, cells)


def advance(strategy: Strategy, state: State, exact: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], State]:
    """The window's row in units of 2^-bits, before noise, and the state for the next window."""
    now = exact.astype(object)
    if strategy.buffers:
        weights = np.array([[weight] for weight, _ in strategy.buffers], dtype=object)
        decays = np.array([[decay] for _, decay in strategy.buffers], dtype=object)
        past = (weights * state.kept).sum(0) >> (2 * FINE - strategy.bits)
        kept = ((decays * state.kept) >> FINE) + (now << FINE)
        row = (now << strategy.bits) + past
    else:
        factors = np.array([[factor] for factor in strategy.band], dtype=object)
        newest_first = np.concatenate([now[None, :], state.kept])
        row = (factors * newest_first).sum(0)
        kept = newest_first[:-1]
    return np.minimum(np.maximum(row, -LIMIT), LIMIT).astype(np.int64), State(kept)
