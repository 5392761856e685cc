"""What the state machine's processes may declare: every mechanism, and enough of it that an epoch cannot hold all of them.

A person is a crowd of ten, and epsilon is so large that noise does not hide one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from tacit.core.declaration import Bounds, Keys, Kind, Measure, PrivacyTerms, Site, ValueRange
from tests.privacy.world import WINDOW, count

CROWD, PEOPLE, CELLS = 10, 5, 3
EPOCHS = (4 * WINDOW, 2 * WINDOW, 8 * WINDOW)
START = 800 * WINDOW

PAGES = count("pages", share="0.15", bounds=Bounds(per_window=2))
OFTEN = count("often", share="0.25", bounds=Bounds(windows=2))
PREFIX = count("prefix", share="0.2", over_time="prefix", block=3)
TWICE = count("twice", share="0.15", over_time="prefix", block=4, bounds=Bounds(windows=2))
DWELL = count("dwell", share="0.25", over_time="sliding:2", block=6, value=ValueRange("seconds", 0, 9))
DEARER = replace(PAGES, share=Decimal("0.25"))
LONGER = replace(PREFIX, block=5)
WORDS = replace(count("words", share="0.05"), kind=Kind.KEYS, dimensions=(), keys=Keys("word", Decimal("0.2")))
SETS: Sequence[tuple[Measure, ...]] = (
    (PAGES, OFTEN, PREFIX, TWICE, DWELL),
    (DEARER, OFTEN, PREFIX, DWELL, WORDS),
    (PAGES, LONGER, TWICE, DWELL),
    (PREFIX, DWELL),
)
ALL = {m.id: m for measures in SETS for m in measures}
SPELLED = {cell: f"word {cell}" for cell in range(CELLS)}


def site_of(measures: tuple[Measure, ...], epsilon: str, epoch_ms: int) -> Site:
    return Site("shop", PrivacyTerms(Decimal(epsilon), Decimal("1e-6"), epoch_ms, WINDOW), "eu", None, measures)
