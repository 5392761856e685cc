"""What a measure's numbers will be like, from the declaration alone: its cost as the ledger will charge it, and its noise in one window
and in any sum of windows. The planner's needs and advice are all computed from this.

Costs are whole numbers, the same that the ledger writes. Nothing here has seen an event.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from privacy import accounting
from privacy.accounting import Plan
from privacy.strategy import Strategy, spread
from tacit.core.declaration import Kind, Measure, Site

DAY_MS = 86_400_000

PEOPLE = 10_000
"""People a day, where nobody says otherwise."""

PLACES = 8
"""A sum of windows may lie anywhere in the blocks: so many places are tried, evenly spaced, and the worst one counts."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is expected: `people` a day, spread evenly over windows and cells, each with `contributions` to a measure in an epoch."""

    people: int = PEOPLE
    contributions: float = 1.0

    def people_in_epoch(self, site: Site) -> float:
        """In proportion to the epoch's length: as if nobody came on two days of it."""
        return self.people * site.privacy.epoch_ms / DAY_MS


USUAL = Traffic()
"""What is assumed where nobody says what to expect."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """One measure of a site. `plan` is None where its share cannot buy any noise, so that it is never released."""

    measure: Measure
    windows: int
    """Of an epoch."""
    rho_pico: int
    """What the measure reserves of an epoch, of rho and of delta."""
    delta_atto: int
    plan: Plan | None
    expected: float
    """Contributions that are counted in an epoch, over all cells, at the traffic that is assumed."""

    @property
    def strategy(self) -> Strategy | None:
        """The correlated noise, if it has any."""
        return self.plan.strategy if self.plan else None

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise in a row: `Mechanism.scale`. Infinite where nothing is released."""
        return self.plan.mechanism.scale if self.plan else math.inf

    @property
    def sigma_first(self) -> float:
        """The same in a measure's first block, which is shorter where sums since the start are read; `sigma` is that of whole blocks."""
        if self.plan is None or self.plan.strategy is None or self.measure.over_time != "prefix":
            return self.sigma
        first = accounting.strategy_of(self.measure, min(accounting.FIRST_BLOCK, self.measure.block))
        begun = accounting.plan_with(self.measure, self.plan.rho_pico, first)
        return begun.mechanism.scale if begun else math.inf

    def sd(self, windows: int = 1, start: int | None = None) -> float:
        """Standard deviation of the noise in a cell's sum over so many windows in a row; for one window `Release.sd` at a block's end.

        `start` is the sum's place in a block; without it the worst one counts.
        """
        return self.sigma * reach(self.strategy, windows, start)

    def sum_sd(self, windows: int = 1, start: int | None = None) -> float | None:
        """The same for a sum measure's sums."""
        scale = self.plan.mechanism.sum_scale if self.plan else None
        return None if scale is None else scale * reach(self.strategy, windows, start)

    def independent_sd(self, windows: int) -> float:
        """The same for a count at the same price, if its noise were independent in every window."""
        plain = accounting.plan_with(self.measure, accounting.per_window(self.measure, self.rho_pico), None)
        return plain.count_scale * math.sqrt(windows) if plain else math.inf

    @property
    def horizon(self) -> int:
        """Windows after which the noise of a growing sum weighs least: an epoch's, or a longer block's of correlated noise."""
        return max(self.windows, self.strategy.length) if self.strategy else self.windows

    @property
    def horizon_sd(self) -> float:
        """Standard deviation of the noise in a cell's sum over so many windows, from the beginning of a block where they fill one."""
        whole = self.strategy is not None and self.horizon == self.strategy.length
        return self.sd(self.horizon, 0 if whole else None)

    def instead(self, **changes: object) -> Outlook:
        """The same share and traffic under a measure that is declared otherwise, for comparisons."""
        measure = replace(self.measure, **changes)  # type: ignore[arg-type]  # the named fields of a measure
        plan = accounting.plan_window(measure, accounting.per_window(measure, self.rho_pico))
        return replace(self, measure=measure, plan=plan)

    @property
    def read(self) -> tuple[tuple[str, int, int | None], ...]:
        """The sums over time that can be read: name, number of windows, place in a block if it has one. Undeclared keys do not add up."""
        if self.measure.keys is not None:
            return ()
        sums: list[tuple[str, int, int | None]] = [("epoch", self.windows, None)]
        if self.measure.over_time == "prefix":
            sums.append(("block", self.measure.block, 0))
        elif self.measure.over_time != "none":
            sums.append(("last", int(self.measure.over_time.partition(":")[2]), None))
        return tuple(sums)


def outlook(site: Site, measure: Measure, traffic: Traffic) -> Outlook:
    """One measure of a site under the site's promise."""
    rho, _ = accounting.terms_of(site)
    reserved = accounting.share_of(rho, measure.share)
    delta = accounting.atto(site.privacy.delta * measure.keys.delta_share) if measure.keys else 0
    plan = accounting.plan_window(measure, accounting.per_window(measure, reserved))
    if measure.keys is not None and not accounting.per_window(measure, delta):
        plan = None
    windows = site.privacy.epoch_ms // site.privacy.window_ms
    counted = traffic.people_in_epoch(site) * each(measure, windows, traffic.contributions)
    return Outlook(measure, windows, reserved, delta, plan, counted)


def each(measure: Measure, windows: int, contributions: float) -> float:
    """How many contributions of one person an epoch of so many windows counts, where the person makes `contributions`.

    A policy, its KPIs and an audit count one trial; whoever answers the consent notice answers for every purpose.
    """
    if measure.kind in (Kind.POLICY, Kind.AUDIT, Kind.KPI):
        return 1.0
    bounds = measure.bounds
    room = bounds.per_window if measure.keys else min(bounds.per_window, bounds.per_cell * measure.cells)
    most = room * min(bounds.windows, windows)
    return float(most if measure.kind is Kind.CHOICES else min(contributions, most))


@lru_cache(maxsize=4096)
def reach(strategy: Strategy | None, windows: int, start: int | None = None) -> float:
    """Standard deviation of the sum of so many windows in a row, in standard deviations of a row.

    With independent noise √windows. With correlated noise it depends on where the sum lies in the blocks, whose noises are independent:
    without a `start` the worst of `PLACES` places, the end of a block among them.
    """
    if strategy is None:
        return math.sqrt(windows)
    if start is not None:
        return _across(strategy, start, windows)
    length, movable = strategy.length, min(windows, strategy.length)
    starts = {-math.ceil(movable * place / PLACES) % length for place in range(1, PLACES + 1)}
    return max(_across(strategy, start, windows) for start in starts)


def _across(strategy: Strategy, start: int, windows: int) -> float:
    """The same for a sum that begins at a place in a block and goes on through as many blocks as it needs."""
    first = min(windows, strategy.length - start)
    whole, rest = divmod(windows - first, strategy.length)
    pieces = [(1, range(start, start + first)), (whole, range(strategy.length)), (1, range(rest))]
    return math.sqrt(sum(times * spread(strategy, piece) ** 2 for times, piece in pieces if times and piece))
