"""The pages Bias audits and Findings: is any group treated worse, how sure is that, and what is being done about it."""

from __future__ import annotations

from tacit.core.declaration import Audit, Site

from .charts import IntervalChart, Row
from .pages import AuditSection, AuditsPage, Empty, Figure, FindingsPage
from .ports import FindingEventRow, FindingRow, GroupRow, ScanRow
from .services import DashboardServices
from .tables import Column, Table, Value
from .words import Finding, Mark, Verdict, between_points, counted, ms_of, noisy, plain, roughly, verdict_of, when, worst

FINDINGS_SHOWN, EVENTS_SHOWN = 500, 50
CLOSED = frozenset({"closed"})
"""Everything else still needs somebody (audit/store.py)."""
_SEVERITY = (Verdict.BREACH, Verdict.ATTENTION, Verdict.CANNOT_TELL, Verdict.WITHIN)


def judge(audits: dict[str, Audit], scans: dict[str, ScanRow]) -> Finding:
    """One sentence over all declared audits."""
    if not audits:
        return Finding(Verdict.CANNOT_TELL, "No audit is declared, so nobody knows whether any group is treated worse.")
    if not scans:
        return Finding(Verdict.CANNOT_TELL, f"{counted(len(audits), 'audit').capitalize()} declared, none scanned yet.")
    verdicts = {name: verdict_of(scans[name]["verdict"]) if name in scans else Verdict.CANNOT_TELL for name in audits}
    ruling = worst(verdicts.values())
    names = " and ".join(n for n, v in verdicts.items() if v is ruling)
    sentences = {
        Verdict.BREACH: f"{names}: a group is treated differently by more than the accepted limit.",
        Verdict.ATTENTION: f"{names}: a group is treated differently; whether by more than the limit is not certain.",
        Verdict.CANNOT_TELL: f"{names}: there are not enough figures to tell whether groups are treated alike.",
        Verdict.WITHIN: "Every compared group is treated alike within the accepted limits.",
    }
    return Finding(ruling, sentences[ruling])


def section(audit: Audit, scan: ScanRow | None) -> AuditSection:
    """One audit's comparisons, the worst first."""
    if scan is None:
        return AuditSection(
            name=audit.name,
            finding=Finding(Verdict.CANNOT_TELL, f"{audit.name} has not been scanned yet."),
            chart=None,
            empty=Empty(
                f"Differences between groups under the policy {audit.policy}, each against the limit of {_limit(audit)} points.",
                f"Send `properties.groups` with `trial` events of {audit.policy} and have the purpose {audit.purpose} granted; "
                "the worker scans on schedule, or run `tacit scan`.",
            ),
        )
    verdict = verdict_of(scan["verdict"])
    groups = sorted(scan["groups"], key=lambda g: (_SEVERITY.index(verdict_of(g["verdict"])), -abs(g["difference"] or 0.0)))
    rows, cells = [], []
    for one in groups:
        low, high, mark = one["low"], one["high"], None if one["low"] is not None and one["high"] is not None else Mark.SUPPRESSED
        rows.append(Row(f"{one['group']} · {one['what']}", low, high, one["difference"], verdict_of(one["verdict"]), mark))
        cells.append(_cells(one))
    return AuditSection(
        name=audit.name,
        finding=Finding(verdict, _sentence(audit, scan, verdict)),
        scan=scan["id"],
        chart=IntervalChart(
            id=f"audit-{audit.name}",
            title=f"{audit.name}: each group against all others",
            finding="Differences in percentage points with simultaneous 95 % intervals; "
            f"the shaded band is the accepted ±{_limit(audit)} points.",
            rows=tuple(rows),
            limit=audit.limit,
            table=Table(f"audit-{audit.name}", f"Comparisons of {audit.name}", _COMPARISON, tuple(cells)),
        ),
    )


_COMPARISON = (
    Column("group", "Group"),
    Column("dimension", "of"),
    Column("what", "Compared"),
    Column("verdict", "Verdict", "verdict"),
    Column("low", "At least (points)", "points"),
    Column("high", "At most (points)", "points"),
    Column("difference", "Best guess (points)", "points"),
    Column("p", "Adjusted p", "number", 3),
    Column("people", "People (95 %)"),
)


def _cells(one: GroupRow) -> tuple[Value, ...]:
    figures = (Mark.SUPPRESSED if v is None else v for v in (one["low"], one["high"], one["difference"], one["p"]))
    verdict = verdict_of(one["verdict"]).value
    return (one["group"], one["dimension"], one["what"], verdict, *figures, noisy(one["people"], one["people_sd"]))


def _limit(audit: Audit) -> str:
    return plain(audit.limit * 100, 1)


def _sentence(audit: Audit, scan: ScanRow, verdict: Verdict) -> str:
    hit = [g for g in scan["groups"] if verdict_of(g["verdict"]) is verdict and g["low"] is not None and g["high"] is not None]
    if verdict in (Verdict.BREACH, Verdict.ATTENTION) and hit:
        one = max(hit, key=lambda g: abs(g["difference"] or 0.0))
        assert one["low"] is not None  # noqa: S101 - narrowed above, for the type checker
        assert one["high"] is not None  # noqa: S101
        more = f", and {len(hit) - 1} more" if len(hit) > 1 else ""
        return f"{one['group']}, {one['what']}: {between_points(one['low'], one['high'])} from everybody else{more}."
    if verdict is Verdict.WITHIN:
        return f"All {len(scan['groups'])} comparisons lie within ±{_limit(audit)} points."
    unclear = sum(verdict_of(g["verdict"]) is Verdict.CANNOT_TELL for g in scan["groups"])
    return f"For {unclear} of {len(scan['groups'])} comparisons the figures are too few or too noisy to tell."


