"""Why a signal is refused. The codes are stable; no detail repeats what was sent."""

from __future__ import annotations

from enum import StrEnum

from tacit.core.errors import InvalidRequest


class Code(StrEnum):
    """The reason, for programs. `docs/signals.md` explains each."""

    BAD_REQUEST = "bad_request"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    BAD_ALPHABET = "bad_alphabet"
    TRUNCATED = "truncated"
    BAD_PADDING = "bad_padding"
    TRAILING_DATA = "trailing_data"
    UNKNOWN_VERSION = "unknown_version"
    UNKNOWN_SEGMENT = "unknown_segment"
    DUPLICATE_SEGMENT = "duplicate_segment"
    UNKNOWN_SECTION = "unknown_section"
    SECTION_COUNT = "section_count"
    BAD_VALUE = "bad_value"
    BAD_RANGE = "bad_range"
    DUPLICATE_RESTRICTION = "duplicate_restriction"
    TOO_MANY_RANGES = "too_many_ranges"


class SignalInvalid(InvalidRequest):
    """A signal that a strict reading refuses. `code` says why; nothing was taken from it."""

    type = "signal-invalid"
    title = "Signal is not valid"
    default_next_step = "Send the string exactly as the consent platform made it; docs/signals.md lists the codes."

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail, code=code.value)
        self.code = code
