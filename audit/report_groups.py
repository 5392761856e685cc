"""The report's sections about groups, one for each level of comparison, each statistic with its chart and its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audit.blocks import Bar, Block, Chart, Section, Table, Text

LEVELS = (
    ("groups", "Groups", ()),
    (
        "intersections",
        "Intersections",
        ("Groups crossed with each other, each against all others. Small ones are not assessable: none borrows from another.",),
    ),
    (
        "strata",
        "Within strata of the context",
        ("The same groups within one part of the context, which shows whether a difference is one of context.",),
    ),
    (
        "experience",
        "What people experienced",
        (
            "What the arms' parameters came to: the share that was offered something, and the mean intensity. A difference of intensity is "
            "in percent of the parameter's declared range; the means are in its own unit.",
        ),
    ),
)

ODDS = (
    "Exposure among those who gave the reward (equal opportunity) and among those who did not (with it: equalised odds). It follows from "
    "exposure and reward: a family of its own, which decides no verdict and opens no finding."
)

GAPS = "Biased upwards by its choice, so it has a p-value, calibrated on equal groups of the same sizes and noise, and no interval."

Compared = Mapping[str, Any]


def compared(scan: Mapping[str, Any], limit: float) -> Iterator[Section]:
    """Every level that the scan has, odds, and the largest gaps."""
    for level, title, words in LEVELS:
        mine = [c for c in scan["comparisons"] if c.get("level", "groups") == level]
        if mine or level == "groups":
            yield Section(title, (*map(Text, words), *_charted(mine, limit, level)))
    if odds := scan.get("odds"):
        yield Section("Odds", (Text(ODDS), *_charted(odds, limit, "odds")))
    if gaps := scan.get("gaps"):
        rows = tuple((f"{_what(g)}{_inside(g)} by {g['dimension']}", points(g["gap"]), p_value(g["p"])) for g in gaps)
        table = Table("Largest difference between any two groups", ("what", "gap (points)", "p"), rows)
        yield Section("Largest gaps", (Text(GAPS), table))


def _charted(comparisons: Sequence[Compared], limit: float, level: str) -> Iterator[Block]:
    """Strata stand in one chart, dimensions in one each."""
    for kind in dict.fromkeys(_kind(c, level) for c in comparisons):
        mine = [c for c in comparisons if _kind(c, level) == kind]
        caption = _what(mine[0]) + ("" if kind[0] is None else f" by {kind[0]}")
        reach = 100 * max([limit * 1.4, *(abs(edge) for c in mine for edge in c["interval"] or ())])
        unit = "percent of the range" if mine[0]["statistic"] == "intensity" else "percentage points"
        yield Chart(f"{caption}: each group against all others, {unit}", 100 * limit, reach, tuple(map(_bar, mine)))
        yield Table(caption, _columns(mine[0]), tuple(map(_row, mine)))


def _kind(c: Compared, level: str) -> tuple[Any, ...]:
    return (None if level == "strata" else c["dimension"], c["statistic"], c["arm"], c.get("parameter"))


def _columns(c: Compared) -> tuple[str, ...]:
    rates = ("mean", "rest's mean") if c["statistic"] == "intensity" else ("rate", "ratio to the rest")
    return ("group", "interval", "best guess", *rates, "adjusted p", "people ± noise", "smallest detectable", "verdict")


def _bar(c: Compared) -> Bar:
    low, high = c["interval"] or (None, None)
    if low is None or high is None:
        return Bar(_group(c), c["verdict"], None, None, None)
    return Bar(_group(c), c["verdict"], 100 * low, 100 * high, 100 * c["difference"])


def _row(c: Compared) -> tuple[str, ...]:
    people = f"{c['people']:,.0f} ± {1.96 * c['people_sd']:,.0f}"
    if c["interval"] is None:
        return (_group(c), "not assessable", "", "", "", "", people, "", c["verdict"])
    low, high = c["interval"]
    means = (f"{c['mean']:.3g}", f"{c['rest_mean']:.3g}") if c["statistic"] == "intensity" else (f"{100 * c['rate']:.1f} %", ratio(c))
    return (
        _group(c),
        f"{100 * low:+.1f} to {100 * high:+.1f}",
        f"{100 * c['difference']:+.1f}",
        *means,
        p_value(c["p"]),
        people,
        "" if c["detectable"] is None else points(c["detectable"]),
        c["verdict"],
    )


def ratio(c: Compared) -> str:
    """The interval of the ratio, open above where no ratio is too large."""
    if not c.get("ratio_interval"):
        return ""
    low, high = c["ratio_interval"]
    return f"{low:.2f} or more" if high is None else f"{low:.2f} to {high:.2f}"


def points(share: float) -> str:
    """A share in percentage points."""
    return f"{100 * share:.1f}"


def p_value(value: float | None) -> str:
    """A p-value; nothing where there is none."""
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _group(c: Compared) -> str:
    return f"{c['group']}{_inside(c)}"


def _inside(one: Mapping[str, Any]) -> str:
    return "".join(f" within {name}={value}" for name, value in (one.get("stratum") or {}).items())


def _what(one: Mapping[str, Any]) -> str:
    named = [word for word in (one["arm"], one.get("parameter")) if word]
    return " of ".join([one["statistic"].replace("_", " "), *named])
