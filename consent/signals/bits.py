"""A bounded reader of base64url-encoded bit strings, the form of TCF strings and GPP sections.

The bits are one integer, so fields are shifts and masks; long runs of entries are read from the same bits as text. No read goes past the
end, and `finish` accepts nothing behind the last field but the zero bits that an encoder needs to fill a character, a byte or three bytes.
"""

from __future__ import annotations

from binascii import a2b_base64
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import compress

from consent.signals.errors import Code, SignalInvalid

MAX_CHARACTERS = 64 * 1024
"""A longer signal is refused unread. Real ones have some hundred characters, a few thousand with publisher restrictions."""

MAX_RANGES = 8_192
"""Ranges in one string: two vendor sets with as many as 12 bits can announce. A string with a thousand vendors has about a thousand."""

_TERMS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1_597, 2_584, 4_181, 6_765, 10_946, 17_711, 28_657, 46_368)

FIBONACCI_BITS = len(_TERMS) + 1
"""The longest Fibonacci code of a number below 2^16: its terms and the closing 1."""

_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")  # RFC 4648 section 5 to section 4; what only section 4 has becomes invalid
_FLAGS = bytes.maketrans(b"01", b"\x00\x01")


class Budget:
    """How many more ranges a string may hold. All its segments and sections draw on one."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_RANGES

    def take(self, ranges: int) -> None:
        """Raises `SignalInvalid` when the string holds more than it may."""
        self.left -= ranges
        if self.left < 0:
            raise SignalInvalid(Code.TOO_MANY_RANGES, f"a string holds more than {MAX_RANGES} ranges")


class Bits:
    """A cursor over one segment of a string; `at` and `length` are in bits."""

    __slots__ = ("_text", "at", "budget", "length", "number")

    def __init__(self, encoded: str, budget: Budget | None = None) -> None:
        if not encoded:
            raise SignalInvalid(Code.EMPTY, "a segment has no characters")
        filling = -len(encoded) % 4
        try:
            octets = a2b_base64(encoded.encode("ascii").translate(_STANDARD) + b"A" * filling, strict_mode=True)
        except ValueError:
            raise SignalInvalid(Code.BAD_ALPHABET, "a character is not in the base64url alphabet") from None
        self.number = int.from_bytes(octets, "big") >> 6 * filling
        self.length = 6 * len(encoded)
        self.at = 0
        self.budget = Budget() if budget is None else budget
        self._text: str | None = None

    @property
    def text(self) -> str:
        """All bits as a text of `0` and `1`."""
        if self._text is None:
            self._text = format(self.number, f"0{self.length}b")
        return self._text

    def uint(self, width: int) -> int:
        """The next `width` bits as a number, most significant bit first."""
        end = self.at + width
        if end > self.length:
            raise SignalInvalid(Code.TRUNCATED, "the string ends within a field")
        self.at = end
        return self.number >> (self.length - end) & (1 << width) - 1

    def fields(self, widths: Sequence[int]) -> list[int]:
        """The next fields of these widths."""
        whole = self.uint(sum(widths))
        values = []
        for width in reversed(widths):
            values.append(whole & (1 << width) - 1)
            whole >>= width
        values.reverse()
        return values

    def flag(self) -> bool:
        """The next bit."""
        return self.uint(1) == 1

    def ids(self, width: int) -> tuple[int, ...]:
        """The next `width` bits as the sorted 1-based positions that are set."""
        return positions(self.uint(width), width)

    def finish(self, *, triples: bool) -> None:
        """Nothing may follow but zero bits up to the end of the character or byte, or with `triples` of the third byte."""
        at, length = self.at, self.length
        if length not in (_up(at, 6), _up(_up(at, 8), 6)) and not (triples and length == _up(at, 24)):
            raise SignalInvalid(Code.TRAILING_DATA, "there is more than the fields and their padding")
        if self.number & (1 << length - at) - 1:
            raise SignalInvalid(Code.BAD_PADDING, "the padding has bits that are not zero")


@lru_cache(maxsize=4096)
def positions(value: int, width: int) -> tuple[int, ...]:
    """The 1-based positions of the set bits of a field, most significant bit first.

    >>> positions(0b1010, 4)
    (1, 3)
    """
    return tuple(compress(range(1, width + 1), flags(value, width)))


def flags(value: int, width: int) -> bytes:
    """A field as one byte, 0 or 1, for each bit."""
    return format(value, f"0{width}b").encode().translate(_FLAGS) if width else b""


def fibonacci(text: str, at: int) -> tuple[int, int]:
    """The Fibonacci-coded number, 1 to 65,535 and more, that begins at `at`, and where the bits behind it begin.

    GPP Consent String Specification, "Fibonacci Encoding".

    >>> [fibonacci(code, 0)[0] for code in ("11", "011", "0011", "1011", "00011")]
    [1, 2, 3, 4, 5]
    """
    end = text.find("11", at, at + FIBONACCI_BITS) + 2
    if end < 2:
        if len(text) - at < FIBONACCI_BITS:
            raise SignalInvalid(Code.TRUNCATED, "the string ends within a field")
        raise SignalInvalid(Code.BAD_RANGE, "a number in a range is above 65,535")
    return _fibonacci_value(text[at : end - 1]), end


def fibonacci_bits(number: int) -> int:
    """How long the Fibonacci code of a number from 1 to 65,535 is.

    >>> [fibonacci_bits(number) for number in (1, 2, 4, 5, 65_535)]
    [2, 3, 4, 5, 24]
    """
    return bisect_right(_TERMS, number) + 1


@lru_cache(maxsize=4096)
def _fibonacci_value(code: str) -> int:
    """The number of a code without its closing 1."""
    return sum(term for term, bit in zip(_TERMS, code, strict=False) if bit == "1")


def _up(bits: int, multiple: int) -> int:
    return -(-bits // multiple) * multiple
