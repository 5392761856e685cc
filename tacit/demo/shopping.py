"""The two shops, run: shoppers come over HTTP, devices evaluate triggers, windows close, and what was learned is set beside the truth.

A device reads the published bundle and evaluates the trigger on its own signals with the evaluator that every SDK follows; the service is
asked only where it fired, and is never told why.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console

from adjust import expressions
from tacit import cases
from tacit.core import configuration
from tacit.core.clock import SystemClock, iso
from tacit.core.declaration import HOLDOUT, Policy
from tacit.demo.door import Door, Tally
from tacit.demo.progress import bars
from tacit.demo.shops import SHOPS, Shop, Shopper, even_rate

WINDOWS = 3
THREADS = 4
GROUP = 40


@dataclass
class Day:
    """What happened to one shop's people."""

    people: int = 0
    asked: int = 0
    """Whose trigger fired, or who have none."""
    tally: Tally = field(default_factory=Tally)
    shown: list[tuple[str, str]] = field(default_factory=list)
    """Cell and arm of each decision."""

    def add(self, other: Day) -> None:
        """Add other people of the shop."""
        self.people, self.asked = self.people + other.people, self.asked + other.asked
        self.tally.add(other.tally)
        self.shown += other.shown


def go_shopping(
    base_url: str,
    keys: Mapping[str, Mapping[str, str]],
    *,
    close: Callable[[Sequence[str]], None],
    people: int,
    seed: int,
    console: Console,
) -> dict[str, dict[str, Any]]:
    """Run every shop for `WINDOWS` windows with so many people each; returns the report's part on each case.

    `close(sites)` closes the open windows of these sites, lets the engine learn and publishes. Raises `Problem` where the service fails.
    """
    doors = {shop.site: Door(base_url, keys[shop.site], site=shop.site, policy=shop.policy) for shop in SHOPS}
    everybody = {shop.site: arrivals(shop, people, seed) for shop in SHOPS}
    days = {shop.site: Day() for shop in SHOPS}
    console.print(
        f"{people:,} people come to each of two shops, in {WINDOWS} windows. What they do is supposed (tacit/demo/shops.py).",
        highlight=False,
    )
    try:
        for door in doors.values():
            door.wait_for_bundle(newer_than=0)
        for number in range(WINDOWS):
            began = time.monotonic()
            _window(doors, {site: parts[number] for site, parts in everybody.items()}, days, console)
            # Read now: an hour that ended while people came has published bundles on its own.
            versions = {site: door.bundle_version() for site, door in doors.items()}
            close(list(doors))
            for site, door in doors.items():
                door.wait_for_bundle(newer_than=versions[site])
            accepted = sum(day.tally.accepted for day in days.values())
            console.print(
                f"Shops, window {number + 1} of {WINDOWS}: {accepted:,} events accepted so far; closed, learned, bundles published "
                f"({time.monotonic() - began:.1f} s)",
                highlight=False,
            )
        return {shop.case: _account(shop, days[shop.site], doors[shop.site].bundle()) for shop in SHOPS}
    finally:
        for door in doors.values():
            door.close()


def serve(shop: Shop, policy: Policy, door: Door, entry: Mapping[str, Any], people: Sequence[Shopper]) -> Day:
    """Let these people come: consent, behave, and be shown something where the bundle's trigger fires on their device."""
    fires = expressions.trigger(entry["trigger"]) if entry["trigger"] else None
    day, clock = Day(people=len(people)), SystemClock()
    events: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for shopper in people:
        if any(shopper.purposes.values()):
            door.consent(shopper.subject, shopper.purposes, opted_out=shopper.gpc)
            day.tally.consents += 1
        now_ms = clock.now_ms()
        sent = [(kind, at_ms, dict[str, Any](said)) for kind, at_ms, said in shopper.events(now_ms)]
        if fires is None or fires(shopper.signals()):
            sent.append(("trial", now_ms, _trial(shop, policy, door, shopper, day)))
        events[shopper.gpc] += [
            {"id": f"{shopper.subject}-{number}", "type": kind, "subject": shopper.subject, "at": iso(at_ms), "properties": said}
            for number, (kind, at_ms, said) in enumerate(sent)
        ]
    for opted_out, group in events.items():
        door.send(group, day.tally, opted_out=opted_out)
    return day


