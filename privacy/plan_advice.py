"""What to change in a declaration before anything is collected: a list of `{code, measure, path, text}`, each with the number behind it.

Advice rests on the declaration and on the traffic that is assumed, never on data. Nothing is changed by it and nothing depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from privacy import choosing
from privacy.outlook import Outlook, Traffic, each
from privacy.plan_needs import BASE_RATES, cell_sd, detectable, policy_needs
from privacy.plan_words import Advice, advice, cells, count, exact, lasting, percent, span
from tacit.core.declaration import BLOCK, Dimension, Kind, Site

LOWEST_BOUND, HIGHEST_BOUND = 5, 20
"""Bounds on one person's events between which shares were estimated best, over 1,000 keys of very different sizes at epsilon 1."""

BEST = f"Bounds of {LOWEST_BOUND} to {HIGHEST_BOUND} did best. Read shares, not totals: what is over the bound is left out."

CLEAR = 10
"""An epoch's count is clear where it is expected to be so many standard deviations of its noise: an error of 10 %."""

VISIBLE = 2
"""Below so many standard deviations a single window's cell says nothing."""

WORTH, NEGLIGIBLE = 1.25, 100
"""Correlated noise is suggested from so many times less error on, unless an epoch's count is so many times its noise as it is."""

KEPT = 0.8
"""Part of its gain that correlated noise should keep when people may appear in several windows."""

PATIENCE = 30
"""Epochs after which an audit should be able to tell its own limit."""

EVENTS = (Kind.COUNT, Kind.SUM, Kind.TRANSITIONS, Kind.KEYS)
SUMMABLE = (Kind.COUNT, Kind.PEOPLE, Kind.SUM, Kind.TRANSITIONS)
"""Kinds that may declare `over_time`."""


def advise(site: Site, outlooks: list[Outlook], traffic: Traffic) -> list[Advice]:
    """The site's advice first, then each measure's in the order of the declaration. `measure` is None for the site's."""
    found = [*_unused(site), *_short_windows(site, outlooks)]
    for one in outlooks:
        if one.plan is None:
            text = "Its share buys no noise at all, so it is never released: raise `share`."
            found.append(_about(one, "share-too-small", "share", text))
            continue
        found += [*_caps(one, traffic), *_cells(one), *_over_time(site, one), *_several_windows(one)]
        found += [*_learning(site, one, traffic), *_detecting(site, one, traffic)]
    return [line | {"path": f"sites.{site.name}.{line['path']}".rstrip(".")} for line in found]


def _unused(site: Site) -> Iterator[Advice]:
    left = 1 - sum((m.share for m in site.measures), Decimal(0))
    if 0 < left < 1:
        text = (
            f"{exact(left)} of the budget is given to nothing. Divided among what is declared, it would make every standard deviation "
            f"{percent(1 - math.sqrt(1 - left))} smaller. Keep it if you mean to add a measure later: a changed share is a new measure."
        )
        yield advice("share-unused", "", text)


def _short_windows(site: Site, outlooks: list[Outlook]) -> Iterator[Advice]:
    """Independent noise whose single windows say nothing at this traffic, although longer windows would."""
    blurred = [o for o in outlooks if o.plan and o.strategy is None and o.measure.cells and o.windows > 1]
    blurred = [o for o in blurred if _cell(o) / o.windows < VISIBLE * o.sd()]
    if not blurred:
        return
    one = min(blurred, key=lambda o: _cell(o) / o.sd())
    parts = [n for n in range(one.windows, 0, -1) if one.windows % n == 0]
    fits = next((n for n in parts if _cell(one) / n >= VISIBLE * one.sd()), 1)
    seen = "would show them" if _cell(one) / fits >= VISIBLE * one.sd() else "would not show them yet"
    less, names = math.sqrt(one.windows / fits), ", ".join(o.measure.name for o in blurred)
    text = (
        f"At this traffic a window of {lasting(site.privacy.window_ms)} holds {count(_cell(one) / one.windows)} in a cell of "
        f"{one.measure.name} against noise of {count(one.sd())}: single windows of {names} say nothing. "
        f"Windows of {lasting(site.privacy.epoch_ms // fits)} {seen}, and an epoch's sum would have {less:.1f} times less noise."
    )
    yield advice("window-short", "privacy.window", text)


