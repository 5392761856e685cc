"""The one form in which anything of an event is kept: 48 bytes without an identifier, a time or a property.

Pseudonym, order key and message hash are keyed per purpose or window, so rows of two purposes have no value in common, and nothing a
client chooses can meet another person's rows.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

PACKING = struct.Struct("<16s8s8sqIi")
"""Packs whole digests: `s` keeps the first bytes of each."""

SIZE = PACKING.size
FIELDS = (("p1", "<u8"), ("p2", "<u8"), ("h", "<i8"), ("m", "<u8"), ("measure", "<i8"), ("cell", "<u4"), ("value", "<i4"))
MESSAGE_AT, MESSAGE_END = 24, 32
"""Where the message hash `m` lies in a row."""


@cache
def dtype() -> np.dtype[Any]:
    """The rows as a numpy structure. numpy is loaded here because a web process never asks."""
    import numpy as np

    made = np.dtype(list(FIELDS))
    if made.itemsize != SIZE:
        raise AssertionError("the row layouts differ")
    return made


def messages(rows: bytes | bytearray) -> set[bytes]:
    """The message hashes in packed rows, without numpy."""
    return {bytes(rows[at + MESSAGE_AT : at + MESSAGE_END]) for at in range(0, len(rows), SIZE)}
