"""The visitors of the demonstration: what they read, what they allow, and which headline they would click.

Page views and click rates are real where the two data files are there, and otherwise come from the simulator stated below; everything
else about a visitor (consent, age, device) is drawn at the stated rates. One seed gives the same people always. A visitor's luck is
fixed before anybody decides anything, so that two engines can be compared on identical people.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from pathlib import Path

import numpy as np
from numpy.random import Generator

from tacit.core.errors import Problem

PAGES_FILE, TESTS_FILE = "msnbc_visitors.seq.gz", "upworthy_tests.csv"
DEFAULT_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
"""Where the data lie when nobody says: beside the project's folder."""

MEASUREMENT_RATE, PERSONALISATION_RATE, FAIRNESS_RATE = 0.70, 0.62, 0.45
"""How many allow each purpose, independently of each other."""
GPC_RATE = 0.08
"""How many browsers send `Sec-GPC: 1`: whatever these people click in the notice, they are refused."""
FAULT_RATE = 0.40
"""The planted skew: how many visitors of the group below are shown `FAULT_ARM` whatever was decided."""
FAULT_GROUP, FAULT_ARM = "55_plus", "largest"

AGE_BANDS = {"under_35": 0.38, "35_to_54": 0.34, "55_plus": 0.28}
DEVICES = {"mobile": 0.60, "desktop": 0.38, "tablet": 0.02}
"""Tablets are outside the declared domain and become `other`."""
DAYPARTS = {"morning": 0.30, "day": 0.40, "evening": 0.30}

SIMULATED_RATES = {"control": 0.030, "larger": 0.075, "largest": 0.022, "bold": 0.034}
SIMULATED_PAGES_STOP = 0.25
"""After each page a simulated visitor leaves with this probability: four pages on average."""
SIMULATED_PAGES_MOST = 200
SIMULATED_CATEGORIES = {"frontpage": 0.30, "news": 0.20, "local": 0.12, "sports": 0.12, "weather": 0.10, "tech": 0.08, "business": 0.08}

ARMS_BY_RATE = ("larger", "bold", "control", "largest")
"""The places that a real test's headlines take, best first, so that the best arm is neither the default nor the faulty one."""
LEAST_IMPRESSIONS = 5_000


@dataclass(frozen=True, slots=True)
class Visitor:
    """One person and one visit. The `luck` values are uniform in [0, 1)."""

    subject: str
    pages: tuple[str, ...]
    device: str
    daypart: str
    age_band: str
    purposes: Mapping[str, bool]
    gpc: bool
    click_luck: float
    fault_luck: float

    @property
    def counts_for_policy(self) -> bool:
        """Whether this person's trial may be learned from."""
        return self.purposes["personalisation"] and not self.gpc

    def clicks(self, rate: float) -> bool:
        """Whether this person clicks on a headline of this rate."""
        return self.click_luck < rate

    def shown(self, decided: str, *, fair: bool) -> str:
        """The arm on the screen: the decided one, unless the front end's fault strikes."""
        faulty = not fair and self.age_band == FAULT_GROUP and self.fault_luck < FAULT_RATE
        return FAULT_ARM if faulty else decided


@dataclass(frozen=True, slots=True)
class Arrivals:
    """All visitors in order, and the true click rate of each arm."""

    visitors: tuple[Visitor, ...]
    rates: Mapping[str, float]
    real: bool
    source: str
    """Where pages and rates are from, for people."""

    @property
    def uniform_rate(self) -> float:
        """The expected click rate when every arm is shown alike."""
        return math.fsum(self.rates.values()) / len(self.rates)

    def in_windows(self, windows: int) -> list[Sequence[Visitor]]:
        """The visitors in `windows` equal parts, in order."""
        edges = [round(i * len(self.visitors) / windows) for i in range(windows + 1)]
        return [self.visitors[a:b] for a, b in pairwise(edges)]