def _caps(one: Outlook, traffic: Traffic) -> Iterator[Advice]:
    """Bounds on what one person adds: what a wide cell costs, and the range that did best for events."""
    bounds = one.measure.bounds
    if one.measure.kind not in EVENTS:
        return
    flat = one.instead(bounds=replace(bounds, per_cell=1)).sigma
    if bounds.per_cell > 1 and flat < one.sigma:
        text = (
            f"`per_cell: {bounds.per_cell}` lets one person put so many into one cell. With `per_cell: 1` the noise is "
            f"{one.sigma / flat:.1f} times smaller; a cell then counts a person once in a window."
        )
        yield _about(one, "cap-per-cell", "per_cell", text)
    if bounds.per_window > HIGHEST_BOUND:
        lower = one.instead(bounds=replace(bounds, per_window=HIGHEST_BOUND, per_cell=min(bounds.per_cell, HIGHEST_BOUND))).sigma
        text = (
            f"`per_window: {bounds.per_window}` makes noise for the few who do so much. With {HIGHEST_BOUND} it is {one.sigma / lower:.1f} "
            f"times smaller. {BEST}"
        )
        if lower < one.sigma:
            yield _about(one, "cap-high", "per_window", text)
    counted = each(one.measure, one.windows, traffic.contributions)
    if bounds.per_window < LOWEST_BOUND and counted < traffic.contributions:
        better = min(HIGHEST_BOUND, max(LOWEST_BOUND, round(traffic.contributions)))
        wider = one.instead(bounds=replace(bounds, per_window=better))
        would = each(wider.measure, one.windows, traffic.contributions)
        text = (
            f"Of {count(traffic.contributions)} contributions of a person {count(counted)} are counted. `per_window: {better}` would "
            f"count {count(would)}, with {wider.sigma / one.sigma:.1f} times the noise. {BEST}"
        )
        if would > counted:
            yield _about(one, "cap-low", "per_window", text)


def _cells(one: Outlook) -> Iterator[Advice]:
    """Cells whose expected count of an epoch is not clear of its noise, and how many cells would be."""
    measure = one.measure
    if measure.kind in (Kind.POLICY, Kind.AUDIT, Kind.KPI) or not measure.cells:
        return
    noise = cell_sd(one, one.windows)
    fine = math.floor(one.expected / (CLEAR * noise))
    if fine >= measure.cells:
        return
    if fine < 1:
        remedy = f"Even a single cell would not be: that takes {count(CLEAR * noise / one.expected)} times the people, or a larger share."
    elif measure.kind is Kind.CHOICES:
        remedy = "Its cells are fixed: it takes more people or a larger share."
    else:
        remedy = _merge(measure.dimensions, fine, "clear of it")
    place = f" to each of {cells(measure.cells)}" if measure.cells > 1 else ""
    head = f"An epoch brings {count(_cell(one))}{place}, less than {CLEAR} times the noise of {count(noise)}. "
    yield _about(one, "cells-small", "by" if measure.dimensions else "", head + remedy)


def _over_time(site: Site, one: Outlook) -> Iterator[Advice]:
    """What correlated noise would bring to the sums of a measure that does not ask for it."""
    measure = one.measure
    if measure.over_time != "none" or measure.kind not in SUMMABLE or one.windows < 2:
        return
    if _cell(one) >= NEGLIGIBLE * cell_sd(one, one.windows):
        return
    better = one.instead(over_time="prefix", block=min(measure.block, BLOCK))
    gain = cell_sd(one, one.windows) / cell_sd(better, one.windows)
    if better.strategy is None or gain < WORTH:
        return
    block = better.strategy.length
    longer = cell_sd(one, block) / cell_sd(better, block, 0)
    text = (
        f"Where sums over many windows are read, `over_time: prefix` makes an epoch's sum {gain:.1f} times less noisy and that of a block "
        f"of {block} windows ({span(block * site.privacy.window_ms)}) {longer:.1f} times. Its price: a single "
        f"window is {better.sd() / one.sd():.1f} times noisier, and {better.strategy.remembers * measure.length:,} secret numbers are kept "
        "until the block ends."
    )
    yield _about(one, "over-time-prefix", "over_time", text)