def _trial(shop: Shop, policy: Policy, door: Door, shopper: Shopper, day: Day) -> dict[str, Any]:
    context = shopper.context([d.name for d in policy.context])
    decision = door.decide(context)
    cell, arm = str(decision["cell"]), str(decision["arm"])
    day.asked += 1
    day.shown.append((cell, arm))
    rate = shop.rate(cell, policy.default_arm if arm == HOLDOUT else arm)
    return {"policy": shop.policy, "context": context, "arm": arm, "reward": shopper.luck < rate, "bundle": decision["bundle"]}


def _window(doors: Mapping[str, Door], people: Mapping[str, Sequence[Shopper]], days: Mapping[str, Day], console: Console) -> None:
    """One window of all shops at once."""
    with bars(console) as progress, ThreadPoolExecutor(THREADS, thread_name_prefix="shops") as pool:
        waiting = {}
        for shop in SHOPS:
            door, task = doors[shop.site], progress.add_task(shop.site.capitalize(), total=len(people[shop.site]))
            bundle = door.bundle()
            entry = bundle["policies"][shop.policy] if bundle else {"trigger": None}
            for at in range(0, len(people[shop.site]), GROUP):
                group = people[shop.site][at : at + GROUP]
                waiting[pool.submit(serve, shop, declared(shop), door, entry, group)] = (shop.site, task, len(group))
        try:
            for done in as_completed(waiting):
                site, task, size = waiting[done]
                days[site].add(done.result())
                progress.advance(task, size)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def declared(shop: Shop) -> Policy:
    """The policy as its case declares it."""
    return configuration.parse(cases.text(shop.case), source=shop.case).sites[shop.site].policies[shop.policy]


def arrivals(shop: Shop, people: int, seed: int) -> list[list[Shopper]]:
    """A shop's people, window by window; one seed gives the same people always."""
    generator = np.random.default_rng([seed, *shop.site.encode()])
    everybody = [shop.shopper(f"{shop.site}-{number:06d}", generator) for number in range(people)]
    edges = [round(i * people / WINDOWS) for i in range(WINDOWS + 1)]
    return [everybody[a:b] for a, b in pairwise(edges)]


def _account(shop: Shop, day: Day, bundle: Mapping[str, Any] | None) -> dict[str, Any]:
    policy = declared(shop)
    arms = list(policy.arms)
    counted = [(cell, policy.default_arm if arm == HOLDOUT else arm) for cell, arm in day.shown]
    even = fmean(even_rate(shop, cell, arms) for cell, _ in counted) if counted else 0.0
    reached = fmean(shop.rate(cell, arm) for cell, arm in counted) if counted else 0.0
    best = shop.best()
    entry = bundle["policies"][shop.policy] if bundle else {}
    return {
        "site": shop.site,
        "policy": shop.policy,
        "people": day.people,
        "decisions": day.asked,
        "events": {"accepted": day.tally.accepted, "refused": dict(sorted(day.tally.refused.items()))},
        "rejected": dict(Counter(day.tally.rejected)),
        "opted_out_accepted": day.tally.opted_out_accepted,
        "lift": reached / even - 1 if even else 0.0,
        "learned": {cell: {"best": best[cell], **leading(entry, cell)} for cell in best},
    }


def leading(entry: Mapping[str, Any], cell: str) -> dict[str, Any]:
    """The arm that a bundle's entry gives most of a cell to, and its weight.

    >>> leading({"order": {"arms": ["a", "b"]}, "weights": {"x": [13107, 65535]}, "default": [32767, 65535]}, "x")
    {'arm': 'b', 'weight': 0.8}
    """
    if not entry:
        return {"arm": None, "weight": None}
    cumulative = entry["weights"].get(cell, entry["default"])
    shares = [(high - low) / 65535 for low, high in pairwise([0, *cumulative])]
    at = max(range(len(shares)), key=lambda i: shares[i])
    return {"arm": entry["order"]["arms"][at], "weight": round(shares[at], 4)}
