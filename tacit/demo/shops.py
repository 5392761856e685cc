"""The two shops of the case library: who comes, what they do on their devices, and the supposed truth that can be learned about them.

The invariant: what the service is told of a person is what a front end would send. Rates and habits stand here and are never sent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from numpy.random import Generator

from tacit import cases

PURPOSES_RATES: Final = {"measurement": 0.80, "personalisation": 0.75}
"""How many allow each purpose, independently of each other."""
GPC_RATE: Final = 0.08
DEVICES: Final = {"mobile": 0.60, "desktop": 0.40}

HESITATION_RATE: Final = 0.60
"""How many change the size filter so often and so quickly that the trigger fires."""
CART_RATES: Final = {
    "mobile": {"nothing": 0.08, "size_table": 0.42, "two_sizes": 0.12},
    "desktop": {"nothing": 0.08, "size_table": 0.12, "two_sizes": 0.48},
}
"""The supposed truth: how many of those who hesitate put something into the cart. Phones and desks need different help.

The differences are larger than a shop would see, so that a few thousand people in a minute can show them through the noise.
"""

CATEGORIES: Final = ("dresses", "shoes", "bags", "coats")
NEXT: Final = {"dresses": "shoes", "shoes": "bags", "bags": "coats", "coats": "dresses"}
"""The supposed truth: where most people go from each category. Overall, all categories are looked at alike."""
NEXT_RATE: Final = 0.60
"""How many of the steps from a category lead there; the others are divided alike, staying included."""
STEPS_STOP, STEPS_MOST = 0.25, 12
"""After each page somebody leaves with this probability."""
CLICK_WANTED, CLICK_OTHER = 0.50, 0.06
"""How many click on a shelf that begins with the category that they want next, and on another."""
SECONDS_A_PAGE: Final = 20


@dataclass(frozen=True, slots=True)
class Shopper:
    """One person and one visit. `luck` is uniform in [0, 1)."""

    subject: str
    purposes: Mapping[str, bool]
    gpc: bool
    device: str
    luck: float
    path: tuple[str, ...] = ()
    """Categories in order; the last is where the shopper is now."""
    filters: tuple[tuple[str, float], ...] = ()
    """Filter changes: which filter, and how many seconds ago."""

    def context(self, keys: Sequence[str]) -> dict[str, str]:
        """What the front end says of these context keys."""
        said = {"device": self.device, "category": self.path[-1] if self.path else ""}
        return {key: said[key] for key in keys}

    def signals(self) -> dict[str, Any]:
        """What the device knows of the shopper's behaviour, in the shape that triggers are evaluated on."""
        return {"events": [{"event": "filter", "field": name, "ago_seconds": ago} for name, ago in self.filters], "shown": []}

    def events(self, now_ms: int) -> Iterator[tuple[str, int, dict[str, str]]]:
        """Type, time and properties of what is sent, beside the trial."""
        for ago, category in enumerate(reversed(self.path)):
            yield "page", now_ms - ago * SECONDS_A_PAGE * 1000, {"category": category}
        for name, seconds in self.filters:
            yield "filter", now_ms - round(seconds * 1000), {"field": name}


class Shop(Protocol):
    """One case: its people, and the truth about them."""

    @property
    def case(self) -> str:
        """Its name in the library; `site` and `policy` are what it declares."""

    @property
    def site(self) -> str: ...

    @property
    def policy(self) -> str: ...

    def shopper(self, subject: str, generator: Generator) -> Shopper:
        """Draw one person."""

    def rate(self, cell: str, arm: str) -> float:
        """The true reward rate of an arm in a context cell."""

    def best(self) -> dict[str, str]:
        """The best arm of each cell that people are in: what is to be learned."""


@dataclass(frozen=True, slots=True)
class Boutique:
    """Size hesitation. Those who do not hesitate change filters too: too slowly, another one, or too seldom."""

    case: str = cases.SIZE
    site: str = "boutique"
    policy: str = "size_help"

    def shopper(self, subject: str, generator: Generator) -> Shopper:
        """A shopper with filter changes of the last ten minutes."""
        if generator.random() < HESITATION_RATE:
            changes = [("size", float(ago)) for ago in generator.uniform(1, 110, size=generator.integers(3, 6))]
        else:
            changes = _undecided_otherwise(generator)
        return _person(subject, generator, filters=tuple(sorted(changes, key=lambda one: -one[1])))

    def rate(self, cell: str, arm: str) -> float:
        """Of putting something into the cart."""
        return CART_RATES[cell][arm]

    def best(self) -> dict[str, str]:
        """The size table on phones, two sizes on desks."""
        return {cell: max(rates, key=lambda arm: rates[arm]) for cell, rates in CART_RATES.items()}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Browsing order."""

    case: str = cases.ORDER
    site: str = "catalogue"
    policy: str = "shelf"

    def shopper(self, subject: str, generator: Generator) -> Shopper:
        """A shopper on a walk through the categories."""
        at = str(generator.choice(CATEGORIES))
        path = [at]
        while len(path) < STEPS_MOST and generator.random() >= STEPS_STOP:
            at = str(generator.choice(CATEGORIES, p=[step_rate(at, to) for to in CATEGORIES]))
            path.append(at)
        return _person(subject, generator, path=tuple(path))

    def rate(self, cell: str, arm: str) -> float:
        """Of clicking on the shelf: who wants what it begins with clicks more often."""
        wanted = step_rate(cell, arm.removesuffix("_first"))
        return wanted * CLICK_WANTED + (1 - wanted) * CLICK_OTHER

    def best(self) -> dict[str, str]:
        """The shelf that begins with what most people look at next."""
        return {at: f"{following}_first" for at, following in NEXT.items()}


SHOPS: Final[tuple[Shop, ...]] = (Boutique(), Catalogue())


def step_rate(at: str, to: str) -> float:
    """The true probability of a step.

    >>> math.isclose(sum(step_rate("bags", to) for to in CATEGORIES), 1)
    True
    """
    return NEXT_RATE if NEXT[at] == to else (1 - NEXT_RATE) / (len(CATEGORIES) - 1)


def even_rate(shop: Shop, cell: str, arms: Sequence[str]) -> float:
    """The reward rate where all arms are shown alike."""
    return math.fsum(shop.rate(cell, arm) for arm in arms) / len(arms)


def _undecided_otherwise(generator: Generator) -> list[tuple[str, float]]:
    match generator.integers(3):
        case 0:
            return [("size", 150.0 * at + float(generator.uniform(0, 20))) for at in range(4)]  # at most two within two minutes
        case 1:
            return [("colour", float(ago)) for ago in generator.uniform(1, 110, size=4)]
        case _:
            return [("size", float(ago)) for ago in generator.uniform(1, 110, size=generator.integers(0, 3))]


def _person(subject: str, generator: Generator, *, path: tuple[str, ...] = (), filters: tuple[tuple[str, float], ...] = ()) -> Shopper:
    purposes = {purpose: bool(generator.random() < rate) for purpose, rate in PURPOSES_RATES.items()}
    device = str(generator.choice(list(DEVICES), p=list(DEVICES.values())))
    return Shopper(subject, purposes, bool(generator.random() < GPC_RATE), device, float(generator.random()), path, filters)
