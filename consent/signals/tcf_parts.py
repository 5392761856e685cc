"""What the TCF strings of Europe and of Canada have in common: restrictions, the publisher's segment, and segments in any order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.signals.bits import Bits, Budget
from consent.signals.errors import Code, SignalInvalid
from consent.signals.vendors import VendorSet

PURPOSES = 24
NOT_ALLOWED, REQUIRE_CONSENT, REQUIRE_LEGITIMATE_INTEREST = range(3)


@dataclass(frozen=True, slots=True)
class Restriction:
    """What a publisher does not let some vendors do: 0 not allowed, 1 only with consent, 2 only on legitimate interest."""

    purpose: int
    kind: int
    vendors: VendorSet


@dataclass(frozen=True, slots=True)
class PublisherTC:
    """The publisher's own purposes and custom purposes, as sorted numbers. In Canada an implied consent is the legitimate interest."""

    consents: tuple[int, ...]
    legitimate_interests: tuple[int, ...]
    custom_purposes: int
    custom_consents: tuple[int, ...]
    custom_legitimate_interests: tuple[int, ...]


def letters(value: int) -> str:
    """Two letters of six bits each, A = 0.

    >>> letters(4 << 6 | 13)
    'EN'
    """
    first, second = value >> 6, value & 63
    if first > 25 or second > 25:
        raise SignalInvalid(Code.BAD_VALUE, "a language or country code has something else than two letters")
    return chr(65 + first) + chr(65 + second)


def restrictions(bits: Bits, vendors: Callable[[Bits], VendorSet]) -> tuple[Restriction, ...]:
    """NumPubRestrictions and as many records, sorted by purpose and type; each pair of these may stand once."""
    found: dict[tuple[int, int], Restriction] = {}
    for _ in range(bits.uint(12)):
        purpose, kind = bits.fields((6, 2))
        if not 1 <= purpose <= PURPOSES or kind > REQUIRE_LEGITIMATE_INTEREST:
            raise SignalInvalid(Code.BAD_VALUE, "a publisher restriction has an undefined purpose or type")
        if (purpose, kind) in found:
            raise SignalInvalid(Code.DUPLICATE_RESTRICTION, "a purpose is restricted in the same way twice")
        found[purpose, kind] = Restriction(purpose, kind, vendors(bits))
    return tuple(found[key] for key in sorted(found))


def publisher_tc(bits: Bits) -> PublisherTC:
    """The fields of a publisher's segment behind its type."""
    consents, interests, custom = bits.ids(PURPOSES), bits.ids(PURPOSES), bits.uint(6)
    return PublisherTC(consents, interests, custom, bits.ids(custom), bits.ids(custom))


def segments(encoded: Sequence[str], readers: Mapping[int, Callable[[Bits], Any]], budget: Budget, *, triples: bool) -> dict[int, Any]:
    """What the segments behind the core say, by type and in their order; each type may stand once."""
    found: dict[int, Any] = {}
    for one in encoded:
        bits = Bits(one, budget)
        kind = bits.uint(3)
        if kind not in readers:
            raise SignalInvalid(Code.UNKNOWN_SEGMENT, "a segment behind the first has a type that may not stand there")
        if kind in found:
            raise SignalInvalid(Code.DUPLICATE_SEGMENT, "a segment stands twice")
        found[kind] = readers[kind](bits)
        bits.finish(triples=triples)
    return found
