"""The whole demonstration: windows of visitors over HTTP, a closed window and a new bundle after each, then the audit and the account.

The report is what interfaces.md promises; the lift in it is computed from what was decided, so a fault of the front end cannot flatter it.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from rich.console import Console

from tacit import cases
from tacit.core import configuration
from tacit.core.declaration import Site
from tacit.core.errors import Problem
from tacit.demo import summary
from tacit.demo.arrivals import Arrivals, Visitor, arrive
from tacit.demo.client import POLICY, SITE, Newsroom
from tacit.demo.door import Door, Tally
from tacit.demo.progress import bars
from tacit.demo.shopping import go_shopping, leading
from tacit.demo.twin import lift, twin

THREADS = 4
GROUP = 40
"""Visitors that one thread serves before it sends the rest of their events."""
FIRST_BUNDLE_SECONDS = 60.0
FINDINGS_SECONDS = 10.0


def declared() -> Site:
    """The newsroom."""
    return configuration.parse(cases.text(cases.HEADLINE), source=cases.HEADLINE).sites[SITE]


def run(
    base_url: str,
    keys: Mapping[str, Mapping[str, str]],
    *,
    close: Callable[[Sequence[str]], None],
    visitors: int = 20_000,
    windows: int = 8,
    seed: int = 1,
    fair: bool = False,
    data: Path | None = None,
    report: Path,
    scan: Callable[[], None] | None = None,
    shoppers: int | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Drive the service at `base_url` with the keys `app` and `officer` of each site; returns and writes the report.

    `close(sites)` closes their open windows, lets the engine learn and publishes; `scan`, if given, runs the audit after the last window.
    `shoppers` come to each of the shops, an eighth of the visitors if left out.
    Raises `Problem` where the service fails or accepts an event of somebody who opted out.
    """
    started = time.monotonic()
    console = console or Console()
    site = declared()
    policy = site.policies[POLICY]
    arrivals = arrive(visitors, seed=seed, data=data)
    console.print(f"{visitors:,} people come to the newsroom, in {windows} windows. {arrivals.source}", highlight=False)
    door = Door(base_url, keys[SITE], site=SITE, policy=POLICY)
    newsroom = Newsroom(door, arrivals, default_arm=policy.default_arm, fair=fair)
    try:
        total = _arrive(newsroom, door, arrivals.in_windows(windows), close, console)
        if scan is not None:
            scan()
        findings = _findings(door, wait=scan is None and not fair)
        releases = len(door.read_all("/v1/releases", "officer", "releases", site=SITE, limit=1000))
        epsilon = _epsilon(door.read("/v1/budget", "officer", site=SITE))
        bundle = door.bundle() or {}
    finally:
        door.close()
    people = visitors // 8 if shoppers is None else shoppers
    shops = go_shopping(base_url, keys, close=close, people=people, seed=seed, console=console)
    console.print("The newsroom's people once more, with the same learner and without privacy, to see what privacy costs.")
    ours = lift(total.decisions, arrivals, default_arm=policy.default_arm)
    theirs = twin(arrivals, site, policy, windows=windows, seed=seed, fair=fair)
    found: dict[str, Any] = {
        "visitors": visitors,
        "events": {"accepted": total.accepted, "refused": dict(sorted(total.refused.items()))},
        "releases": releases,
        "epsilon": epsilon,
        "lift": {
            "tacit": ours.expected,
            "non_private": theirs.expected,
            "kept": ours.expected / theirs.expected if theirs.expected > 0 else 0.0,
        },
        "findings": findings,
        "cases": {cases.HEADLINE: _headlines(bundle, total, arrivals, ours.expected), **shops},
        "seconds": round(time.monotonic() - started, 1),
    }
    report.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    summary.show(console, found, total, ours=ours, theirs=theirs, arrivals=arrivals, fair=fair, base_url=base_url, report=report)
    if opted_out := total.opted_out_accepted + sum(one["opted_out_accepted"] for one in shops.values()):
        raise Problem(f"{opted_out} events of people who opted out were accepted", next_step="This is a fault of Tacit.")
    return found


def _arrive(
    newsroom: Newsroom, door: Door, parts: Sequence[Sequence[Visitor]], close: Callable[[Sequence[str]], None], console: Console
) -> Tally:
    """Let everybody come, window after window. A terminal sees bars; anything else gets one line a window."""
    total = Tally()
    version = door.wait_for_bundle(newer_than=0, seconds=FIRST_BUNDLE_SECONDS)
    with (
        bars(console) as progress,
        ThreadPoolExecutor(THREADS, thread_name_prefix="newsroom") as pool,
    ):
        everybody = progress.add_task("Visitors", total=sum(len(part) for part in parts))
        for number, people in enumerate(parts, start=1):
            began = time.monotonic()
            groups = [people[i : i + GROUP] for i in range(0, len(people), GROUP)]
            tally = Tally()
            waiting = {pool.submit(newsroom.serve, group): len(group) for group in groups}
            try:
                for done in as_completed(waiting):
                    tally.add(done.result())
                    progress.advance(everybody, waiting[done])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            served = time.monotonic() - began
            # Read again: an hour that ended while people came has published a bundle on its own.
            version = max(version, door.bundle_version())
            close([SITE])
            version = door.wait_for_bundle(newer_than=version)
            total.add(tally)
            refused = sum(tally.refused.values())
            closed = time.monotonic() - began - served
            console.print(
                f"Window {number} of {len(parts)}: {len(people):,} visitors, {tally.accepted:,} events accepted, {refused:,} refused "
                f"({served:.1f} s); closed, learned, bundle {version} published ({closed:.1f} s)",
                highlight=False,
            )
    return total


def _findings(door: Door, *, wait: bool) -> list[dict[str, Any]]:
    """Open findings; with `wait`, a scan by somebody else is given a moment."""
    deadline = time.monotonic() + (FINDINGS_SECONDS if wait else 0.0)
    while True:
        found = door.read_all("/v1/findings", "officer", "findings", site=SITE)
        if found or time.monotonic() >= deadline:
            return found
        time.sleep(0.5)


def _headlines(bundle: Mapping[str, Any], total: Tally, arrivals: Arrivals, reached: float) -> dict[str, Any]:
    """The newsroom's account in the shape of the shops'."""
    site = declared()
    entry = bundle["policies"][POLICY] if bundle else {}
    best = max(arrivals.rates, key=lambda arm: arrivals.rates[arm])
    cells = ["|".join(values) for values in itertools.product(*(d.values for d in site.policies[POLICY].context))]
    return {
        "site": SITE,
        "policy": POLICY,
        "people": len(arrivals.visitors),
        "decisions": len(total.decisions),
        "events": {"accepted": total.accepted, "refused": dict(sorted(total.refused.items()))},
        "rejected": dict(total.rejected),
        "opted_out_accepted": total.opted_out_accepted,
        "lift": reached,
        "learned": {cell: {"best": best, **leading(entry, cell)} for cell in cells},
    }


def _epsilon(answer: Mapping[str, Any]) -> dict[str, float]:
    """Of the epoch that spent most. The promise is for each epoch, and a run over midnight touches two."""
    epochs = [{name: _amount(epoch, name) for name in ("spent", "promised")} for epoch in answer["budget"]]
    return max(epochs, key=lambda epoch: epoch["spent"], default={"spent": 0.0, "promised": 0.0})


def _amount(epoch: Mapping[str, Any], name: str) -> float:
    """Epsilon of one kind, whether the ledger's page groups by quantity or by kind."""
    return float(epoch["epsilon"][name] if "epsilon" in epoch else epoch[name]["epsilon"])
