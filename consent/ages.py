"""Whether an age band is that of somebody too young to decide. A band is a label of the site's own; no birthday ever comes here."""

from __future__ import annotations

import re

ADULT = 18

OLDEST = 200

_BELOW = re.compile(r"(?:under|below)_(\d{1,3})")
_BETWEEN = re.compile(r"(\d{1,3})(?:_to_|_|-)(\d{1,3})")
_FROM = re.compile(r"(\d{1,3})(?:_plus|\+|_and_over)")
_CHILDREN = frozenset({"child", "minor", "teen"})


def ages(band: str) -> tuple[int, int] | None:
    """The youngest and the oldest age of a band, or None for a label that says none.

    >>> ages("under_13"), ages("13_to_15"), ages("18-34"), ages("55_plus"), ages("regulars")
    ((0, 12), (13, 15), (18, 34), (55, 200), None)
    """
    text = band.lower()
    if text in _CHILDREN:
        return 0, ADULT - 1
    if match := _BELOW.fullmatch(text):
        return 0, int(match[1]) - 1
    if match := _BETWEEN.fullmatch(text):
        return int(match[1]), int(match[2])
    if match := _FROM.fullmatch(text):
        return int(match[1]), OLDEST
    return None


def too_young(band: str | None, minimum_age: int) -> bool:
    """Whether everybody in the band is a child and some are below the minimum. A band that reaches into adulthood tells too little.

    >>> too_young("under_18", 16), too_young("16_to_17", 16), too_young("under_35", 16), too_young(None, 16)
    (True, False, False, False)
    """
    span = ages(band) if band is not None else None
    return span is not None and span[0] < minimum_age and span[1] < ADULT
