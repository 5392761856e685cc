"""The report's section about the trend: what the windows of each scan add up to, group by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.blocks import Bar, Block, Chart, Section, Table, Text

_EDGE = 1.959964


def trend(found: Mapping[str, Any] | None, limit: float) -> Section | None:
    """None for a scan of before there were trends."""
    if not found:
        return None
    rate = found["false_alarms"]
    subjects = found["subjects"]
    alarms = [s["subject"] for s in subjects if s["alarm"]]
    head = f"Alarm: {', '.join(alarms)}." if alarms else "No sum is beyond its threshold."
    words = Text(
        f"{head} Each scan adds what the windows since the scan before it say, in each direction (CUSUM, Page 1954). "
        f"Scans so far: {found['scans']}; threshold: {found['threshold']:.2f}. "
        f"A fair service sees any alarm in at most {100 * rate['a_year']:.0f} % of years with {rate['scans_a_year']:,.0f} scans."
    )
    blocks: list[Block] = [words]
    if drifting := [s for s in subjects if s["drift"] is not None and s["drift_sd"] is not None]:
        bars = tuple(_bar(s) for s in drifting)
        reach = max([140 * limit, *(abs(edge) for bar in bars for edge in (bar.low or 0.0, bar.high or 0.0))])
        caption = "Drift since each sum left zero, 95 % interval by itself, percentage points"
        blocks.append(Chart(caption, 100 * limit, reach, bars))
    if subjects:
        columns = ("what", "drift", "since", "alarm", "sum up", "sum down", "newest z")
        blocks.append(Table("Sums of the trend", columns, tuple(_row(s) for s in subjects)))
    return Section("Trend", tuple(blocks))


def _bar(s: Mapping[str, Any]) -> Bar:
    half = _EDGE * s["drift_sd"]
    tone = "attention" if s["alarm"] else "cannot tell"
    return Bar(s["subject"], tone, 100 * (s["drift"] - half), 100 * (s["drift"] + half), 100 * s["drift"])


def _row(s: Mapping[str, Any]) -> tuple[str, ...]:
    drift = ""
    if s["drift"] is not None and s["drift_sd"] is not None:
        half = _EDGE * s["drift_sd"]
        drift = f"{100 * (s['drift'] - half):+.1f} to {100 * (s['drift'] + half):+.1f} (best guess {100 * s['drift']:+.1f})"
    z = "cannot be scored" if s["z"] is None else f"{s['z']:+.2f}"
    return (s["subject"], drift, s["since"] or "", s["alarm"] or "none", f"{s['up']:.2f}", f"{s['down']:.2f}", z)
