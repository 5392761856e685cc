"""What has been released, as plain immutable values. A number in here is noisy already: publishing it again costs nothing.

`NoisyCount` is a type of its own, so that mypy objects where an exact count is handed to a room outside the boundary.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NewType

from privacy.local import debiased
from privacy.strategy import Strategy, spread
from tacit.core.clock import iso
from tacit.core.declaration import REWARD, Kind, Measure
from tacit.core.evidence import canonical

NoisyCount = NewType("NoisyCount", int)

PICO = 10**12
"""The ledger holds rho in whole units of 1e-12, so that sums are exact."""

ATTO = 10**18
"""And delta in whole units of 1e-18."""


GAUSSIAN, THRESHOLD = "discrete_gaussian", "discrete_gaussian_threshold"


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch of arrival time that is released as a whole. It never straddles an epoch."""

    site: str
    start_ms: int
    end_ms: int
    epoch_ms: int


@dataclass(frozen=True, slots=True)
class Mechanism:
    """How the noise was made: `scale` is its standard deviation on a count, `sum_scale` the one on a published sum.

    With correlated noise these are the ones of a row, counted in contributions of the row's own window.
    """

    name: str = GAUSSIAN
    scale: float = 0.0
    sum_scale: float | None = None
    over_time: str = "none"


@dataclass(frozen=True, slots=True)
class Row:
    """Where a release stands in a block of correlated noise. `estimate` is derived from this row and the block's earlier ones."""

    strategy: Strategy
    block: str
    position: int
    estimate: tuple[float, ...]
    state: str = ""
    """Names the secret state that the next row continues from; a random token, empty at the end of a block."""

    @property
    def spread(self) -> float:
        """Standard deviation of an estimate, in standard deviations of a row."""
        return spread(self.strategy, (self.position,))


@dataclass(frozen=True, slots=True)
class Release:
    """One noisy vector for one measure and window: the counts cell by cell and, for a sum, the sums after them.

    With correlated noise `vector` is the block's next strategy row in units of 2^-bits, and `row` says where it stands. For undeclared
    keys `keys` names the entries of the vector, and everything below `threshold` is suppressed.
    """

    id: str
    site: str
    measure: Measure
    window: Window
    mechanism: Mechanism
    rho_pico: int
    vector: tuple[NoisyCount, ...]
    published_ms: int
    usable: bool | None = None
    evidence_index: int | None = None
    row: Row | None = None
    keys: tuple[str, ...] | None = None
    threshold: int | None = None

    @property
    def values(self) -> tuple[float, ...]:
        """The window's own noisy numbers, whatever the mechanism: for correlated noise the estimates."""
        return self.vector if self.row is None else self.row.estimate

    @property
    def sd(self) -> float:
        """Standard deviation of a count among `values`."""
        return self.mechanism.scale * (1.0 if self.row is None else self.row.spread)

    @property
    def sum_sd(self) -> float | None:
        """Standard deviation of a sum among `values`."""
        return None if self.mechanism.sum_scale is None else self.mechanism.sum_scale * (1.0 if self.row is None else self.row.spread)

    def cells(self) -> list[dict[str, Any]]:
        """Every cell as `{by, bin, value, sd}`. A trial's cell is `by` context or group and arm, its bin the reward, `1` or `0`."""
        if self.measure.keys is not None:
            named = zip(self.keys or (), self.vector, strict=True)
            return [{"by": {self.measure.keys.field: key}, "bin": "count", "value": int(value), "sd": self.sd} for key, value in named]
        if self.measure.local_epsilon is not None:
            return self._local_cells(float(self.measure.local_epsilon))
        trials = self.measure.kind in (Kind.POLICY, Kind.AUDIT)
        found = []
        for by, value in zip(self.measure.all_labels, self.values, strict=False):
            rest = dict(by)
            bin_ = rest.pop(REWARD.name) if trials else "count"
            found.append({"by": rest, "bin": bin_, "value": value, "sd": self.sd})
        if self.measure.value is not None:
            sums = self.values[self.measure.cells :]
            for by, value in zip(self.measure.all_labels, sums, strict=True):
                found.append({"by": by, "bin": "sum", "value": value, "sd": self.sum_sd})
        return found

    def _local_cells(self, epsilon: float) -> list[dict[str, Any]]:
        """What devices have randomised is debiased; `reported` is the noisy count of their reports itself."""
        people = debiased(self.values, epsilon, self.sd)
        return [
            {"by": by, "bin": "count", "value": value, "sd": sd, "reported": reported}
            for by, (value, sd), reported in zip(self.measure.all_labels, people, self.values, strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """The public form, always with the standard deviation beside each value."""
        mechanism: dict[str, Any] = {"name": self.mechanism.name, "scale": self.mechanism.scale, "over_time": self.mechanism.over_time}
        if self.mechanism.sum_scale is not None:
            mechanism["sum_scale"] = self.mechanism.sum_scale
        if self.row is not None:
            mechanism["strategy"] = self.row.strategy.to_json()
        more: dict[str, Any] = {}
        if self.row is not None:
            more["row"] = {"block": self.row.block, "position": self.row.position, "values": [int(v) for v in self.vector]}
        if self.threshold is not None:
            more["suppressed"] = {"below": self.threshold}
        return {
            "id": self.id,
            "measure": self.measure.name,
            "window": {"start": iso(self.window.start_ms), "end": iso(self.window.end_ms)},
            "mechanism": mechanism,
            "rho": self.rho_pico / PICO,
            "cells": self.cells(),
            "published_at": iso(self.published_ms),
            "usable": self.usable,
            "evidence": {"index": self.evidence_index},
        } | more

    def digest(self) -> str:
        """SHA-256 over everything that was published, as the evidence log records it."""
        content = {
            "id": self.id,
            "site": self.site,
            "definition": self.measure.definition,
            "window": [self.window.start_ms, self.window.end_ms],
            "mechanism": [self.mechanism.name, self.mechanism.scale, self.mechanism.sum_scale, self.mechanism.over_time],
            "rho_pico": self.rho_pico,
            "vector": packed(self.vector).hex(),
            "published_ms": self.published_ms,
            "row": [self.row.strategy.to_json(), self.row.block, self.row.position] if self.row else None,
            "keys": list(self.keys) if self.keys is not None else None,
            "threshold": self.threshold,
        }
        return hashlib.sha256(canonical(content)).hexdigest()


def packed(vector: Sequence[int]) -> bytes:
    """A vector as little-endian 64-bit integers.

    >>> unpacked(packed((1, -2)))
    (1, -2)
    """
    return struct.pack(f"<{len(vector)}q", *vector)


def unpacked(content: bytes) -> tuple[NoisyCount, ...]:
    """The vector that `packed` wrote."""
    return noisy(struct.unpack(f"<{len(content) // 8}q", content))


def noisy(values: Iterable[int]) -> tuple[NoisyCount, ...]:
    """Mark numbers as noisy. Called where noise has just been added, and where a published vector is read back."""
    return tuple(NoisyCount(v) for v in values)