def audits_page(services: DashboardServices, site: Site) -> AuditsPage:
    """Every declared audit with its newest scan."""
    scans = {s["audit"]: s for s in services.scans.latest(site.name) if s["audit"] in site.audits}
    sections = tuple(section(audit, scans.get(name)) for name, audit in site.audits.items())
    rows: list[tuple[Value, ...]] = [
        (
            s.name,
            site.audits[s.name].policy,
            s.finding.verdict.value,
            site.audits[s.name].limit * 100,
            ms_of(scans[s.name]["at"]) if s.name in scans else Mark.MISSING,
        )
        for s in sections
    ]
    columns = (
        Column("audit", "Audit"),
        Column("policy", "Policy"),
        Column("verdict", "Verdict", "verdict"),
        Column("limit_points", "Limit (± points)", "number"),
        Column("scanned_at", "Scanned", "time"),
    )
    return AuditsPage(
        path="/audits",
        title="Bias audits",
        site=site.name,
        finding=judge(dict(site.audits), scans),
        made_ms=services.clock.now_ms(),
        as_of_ms=max((ms_of(s["at"]) for s in scans.values()), default=None),
        tables=(Table("audits", "All audits", columns, tuple(rows)),) if sections else (),
        empty=None
        if sections
        else Empty("Each audit with its verdict and every group's interval.", "Declare one under `audits` in tacit.yaml and restart."),
        sections=sections,
    )


def open_findings(findings: list[FindingRow]) -> list[FindingRow]:
    """Those still open, the one due first on top."""
    return sorted((f for f in findings if f["state"] not in CLOSED), key=lambda f: ms_of(f["due_at"]))


def judge_findings(findings: list[FindingRow], scanned: bool, now_ms: int) -> Finding:
    """Breach where one is overdue, attention where one is open; with no scan nothing could have been found."""
    waiting = open_findings(findings)
    late = [f for f in waiting if ms_of(f["due_at"]) < now_ms]
    if late:
        overdue = counted(len(late), "finding")
        return Finding(Verdict.BREACH, f"{overdue} overdue, the oldest by {roughly(now_ms - ms_of(late[0]['due_at']))}.")
    if waiting:
        return Finding(Verdict.ATTENTION, f"{counted(len(waiting), 'finding')} open, the first due on {when(ms_of(waiting[0]['due_at']))}.")
    if not scanned:
        return Finding(Verdict.CANNOT_TELL, "No scan has run yet, so nothing can have been found.")
    return Finding(Verdict.WITHIN, "No finding is open.")


def findings_page(services: DashboardServices, site: Site) -> FindingsPage:
    """Open findings first, by due date; closed ones below."""
    now = services.clock.now_ms()
    findings = services.findings.findings(site.name, limit=FINDINGS_SHOWN)
    waiting = open_findings(findings)
    closed = [f for f in findings if f["state"] in CLOSED]
    return FindingsPage(
        path="/findings",
        title="Findings",
        site=site.name,
        finding=judge_findings(findings, bool(services.scans.latest(site.name)), now),
        made_ms=now,
        as_of_ms=max((ms_of(f["opened_at"]) for f in findings), default=None),
        figures=(
            Figure("Open", str(len(waiting)), "need a decision"),
            Figure("Overdue", str(sum(ms_of(f["due_at"]) < now for f in waiting)), "past their due date"),
            Figure("Closed", str(len(closed)), "signed by two people"),
        ),
        tables=(
            findings_table("open", "Open findings", waiting, empty="Nothing is open."),
            findings_table("closed", "Closed findings", closed, empty="Nothing has been closed yet."),
            history_table(services.findings.history(site.name, limit=EVENTS_SHOWN)),
        )
        if findings
        else (),
        empty=None
        if findings
        else Empty(
            "Each difference between groups beyond its limit, with a due date.",
            "A scan opens one at the verdict breach; `tacit scan` runs one now.",
        ),
    )


def findings_table(name: str, title: str, findings: list[FindingRow], *, empty: str) -> Table:
    """Findings as a table."""
    columns = (
        Column("subject", "What"),
        Column("audit", "Audit"),
        Column("verdict", "Verdict", "verdict"),
        Column("state", "State"),
        Column("signatures", "Signed by"),
        Column("opened_at", "Opened", "time"),
        Column("due_at", "Due", "time"),
        Column("id", "Id"),
    )
    rows = tuple(
        (
            f["subject"],
            f["audit"],
            verdict_of(f["verdict"]).value,
            f["state"],
            f"{f.get('signatures', 0)} of 2",
            ms_of(f["opened_at"]),
            ms_of(f["due_at"]),
            f["id"],
        )
        for f in findings
    )
    return Table(name, title, columns, rows, empty=empty)


def history_table(events: list[FindingEventRow]) -> Table:
    """What was done lately, and by whose key."""
    columns = (
        Column("at", "When", "time"),
        Column("subject", "What"),
        Column("action", "Step"),
        Column("state", "State after it"),
        Column("actor", "By"),
    )
    rows = tuple((ms_of(e["at"]), e["subject"], e["action"].replace("_", " "), e["state"], e["actor"]) for e in events)
    return Table("history", "History", columns, rows, empty="Nothing has been done yet.")
