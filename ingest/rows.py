"""The one form in which anything of an event is kept: 48 bytes without an identifier, a time or a property.

Pseudonym, order key and message hash are keyed per purpose or window, so rows of two purposes have no value in common, and nothing a
client chooses can meet another person's rows. A negative measure marks a row that counts nothing: it spells out, beside the counted rows,
a text that a site counts without having declared it (`ingest.spelling`).
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
SIGN_AT, SIGN = 39, 0x80
"""The highest byte of `measure`, and the bit in it that makes it negative."""


@cache
def dtype() -> np.dtype[Any]:
    """The rows as a numpy structure. numpy is loaded here because a web process never asks."""
    import numpy as np

    made = np.dtype(list(FIELDS))
    if made.itemsize != SIZE:
        raise AssertionError("the row layouts differ")
    return made


def messages(rows: bytes | bytearray) -> set[bytes]:
    """The message hashes in packed rows that count, without numpy."""
    return {bytes(rows[at + MESSAGE_AT : at + MESSAGE_END]) for at in range(0, len(rows), SIZE) if not rows[at + SIGN_AT] & SIGN}
