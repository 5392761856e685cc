"""What has been released, as plain immutable values. A number in here is noisy already: publishing it again costs nothing.

`NoisyCount` is a type of its own, so that mypy objects where an exact count is handed to a room outside the boundary.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NewType

from tacit.core.clock import iso
from tacit.core.declaration import REWARD, Kind, Measure
from tacit.core.evidence import canonical

NoisyCount = NewType("NoisyCount", int)

PICO = 10**12
"""The ledger holds rho in whole units of 1e-12, so that sums are exact."""


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch of arrival time that is released as a whole. It never straddles an epoch."""

    site: str
    start_ms: int
    end_ms: int
    epoch_ms: int


@dataclass(frozen=True, slots=True)
class Mechanism:
    """How the noise was made: `scale` is its standard deviation on a count, `sum_scale` the one on a published sum."""

    name: str = "discrete_gaussian"
    scale: float = 0.0
    sum_scale: float | None = None
    over_time: str = "none"


@dataclass(frozen=True, slots=True)
class Release:
    """One noisy vector for one measure and window: the counts cell by cell and, for a sum, the sums after them."""

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

    def cells(self) -> list[dict[str, Any]]:
        """Every cell as `{by, bin, value, sd}`. A trial's cell is `by` context or group and arm, its bin the reward, `1` or `0`."""
        trials = self.measure.kind in (Kind.POLICY, Kind.AUDIT)
        found = []
        for by, value in zip(self.measure.all_labels, self.vector, strict=False):
            rest = dict(by)
            bin_ = rest.pop(REWARD.name) if trials else "count"
            found.append({"by": rest, "bin": bin_, "value": int(value), "sd": self.mechanism.scale})
        if self.measure.value is not None:
            sums = self.vector[self.measure.cells :]
            for by, value in zip(self.measure.all_labels, sums, strict=True):
                found.append({"by": by, "bin": "sum", "value": int(value), "sd": self.mechanism.sum_scale})
        return found

    def to_json(self) -> dict[str, Any]:
        """The public form, always with the standard deviation beside each value."""
        mechanism: dict[str, Any] = {"name": self.mechanism.name, "scale": self.mechanism.scale, "over_time": self.mechanism.over_time}
        if self.mechanism.sum_scale is not None:
            mechanism["sum_scale"] = self.mechanism.sum_scale
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
        }

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
