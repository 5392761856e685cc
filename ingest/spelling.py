"""Values that nobody declared: their normal form, the number that stands for one in a row, and the rows that spell it out.

A row has room for 64 bits of a keyed hash and none for a text. The text lies in rows of its own beside the counted ones, sealed like them
and as short-lived: 24 bytes in the place of the person, `m` the number, `measure` -1 less the measure's id, `cell` the number of the piece,
`value` the length of the whole in bytes. Numbers hang on the window key and the measure: equal texts of two windows have nothing in common.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Iterable, Mapping

from ingest.rows import PACKING
from tacit.core.mac import Mac, derive

PIECE = 24
"""Bytes of text in one row: the room of `p1`, `p2` and `h`."""

LIMIT = 100_000
"""Numbers that a process remembers to have spelled in one window: about 9 MB. Beyond that it starts anew and spells some twice."""

_NUMBER = struct.Struct("<Q")
_HALVES = struct.Struct("<Ii")
_MEASURE = struct.Struct("<q")

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
"""Unicode's control characters without those that are white space too."""

_SHRINKS = 4
"""Composing makes at most four characters one (U+1F82 is the longest), and lower case takes none away."""


def normal_form(value: object, max_bytes: int) -> bytes | None:
    """The UTF-8 of a text in composed form and lower case, each run of white space one space, none at the ends. None if it cannot be used.

    >>> normal_form("  Privacy\\t FIRST ", 128)
    b'privacy first'
    >>> normal_form("cafe\\u0301", 5) == normal_form("CAF\\u00c9", 5) == "café".encode()
    True
    """
    if not isinstance(value, str) or _CONTROL.search(value):
        return None
    text = " ".join(value.split())
    if len(text) > _SHRINKS * max_bytes:
        return None  # it cannot come to fit, and composing a long run of marks takes quadratic time
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = unicodedata.normalize("NFC", text.lower())  # lower case has forms that capitals have not: free for what is composed already
    try:
        content = text.encode()
    except UnicodeEncodeError:
        return None
    return content if 0 < len(content) <= max_bytes else None


class Speller:
    """One window's numbers, and which of them this process has spelled already."""

    __slots__ = ("_mac", "_spelled")

    def __init__(self, window_key: bytes) -> None:
        self._mac = Mac(derive(window_key, "undeclared values"))
        self._spelled: set[bytes] = set()

    def number(self, measure_id: int, text: bytes) -> bytes:
        """The 8 bytes that stand for a text in normal form, little-endian."""
        return self._mac.digest(_MEASURE.pack(measure_id) + text)[: _NUMBER.size]

    def halves(self, measure_id: int, text: bytes, spelled: dict[bytes, bytes]) -> tuple[int, int]:
        """Cell and value of a counted row. What is to be spelled for the first time is added to `spelled`: packed rows by number."""
        number = self.number(measure_id, text)
        if number not in self._spelled and number not in spelled:
            spelled[number] = spell(measure_id, number, text)
        cell, value = _HALVES.unpack(number)
        return cell, value

    def remember(self, numbers: Iterable[bytes]) -> None:
        """These have been staged."""
        if len(self._spelled) >= LIMIT:
            self._spelled = set()
        self._spelled.update(numbers)

    def forget(self) -> None:
        """What was staged may be lost."""
        self._spelled = set()


def spell(measure_id: int, number: bytes, text: bytes) -> bytes:
    """The packed rows of one text, in order."""
    pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
    return b"".join(PACKING.pack(p[:16], p[16:], number, -1 - measure_id, nth, len(text)) for nth, p in enumerate(pieces))


def read(rows: bytes) -> Mapping[int, Mapping[int, str]]:
    """The texts in packed spelling rows, by measure and number. Of two texts with one number the smaller; of a part of one nothing.

    The rows of one spelling stand together and in order: they were staged by one call.
    """
    found: dict[int, dict[int, str]] = {}
    begun: tuple[bytes, int, int] | None = None
    text = b""
    for head, tail, number, measure, nth, length in PACKING.iter_unpack(rows):
        if nth == 0:
            begun, text = (number, measure, length), b""
        if begun != (number, measure, length) or len(text) != nth * PIECE:
            begun = None
            continue
        text += head + tail
        if len(text) >= length:
            begun = None
            whole, (key,) = text[:length].decode(), _NUMBER.unpack(number)
            names = found.setdefault(-1 - measure, {})
            names[key] = min(whole, names.get(key, whole))
    return found
