"""Where a property's value lies along one declared dimension: at its label, or in the bin of its number.

Everything outside the domain lies in `other`. A column is compiled to what it adds to the number of a cell, so a cell costs one sum.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tacit.core.declaration import Dimension


@dataclass(frozen=True, slots=True)
class Labels:
    """A list of values: what each label, and everything else, adds to the cell number."""

    name: str
    offsets: Mapping[str, int]
    other: int

    def offset(self, value: object) -> int:
        """What a property's value adds. Labels are texts; whole numbers and booleans count as JSON writes them."""
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int):
            value = str(value)
        return self.offsets.get(value, self.other) if isinstance(value, str) else self.other


@dataclass(frozen=True, slots=True)
class Bins:
    """A number: what its bin `[a, b)` adds to the cell number. The outer bins are open to their sides."""

    name: str
    offsets: Mapping[str, int]
    """Of the bins' own labels, where a device sends those; empty where a text is no number."""
    other: int
    inner: Sequence[float]
    """The borders between bins, so without the first and the last."""
    stride: int

    def offset(self, value: object) -> int:
        """What a property's value adds."""
        if isinstance(value, str):
            return self.offsets.get(value, self.other)
        if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
            return self.other
        return bisect_right(self.inner, value) * self.stride


Column = Labels | Bins


def columns(dimensions: Sequence[Dimension], stride: int = 1, *, bins_by_label: bool = False) -> tuple[Column, ...]:
    """One column a dimension; the last varies fastest, above `stride` cells of what follows.

    `bins_by_label`: a device that answers at random names a bin by its label; it has no number to send.

    >>> depth, = columns([Dimension.binned("depth", (0, 50, 100))])
    >>> [depth.offset(value) for value in (-1, 49.9, 50, 100, "50", None)]
    [0, 0, 1, 1, 2, 2]
    """
    found: list[Column] = []
    for dimension in reversed(dimensions):
        offsets = {label: index * stride for index, label in enumerate(dimension.values)}
        other = len(dimension.values) * stride
        if dimension.edges:
            found.append(Bins(dimension.name, offsets if bins_by_label else {}, other, dimension.edges[1:-1], stride))
        else:
            found.append(Labels(dimension.name, offsets, other))
        stride *= dimension.size
    return tuple(reversed(found))
