"""Sets of vendor IDs, kept as they were encoded. They are checked while they are read and expanded to ranges only when somebody asks.

Bounded: every range, stated or within a bit field, is taken from the string's budget, and the ranges of one set together cover no more IDs
than there are, so that a string cannot say the same vendors over and over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress

from consent.signals.bits import Bits, fibonacci, flags
from consent.signals.errors import Code, SignalInvalid

MAX_VENDOR = 65_535
Range = tuple[int, int]


class VendorSet:
    """Vendor IDs. Equal to another set that has the same IDs, however they were encoded."""

    __slots__ = ("_entries", "_field", "_ranges", "_width")

    def __init__(self, *, field: int = 0, width: int = 0, entries: Sequence[int] = ()) -> None:
        """Either a bit field, vendor 1 first, or entries `first << 16 | last` in any order."""
        self._field, self._width, self._entries = field, width, entries
        self._ranges: tuple[Range, ...] | None = None

    @property
    def ranges(self) -> tuple[Range, ...]:
        """Sorted ranges `(first, last)`, both inclusive; neighbours and overlaps are merged."""
        if self._ranges is None:
            self._ranges = _field_ranges(self._field, self._width) if self._width else _merged(self._entries)
        return self._ranges

    def __contains__(self, vendor: int) -> bool:
        if self._width:
            return 1 <= vendor <= self._width and self._field >> (self._width - vendor) & 1 == 1
        return any(entry >> 16 <= vendor <= entry & 0xFFFF for entry in self._entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VendorSet) and self.ranges == other.ranges

    def __hash__(self) -> int:
        return hash(self.ranges)

    def __repr__(self) -> str:
        return f"VendorSet({list(self.ranges)})"


def vendor_section(bits: Bits, *, read: Callable[[Bits, int], list[int]] | None = None) -> VendorSet:
    """MaxVendorId, IsRangeEncoding and then a bit field or ranges (TCF "Vendor Consent Section"); `read` for other ranges than TCF's."""
    highest = bits.uint(16)
    if bits.flag():
        return VendorSet(entries=(read or fixed_ranges)(bits, highest))
    field = bits.uint(highest)
    bits.budget.take((field & ~(field >> 1)).bit_count())
    return VendorSet(field=field, width=highest)


def fixed_ranges(bits: Bits, highest: int = MAX_VENDOR) -> list[int]:
    """NumEntries and as many single IDs or ranges of 16-bit numbers, none above `highest`."""
    announced = bits.uint(12)
    bits.budget.take(announced)
    text, at, end = bits.text, bits.at, bits.length
    found: list[int] = []
    covered = 0
    for _ in range(announced):
        group = text[at : at + 1] == "1"
        following = at + (33 if group else 17)
        if following > end:
            raise SignalInvalid(Code.TRUNCATED, "the string ends within a range")
        first = int(text[at + 1 : at + 17], 2)
        last = int(text[at + 17 : following], 2) if group else first
        if not 0 < first <= last <= highest:
            raise SignalInvalid(Code.BAD_RANGE, "a range starts at 0, runs backwards or passes the highest vendor")
        covered += last - first + 1
        found.append(first << 16 | last)
        at = following
    bits.at = at
    if covered > MAX_VENDOR:
        raise SignalInvalid(Code.BAD_RANGE, "the ranges cover more vendors than there are")
    return found


def fibonacci_ranges(bits: Bits, highest: int = MAX_VENDOR) -> list[int]:
    """A count and as many offsets or pairs of offsets in Fibonacci coding (GPP "Range (Fibonacci)"), none above `highest`."""
    announced = bits.uint(12)
    bits.budget.take(announced)
    text, at = bits.text, bits.at
    found: list[int] = []
    last = 0
    for _ in range(announced):
        group = text[at : at + 1] == "1"
        offset, at = fibonacci(text, at + 1)
        first = last = last + offset
        if group:
            offset, at = fibonacci(text, at)
            last += offset
        if last > highest:
            raise SignalInvalid(Code.BAD_RANGE, "a range passes the highest number")
        found.append(first << 16 | last)
    bits.at = at
    return found


def _field_ranges(field: int, width: int) -> tuple[Range, ...]:
    """First IDs are set bits without a set bit before them, last IDs those without one after them."""
    every = range(1, width + 1)
    first = compress(every, flags(field & ~(field >> 1), width))
    last = compress(every, flags(field & ~(field << 1), width))
    return tuple(zip(first, last, strict=True))


def _merged(entries: Sequence[int]) -> tuple[Range, ...]:
    merged: list[Range] = []
    start, end = 0, -1
    for entry in sorted(entries):
        first, last = entry >> 16, entry & 0xFFFF
        if first > end + 1:
            if start:
                merged.append((start, end))
            start, end = first, last
        elif last > end:
            end = last
    if start:
        merged.append((start, end))
    return tuple(merged)
