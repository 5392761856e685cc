"""What a value of a request is worth as a text, a number or a version: the same in every language, and never an error.

A text is itself. A number has the text that ECMAScript writes for it, where all languages agree on that; see docs/evaluation.md.
"""

from __future__ import annotations

import re

from tacit.core.expressions import LARGEST, SMALLEST, VERSION

_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)


def text_of(value: object) -> str | None:
    """The text of a value; None for anything that is neither a text nor a number with one.

    >>> text_of("mobile"), text_of(2), text_of(2.0), text_of(2.5), text_of(True), text_of(1e-9)
    ('mobile', '2', '2', '2.5', None, None)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        return None
    if value == int(value):
        return str(int(value))
    return repr(value) if abs(value) >= SMALLEST else None


def number_of(value: object) -> float | None:
    """A finite number or a plain decimal text as a number; None for anything else.

    >>> number_of(3), number_of("3.50"), number_of("3e2"), number_of(True), number_of(float("nan"))
    (3, 3.5, None, None, None)
    """
    if isinstance(value, str):
        return float(value) if _DECIMAL.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= LARGEST else None


def version_of(value: object) -> tuple[int, ...] | None:
    """One to six whole numbers with points between them; parts that are left out are 0.

    >>> version_of("1.10"), version_of("1.10-beta")
    ((1, 10, 0, 0, 0, 0), None)
    """
    text = text_of(value)
    if text is None or not VERSION.fullmatch(text):
        return None
    parts = [int(part) for part in text.split(".")]
    return tuple(parts + [0] * (6 - len(parts)))