def arrive(count: int, *, seed: int, data: Path | None = None) -> Arrivals:
    """The first `count` visitors. Without `data`, the default place is tried, then the simulator. Raises `Problem` for a wrong `data`."""
    generator = np.random.default_rng(seed)
    place = data or DEFAULT_DATA
    if all((place / name).is_file() for name in (PAGES_FILE, TESTS_FILE)):
        pages: Sequence[tuple[str, ...]] = list(islice(cycle(_real_pages(place / PAGES_FILE, count)), count))
        rates, test = _real_rates(place / TESTS_FILE)
        source = f"Real page views (MSNBC.com visitors, UCI, CC BY 4.0) and real click rates: {test}. The pairing is made."
        return Arrivals(_people(pages, generator), rates, True, source)
    if data is not None:
        raise Problem(f"the folder lacks {PAGES_FILE} or {TESTS_FILE}", next_step="Name another folder, or none for simulated visitors.")
    pages = _simulated_pages(count, generator)
    stated = ", ".join(f"{arm} {rate:.1%}" for arm, rate in SIMULATED_RATES.items())
    source = (
        f"Simulated visitors, no real data found: {1 / SIMULATED_PAGES_STOP:.0f} pages each on average, made click rates {stated} "
        f"(tacit/demo/arrivals.py states every parameter)."
    )
    return Arrivals(_people(pages, generator), SIMULATED_RATES, False, source)


def _people(pages: Sequence[tuple[str, ...]], generator: Generator) -> tuple[Visitor, ...]:
    count = len(pages)
    devices, dayparts, ages = (_draw(shares, count, generator) for shares in (DEVICES, DAYPARTS, AGE_BANDS))
    luck = generator.random((count, 6)).tolist()
    return tuple(
        Visitor(
            subject=f"visitor-{number:06d}",
            pages=pages[number],
            device=devices[number],
            daypart=dayparts[number],
            age_band=ages[number],
            purposes={
                "measurement": measurement < MEASUREMENT_RATE,
                "personalisation": personalisation < PERSONALISATION_RATE,
                "fairness_audit": fairness < FAIRNESS_RATE,
            },
            gpc=gpc < GPC_RATE,
            click_luck=click,
            fault_luck=fault,
        )
        for number, (measurement, personalisation, fairness, gpc, click, fault) in enumerate(luck)
    )


def _draw(shares: Mapping[str, float], count: int, generator: Generator) -> list[str]:
    labels = list(shares)
    return [labels[i] for i in generator.choice(len(labels), size=count, p=list(shares.values())).tolist()]


def _simulated_pages(count: int, generator: Generator) -> list[tuple[str, ...]]:
    lengths = np.minimum(generator.geometric(SIMULATED_PAGES_STOP, size=count), SIMULATED_PAGES_MOST).tolist()
    categories = iter(_draw(SIMULATED_CATEGORIES, sum(lengths), generator))
    return [tuple(islice(categories, length)) for length in lengths]


def _real_pages(path: Path, count: int) -> Iterator[tuple[str, ...]]:
    """One tuple of category names a visitor, in the order of arrival. The second line names the categories."""
    with gzip.open(path, "rt", encoding="ascii") as lines:
        next(lines)
        names = next(lines).lstrip("% ").split()
        visits = (line.split() for line in lines if not line.startswith("%"))
        for visit in islice((v for v in visits if v), count):
            yield tuple(names[int(number) - 1] for number in visit)


def _real_rates(path: Path) -> tuple[dict[str, float], str]:
    """The four-armed test whose best headline stands out most against the rest of its test, and a sentence about it.

    "Most" is the largest z of a two-proportion test. The rule takes the clearest test on purpose: a few thousand people could not tell
    a typical one apart, with or without privacy.
    """
    tests: dict[str, list[tuple[int, int]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            tests[row["test_id"]].append((int(row["impressions"]), int(row["clicks"])))
    four = {
        name: arms
        for name, arms in tests.items()
        if len(arms) == len(ARMS_BY_RATE) and min(n for n, _ in arms) > 0 and sum(n for n, _ in arms) >= LEAST_IMPRESSIONS
    }
    chosen = max(four, key=lambda name: _standing_out(four[name]))
    rates = sorted((clicks / shown for shown, clicks in four[chosen]), reverse=True)
    by_arm = dict(zip(ARMS_BY_RATE, rates, strict=True))
    stated = ", ".join(f"{arm} {rate:.2%}" for arm, rate in by_arm.items())
    sentence = f"Upworthy headline test {chosen} (CC BY 4.0), the clearest of {len(four):,} tests with four headlines ({stated})"
    return by_arm, sentence


def _standing_out(arms: Sequence[tuple[int, int]]) -> float:
    best = max(arms, key=lambda arm: arm[1] / arm[0])
    shown, clicks = (sum(arm[i] for arm in arms) - best[i] for i in (0, 1))
    pooled = (clicks + best[1]) / (shown + best[0])
    spread = math.sqrt(pooled * (1 - pooled) * (1 / shown + 1 / best[0]))
    return (best[1] / best[0] - clicks / shown) / spread if spread else 0.0
