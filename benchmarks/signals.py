"""Decoding signals on one core: ordinary TCF strings for what the gate needs, and the worst that fits into 64 KiB."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from random import Random

from benchmarks.result import Result
from consent.signals import answers, mapping, tcf
from tests.consent.signals.encoder import Tc, flags, uint
from tests.consent.signals.hostile import hostile

VENDORS, STRINGS, ROUNDS = 1_000, 2_000, 7
NOW_MS = 1_795_478_400_000  # 24 November 2026


def run() -> Iterator[Result]:
    """The decoders' lines."""
    random = Random(20261124)
    strings = [_ordinary(random) for _ in range(STRINGS)]
    rate = STRINGS / _seconds(lambda: _gate(strings))
    what = f"TCF strings/s for the gate, {VENDORS:,} vendors, {statistics.mean(map(len, strings)):.0f} characters"
    yield Result(what, f"{rate:,.0f}", ">= 20,000", rate >= 20_000)
    some = [{"tcf": text} for text in strings[:200]]
    yield Result("  the same with all vendor lists expanded, as JSON", f"{len(some) / _seconds(lambda: _answer(some)):,.0f}")
    worst, name = max((_seconds(lambda asked=asked: _answer([asked])), name) for name, asked in hostile(random))  # type: ignore[misc]
    yield Result("the costliest hostile input of up to 64 KiB, as JSON", f"{worst * 1000:.1f} ms", "<= 20 ms", worst <= 0.020)
    yield Result("  which is", name)


def _gate(strings: Iterable[str]) -> None:
    for text in strings:
        mapping.from_tcf(tcf.decode(text), now_ms=NOW_MS, device_id=True)


def _answer(asked: Iterable[dict[str, str]]) -> None:
    for one in asked:
        json.dumps(answers.answer(one, now_ms=NOW_MS))


def _seconds(work: Callable[[], None]) -> float:
    """The best of several rounds: what else the machine does is not what is measured."""
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def _ordinary(random: Random) -> str:
    """A string as a platform with about a thousand vendors on its list makes it today."""
    listed = [number for number in range(1, 1_400) if random.random() < VENDORS / 1_400]
    made = Tc(created_ms=NOW_MS - NOW_MS % 86_400_000, updated_ms=NOW_MS - NOW_MS % 86_400_000, policy=5, consents=list(range(1, 12)))
    made.vendor_consents = _field([number for number in listed if random.random() < 0.9])
    made.vendor_interests = _field([number for number in listed if random.random() < 0.4])
    made.others = [("vendorsDisclosed", "001" + _field(listed)), ("publisherTC", "011" + "0" * 54)]
    return made.text()


def _field(numbers: list[int]) -> str:
    return uint(numbers[-1], 16) + "0" + flags(numbers, numbers[-1])
