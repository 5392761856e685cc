"""Where people stand in a draw, as bytes: the first four of a SHA-256 decide, so whole digests are compared and never turned into numbers.

A line is `name kind \\0 place \\0 unit`, where kind is empty for arms and `:holdout`, `:rollout` or `:namespace` for gates, and place is
the bundle's salt for arms and the site for gates: what opens or closes a gate does not change between bundles, arms do each epoch.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Protocol

SPAN = 1 << 32
"""A share `s` of people are those below `floor(s * 2^32)`."""

ONE = 65535
"""What stands for probability 1 in cumulative weights."""

BEYOND = b"\xff" * 33
"""Above every digest."""


class Line(Protocol):
    """A hash that has taken everything before the unit."""

    def update(self, data: bytes, /) -> None:
        """Take the unit."""
        ...

    def digest(self) -> bytes:
        """Where the unit stands."""
        ...


Draw = Callable[[], Line]


def line(name: str, place: str, kind: str = "") -> Draw:
    """What gives a fresh copy of a line for every unit."""
    return hashlib.sha256(f"{name}{kind}\0{place}\0".encode()).copy


def encoded(unit: str) -> bytes:
    """A unit's bytes: UTF-8, with surrogates that stand alone written like other letters (WTF-8)."""
    try:
        return unit.encode()
    except UnicodeEncodeError:
        return unit.encode("utf-8", "surrogatepass")


def anywhere() -> bytes:
    """Where somebody without a unit stands, this one time."""
    return random.getrandbits(32).to_bytes(4, "big")


def border(number: int) -> bytes:
    """What is compared with a digest to tell whether its number is below `number`."""
    return number.to_bytes(4, "big") if number < SPAN else BEYOND


def part(share: float) -> bytes:
    """The border of a share of people."""
    return border(int(share * SPAN))


def steps(cumulative: Sequence[int]) -> list[bytes]:
    """Borders between arms: arm i is the first with floor(x * 65535 / 2^32) < cumulative[i].

    That is x < ceil(cumulative[i] * 2^32 / 65535), because cumulative weights are whole numbers.
    """
    return [border(-(-one * SPAN // ONE)) for one in cumulative]
