"""What a newcomer is told at the end of the demonstration. Every number here is in the report or follows from it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tacit.demo.arrivals import FAULT_ARM, FAULT_GROUP, FAULT_RATE, Arrivals
from tacit.demo.door import Tally
from tacit.demo.twin import Lift

REASONS = {
    "refused": "said no to that purpose, or sends Sec-GPC",
    "gpc": "the browser sends Sec-GPC: 1",
    "no_consent": "left the banner alone",
    "withdrawn": "said yes once and withdrew it",
    "expired": "the consent has run out",
    "duplicate": "the same event had arrived before",
    "not_measured": "nothing declared counts such events",
    "epoch_key_lost": "the key of the epoch was lost",
}


def show(
    console: Console,
    found: Mapping[str, Any],
    total: Tally,
    *,
    ours: Lift,
    theirs: Lift,
    arrivals: Arrivals,
    fair: bool,
    base_url: str,
    report: Path,
) -> None:
    """Print the summary."""
    console.print()
    console.rule("What happened", align="left")
    events, epsilon, lifts = found["events"], found["epsilon"], found["lift"]
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row(
        "People", f"{found['visitors']:,}; {total.consents:,} answered the banner and have a signed receipt, the others left it alone"
    )
    table.add_row("Events accepted", f"{events['accepted']:,}")
    table.add_row("Events refused", f"{sum(events['refused'].values()):,}")
    for reason, count in events["refused"].items():
        table.add_row(f"  {escape(reason)}", f"{count:,}  {REASONS.get(reason, '')}")
    table.add_row("  with Sec-GPC: 1", f"{total.opted_out_accepted:,} of {total.opted_out_sent:,} accepted")
    for code, count in total.rejected.items():
        table.add_row(f"[bold]Rejected[/] {escape(code)}", f"{count:,}  these could not be read, which is a fault of the demonstration")
    table.add_row("Releases", f"{found['releases']:,} noisy tables; the rows behind them and their keys are destroyed")
    table.add_row("Privacy spent", f"epsilon {epsilon['spent']:.3f} of {epsilon['promised']:.3f} promised to each person and day")
    table.add_row("Lift, Tacit", _lift(ours))
    table.add_row("Lift, non-private", _lift(theirs) + "; the same learner on exact counts")
    table.add_row("Lift kept", f"{lifts['kept']:.0%}  by this one run; repeated runs differ, as the noise does")
    console.print(table, highlight=False)
    console.print(
        f"Lift is over an even split between the arms ({arrivals.uniform_rate:.2%} clicks), from what was decided for each person and the "
        "arms' true rates; in brackets what the same people's drawn clicks say.",
        style="dim",
        highlight=False,
    )
    console.print()
    console.rule("What the three cases learned", align="left")
    console.print(_cases(found["cases"]), highlight=False)
    console.print()
    console.rule("What the audit found", align="left")
    console.print(_planted(total, fair=fair), highlight=False)
    console.print(f"[bold]{escape(sentence(found['findings']))}[/]", highlight=False)
    console.print()
    console.print(f"{found['seconds']:.0f} seconds. The numbers are in {escape(str(report))}, the pages at {base_url}/", highlight=False)


def sentence(findings: Sequence[Mapping[str, Any]]) -> str:
    """The findings in one sentence: the one with the largest difference, and how many more there are."""
    if not findings:
        return "No breach was found."
    worst = max(findings, key=lambda finding: abs(_compared(finding).get("difference") or 0.0))
    compared = _compared(worst)
    more = f" ({len(findings) - 1} more)" if len(findings) > 1 else ""
    if compared.get("rate") is None or compared.get("rest_rate") is None or not compared.get("interval"):
        return f"Breach: {worst.get('subject', 'a difference between groups')}{more}."
    low, high = compared["interval"]
    did = {
        "exposure": f"were shown '{compared.get('arm')}' in",
        "reward_of_arm": f"clicked on '{compared.get('arm')}' in",
    }.get(str(compared.get("statistic")), "clicked in")
    return (
        f"Breach: people with {compared['dimension']} {compared['group']} {did} {compared['rate']:.0%} of the cases, all others in "
        f"{compared['rest_rate']:.0%}: a difference of {100 * compared['difference']:+.0f} points ({100 * low:+.0f} to {100 * high:+.0f}), "
        f"with {100 * worst['detail']['limit']:.0f} allowed{more}."
    )


def _cases(cases: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("case", "where", "learned", "weight", "in truth the best"):
        table.add_column(column, justify="right" if column == "weight" else "left")
    for name, case in cases.items():
        about = [name, f"{case['people']:,} people", f"{case['decisions']:,} decisions", f"lift {case['lift']:+.0%}"]
        rows: list[tuple[str, Mapping[str, Any]]] = list(case["learned"].items())
        for words, learned in itertools.zip_longest(about, rows, fillvalue=None):
            cell, one = learned or ("", dict[str, Any]())
            weight = "" if one.get("weight") is None else f"{one['weight']:.0%}"
            table.add_row(*(escape(str(text or "")) for text in (words, cell, one.get("arm"), weight, one.get("best"))))
    return table


def _compared(finding: Mapping[str, Any]) -> Mapping[str, Any]:
    detail = finding.get("detail")
    compared = detail.get("comparison") if isinstance(detail, Mapping) else None
    return compared if isinstance(compared, Mapping) else {}


def _planted(total: Tally, *, fair: bool) -> str:
    if fair:
        return "Nothing was planted: everybody was shown what was decided for them."
    return (
        f"Planted: the front end showed '{FAULT_ARM}' to {FAULT_RATE:.0%} of the visitors of {FAULT_GROUP}, whatever was decided "
        f"({total.misshown:,} people)."
    )


def _lift(lift: Lift) -> str:
    return escape(f"{lift.expected:+.1%} ± {1.96 * lift.error:.1%} [{lift.clicked:+.1%} by clicks]")