def _several_windows(one: Outlook) -> Iterator[Advice]:
    """What it costs correlated noise that a person may appear in several windows."""
    measure, several = one.measure, one.measure.bounds.windows
    if measure.over_time == "none" or several == 1:
        return
    alone, now = (_gain(measure.over_time, windows, measure.block) for windows in (1, several))
    if now < KEPT * alone:
        text = (
            f"Correlated noise makes these sums {alone:.1f} times less noisy than independent noise where a person appears in one window "
            f"of an epoch, but {now:.1f} times with `windows: {several}`. Lower `windows` if fewer windows of a person are enough."
        )
        yield _about(one, "windows-many", "windows", text)


def _learning(site: Site, one: Outlook, traffic: Traffic) -> Iterator[Advice]:
    """A policy in whose cells noise outweighs the rewards that can be expected, in an epoch or in a whole block."""
    if one.measure.kind is not Kind.POLICY:
        return
    rate = BASE_RATES[-1]
    needs = policy_needs(one, site.policies.get(one.measure.subject_of), traffic.people_in_epoch(site))["horizon"]
    factor, people = needs["noise_factor"][str(rate)], needs["people_per_epoch"][str(rate)]
    if factor <= 2:
        return
    context = one.measure.dimensions[:-2]
    fine = math.floor(math.prod(d.size for d in context) / (factor - 1))
    remedy = f"{_merge(context, fine, 'enough')} Or" if fine >= 1 else "Even one cell of context would have too few. It takes"
    longer, time = "" if one.strategy else " longer windows,", span(one.horizon * site.privacy.window_ms)
    text = (
        f"At this traffic and a reward rate of {percent(rate)} noise outweighs the rewards of {time} in each cell and arm: learning takes "
        f"{count(factor)} times the data. {remedy} fewer arms,{longer} a larger share, or {count(people)} people an epoch for a cost below "
        "10 %."
    )
    yield _about(one, "policy-cannot-learn", "context" if context else "", text)


def _detecting(site: Site, one: Outlook, traffic: Traffic) -> Iterator[Advice]:
    """An audit that cannot tell its own limit in a reasonable time."""
    audit = site.audit_of(one.measure)
    if audit is None:
        return
    seen = detectable(one, audit, site.policies.get(audit.policy), traffic.people_in_epoch(site))
    epochs: dict[str, int] = seen["epochs_to_limit"]
    slowest = max(epochs, key=lambda name: epochs[name], default="")
    if epochs.get(slowest, 0) > PATIENCE:
        gap = 100 * min(seen["difference"][slowest], 1)
        text = (
            f"One epoch shows a difference by `{slowest}` of {gap:.0f} points at best; to tell the limit of {100 * audit.limit:g} takes "
            f"about {epochs[slowest]:,} epochs. Fewer groups or arms or a larger share shorten that."
        )
        yield _about(one, "audit-cannot-detect", "groups", text)


def _cell(one: Outlook) -> float:
    """Expected count of a cell in an epoch."""
    return one.expected / one.measure.cells


def _merge(dimensions: Sequence[Dimension], fine: int, enough: str) -> str:
    widest = max(dimensions, key=lambda d: d.size)
    return f"{cells(fine)} would be {enough}: merge values, first of `{widest.name}`, which has {widest.size}."


def _gain(over_time: str, windows: int, length: int) -> float:
    """How many times less error than independent noise; in blocks that are short enough to be looked at quickly."""
    choice = choosing.choose(over_time, windows=windows, length=min(length, BLOCK), bits=20)
    return choice.independent / choice.error


def _about(one: Outlook, code: str, key: str, text: str) -> Advice:
    return advice(code, f"{one.measure.path}.{key}", text, measure=one.measure.name)
