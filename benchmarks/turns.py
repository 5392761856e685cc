"""Contestants measured in turns, A B C A B C …: what slows the machine down for a while then slows them all down alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

Contestant = Callable[[], float]
"""Does its job once and answers the seconds that the job took."""


def in_turns(rounds: int, *contestants: Contestant) -> list[list[float]]:
    """The seconds of every contestant, round by round. One more round goes before them, to warm up, and does not count."""
    table = [[contestant() for contestant in contestants] for _ in range(rounds + 1)]
    return [list(seconds) for seconds in zip(*table[1:], strict=True)]


def timed(job: Callable[[], object]) -> Contestant:
    """A contestant out of a job all of which counts."""

    def contestant() -> float:
        started = time.perf_counter()
        job()
        return time.perf_counter() - started

    return contestant


def ratios(seconds: Sequence[float], others: Sequence[float]) -> list[float]:
    """The one divided by the other, round by round."""
    return [one / other for one, other in zip(seconds, others, strict=True)]


def spread(value: float, around: Sequence[float]) -> str:
    """A ratio with the least and the greatest around it, as text.

    >>> spread(2.0, [1.5, 2.0, 4.0])
    '2.00 x (1.50-4.00)'
    """
    return f"{value:.2f} x ({min(around):.2f}-{max(around):.2f})"


def median_ratio(seconds: Sequence[float], others: Sequence[float]) -> tuple[float, str]:
    """The median of the rounds' ratios, and it with the least and the greatest as text."""
    found = ratios(seconds, others)
    middle = statistics.median(found)
    return middle, spread(middle, found)
