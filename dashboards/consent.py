"""The page Consent: what people chose, as private figures. It reads the measure `consent.choices`, never a consent record."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tacit.core.declaration import PURPOSES, Site

from .charts import IntervalChart, LineChart, Row, Series
from .pages import ConsentPage, Empty, Figure
from .ports import DayRow
from .services import DashboardServices
from .tables import Column, Table, Value
from .words import DAY_MS, READABLE, Z95, Finding, Mark, Verdict, counted, lasting, ms_of, noisy, percent

MEASURE = "consent.choices"
CHOICES = ("granted", "refused", "withdrawn")
PERIODS = (7, 30, 90)

Total = tuple[float, float]
"""A noisy sum and the standard deviation of its noise."""


def totals(days: Iterable[DayRow]) -> dict[tuple[str, str], Total]:
    """Sums over days for each purpose and choice."""
    found: dict[tuple[str, str], Total] = {}
    for one in days:
        for cell in one["cells"]:
            key = (cell["by"].get("purpose", ""), cell["by"].get("choice", ""))
            value, sd = found.get(key, (0.0, 0.0))
            found[key] = (value + cell["value"], math.hypot(sd, cell["sd"]))
    return found


def granted_share(sums: dict[tuple[str, str], Total], purpose: str) -> tuple[float, float, float] | None:
    """Share of grants among grants and refusals as `(low, share, high)` at 95 % of the noise; None where noise hides it."""
    yes, sd = sums.get((purpose, "granted"), (0.0, 0.0))
    no, sd_no = sums.get((purpose, "refused"), (0.0, 0.0))
    asked = yes + no
    if asked <= 0 or asked < READABLE * math.hypot(sd, sd_no):
        return None
    share = min(1.0, max(0.0, yes / asked))
    half = Z95 * math.hypot((1 - share) * sd, share * sd_no) / asked
    return max(0.0, share - half), share, min(1.0, share + half)


def judge(site: Site, days: list[DayRow], period: int) -> Finding:
    """Attention where, beyond the noise, more people withdrew than granted; within limits where surely fewer did, for every purpose."""
    if site.measure(MEASURE) is None:
        return Finding(Verdict.CANNOT_TELL, "This site doesn't count consent choices, so nobody knows whether consent is shrinking.")
    if not days:
        return Finding(Verdict.CANNOT_TELL, f"No consent choices have been released in the last {counted(period, 'day')}.")
    sums = totals(days)
    shrinking, unclear = [], []
    for purpose in PURPOSES:
        granted, sd = sums.get((purpose, "granted"), (0.0, 0.0))
        withdrawn, sd_withdrawn = sums.get((purpose, "withdrawn"), (0.0, 0.0))
        half = Z95 * math.hypot(sd, sd_withdrawn)
        if withdrawn - granted > half:
            shrinking.append(purpose)
        elif granted - withdrawn <= half:
            unclear.append(purpose)
    span = f"in the last {counted(period, 'day')}"
    if shrinking:
        return Finding(Verdict.ATTENTION, f"More people withdrew than granted {span}: {_listed(shrinking)}.")
    if unclear:
        return Finding(Verdict.CANNOT_TELL, f"For {_listed(unclear)} the noise hides whether more people granted than withdrew {span}.")
    return Finding(Verdict.WITHIN, f"For every purpose more people granted than withdrew {span}.")


def _listed(purposes: list[str]) -> str:
    return " and ".join(p.replace("_", " ") for p in purposes)


def consent_page(services: DashboardServices, site: Site, period: int) -> ConsentPage:
    """The page for the last `period` days."""
    now = services.clock.now_ms()
    measure = site.measure(MEASURE)
    days = services.releases.by_day(site.name, MEASURE, from_ms=now - now % DAY_MS - (period - 1) * DAY_MS) if measure else []
    sums = totals(days)
    return ConsentPage(
        path="/consent",
        title="Consent",
        site=site.name,
        finding=judge(site, days, period),
        made_ms=now,
        as_of_ms=min(now, ms_of(days[-1]["start"]) + DAY_MS) if days else None,
        figures=tuple(
            Figure(purpose.replace("_", " ").capitalize(), *_share_words(granted_share(sums, purpose))) for purpose in PURPOSES if days
        ),
        charts=(_chosen(sums, period), _trend(days, now, period)) if days else (),
        empty=None if days else _empty(site),
        days=period,
        choices=PERIODS,
    )


def _share_words(share: tuple[float, float, float] | None) -> tuple[str, str]:
    if share is None:
        return "—", "too noisy to show"
    low, _, high = share
    places = 0 if high - low > 0.02 else 1
    return f"{percent(low, places).removesuffix(' %')} to {percent(high, places)}", "of those asked granted it"


def _empty(site: Site) -> Empty:
    what = "Grants, refusals and withdrawals for each purpose, and the share of grants day by day."
    if site.measure(MEASURE) is None:
        return Empty(
            what, "Give `consent_choices` a share of the budget in tacit.yaml, for example `consent_choices: {share: 0.05}`, and restart."
        )
    return Empty(what, f"Record choices with POST /v1/consents; figures appear after the next window ({lasting(site.privacy.window_ms)}).")


def _chosen(sums: dict[tuple[str, str], Total], period: int) -> IntervalChart:
    rows: list[Row] = []
    cells: list[tuple[Value, ...]] = []
    for purpose in PURPOSES:
        for choice in CHOICES:
            name = purpose.replace("_", " ")
            if (purpose, choice) not in sums:
                rows.append(Row(f"{name} · {choice}", mark=Mark.MISSING))
                cells.append((name, choice, Mark.MISSING, Mark.MISSING, Mark.MISSING))
                continue
            value, sd = sums[purpose, choice]
            low, high = value - Z95 * sd, value + Z95 * sd
            rows.append(Row(f"{name} · {choice}", low, high, value))
            cells.append((name, choice, noisy(value, sd), round(low), round(high)))
    return IntervalChart(
        id="choices",
        title="Choices",
        finding=f"How many people chose what in the last {counted(period, 'day')}; "
        "each interval holds the exact number with 95 % confidence.",
        rows=tuple(rows),
        unit="count",
        table=Table(
            "choices",
            f"Choices of the last {counted(period, 'day')}",
            (
                Column("purpose", "Purpose"),
                Column("choice", "Choice"),
                Column("people", "People (95 %)"),
                Column("low", "At least", "count"),
                Column("high", "At most", "count"),
            ),
            tuple(cells),
        ),
    )


def _trend(days: list[DayRow], now_ms: int, period: int) -> LineChart:
    first = now_ms - now_ms % DAY_MS - (period - 1) * DAY_MS
    known = {ms_of(d["start"]): d for d in days}
    times = tuple(first + k * DAY_MS for k in range(period))
    by_purpose = {p: [granted_share(totals([known[at]]), p) if at in known else None for at in times] for p in PURPOSES}
    series = tuple(
        Series(
            p.replace("_", " "),
            tuple(s[1] if s else None for s in shares),
            tuple((s[0], s[2]) if s else None for s in shares),
            leading=p == PURPOSES[0],
        )
        for p, shares in by_purpose.items()
    )
    rows: list[tuple[Value, ...]] = []
    for k, at in enumerate(times):
        hidden = Mark.SUPPRESSED if at in known else Mark.MISSING
        values: list[Value] = []
        for p in PURPOSES:
            share = by_purpose[p][k]
            values += [hidden, hidden] if share is None else [share[0], share[2]]
        rows.append((at, *values))
    columns = [
        Column(f"{p}_{side}", f"{p.replace('_', ' ').capitalize()} at {'least' if side == 'low' else 'most'}", "percent")
        for p in PURPOSES
        for side in ("low", "high")
    ]
    gaps = sum(at not in known for at in times)
    return LineChart(
        id="trend",
        title="Share that grants, day by day",
        finding="The band is each day's 95 % interval."
        + (f" {counted(gaps, 'day')} without any release {'is' if gaps == 1 else 'are'} left out." if gaps else ""),
        times=times,
        series=series,
        daily=True,
        table=Table("trend", "Share of grants by day", (Column("day", "Day from", "time"), *columns), tuple(rows)),
    )
