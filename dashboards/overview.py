"""The overview: one verdict for each area, and what needs somebody today. Nothing is within limits unless it was checked."""

from __future__ import annotations

from tacit.core.declaration import Site

from . import audits, budget, consent, policies
from .pages import Area, Empty, OverviewPage
from .ports import AlertRow, EvidenceHead, ReleaseRow
from .services import DashboardServices
from .tables import Column, Table, Value
from .words import DAY_MS, Finding, Mark, Verdict, counted, lasting, ms_of, roughly, when, worst

LATE_WINDOWS = 5
"""A release later than this many windows (and ten minutes) after its window deserves attention."""

RELEASES_SHOWN = 12
ALERTS_SHOWN = 20
CONSENT_DAYS = 7


def judge_releases(site: Site, releases: list[ReleaseRow], now_ms: int) -> Finding:
    """Are figures coming, and may they be used?"""
    if not releases:
        return Finding(Verdict.CANNOT_TELL, "Nothing has been released yet.")
    newest = max(ms_of(r["window"]["end"]) for r in releases)
    behind = now_ms - newest
    if any(r.get("usable") is False for r in releases):
        return Finding(Verdict.ATTENTION, "A recent release failed its quality checks and isn't used for decisions.")
    if behind > max(LATE_WINDOWS * site.privacy.window_ms, 600_000):
        return Finding(
            Verdict.ATTENTION, f"The newest release is {roughly(behind)} old, though windows are {lasting(site.privacy.window_ms)} long."
        )
    if any(r.get("usable") is None for r in releases[1:]):
        return Finding(Verdict.CANNOT_TELL, f"Figures reach up to {when(newest)}; their quality checks haven't all run.")
    return Finding(Verdict.WITHIN, f"Figures reach up to {when(newest)}, and all recent ones passed their quality checks.")


def judge_evidence(head: EvidenceHead, now_ms: int) -> Finding:
    """Was the log found unbroken, and lately?"""
    if head["first_bad"] is not None:
        return Finding(Verdict.BREACH, f"The evidence log doesn't verify from entry {head['first_bad']} on.")
    if head["verified_at"] is None:
        return Finding(
            Verdict.CANNOT_TELL, f"The evidence log has {counted(head['size'], 'entry', 'entries')} and hasn't been verified yet."
        )
    age = now_ms - ms_of(head["verified_at"])
    sentence = f"All {head['size']:,} entries verified on {when(ms_of(head['verified_at']))}."
    return Finding(
        Verdict.ATTENTION if age > DAY_MS else Verdict.WITHIN, sentence + (" That is more than a day ago." if age > DAY_MS else "")
    )


def overview_page(services: DashboardServices, site: Site) -> OverviewPage:
    """The page that a log-in opens."""
    now = services.clock.now_ms()
    releases = services.releases.latest(site.name, limit=RELEASES_SHOWN)
    findings = services.findings.findings(site.name, limit=audits.FINDINGS_SHOWN)
    alerts = services.alerts.alerts(site.name, limit=ALERTS_SHOWN)
    scans = {s["audit"]: s for s in services.scans.latest(site.name) if s["audit"] in site.audits}
    areas = _areas(services, site, releases, now)
    areas += (
        _area("Bias audits", audits.judge(dict(site.audits), scans), "/audits"),
        _area("Findings", audits.judge_findings(findings, bool(scans), now), "/findings"),
        _area("Evidence", judge_evidence(services.evidence.head(), now), "/"),
    )
    return OverviewPage(
        path="/",
        title="Overview",
        site=site.name,
        finding=_ruling(areas),
        made_ms=now,
        as_of_ms=max((ms_of(r["window"]["end"]) for r in releases), default=None),
        tables=(
            Table(
                "areas",
                "Areas",
                (Column("area", "Area"), Column("verdict", "Verdict", "verdict"), Column("sentence", "Because")),
                tuple((a.name, a.verdict.value, a.sentence) for a in areas),
            ),
            audits.findings_table("open", "Open findings", audits.open_findings(findings), empty="No finding is open."),
            _alerts(list(alerts)),
            _releases(releases),
        ),
        empty=None
        if releases
        else Empty(
            "Released figures, and what follows from them.",
            "Record consent with POST /v1/consents and send events to POST /v1/events; the first figures appear "
            f"{lasting(site.privacy.window_ms)} later. `make demo` shows a filled installation.",
        ),
        areas=areas,
    )


def _areas(services: DashboardServices, site: Site, releases: list[ReleaseRow], now: int) -> tuple[Area, ...]:
    epochs = services.budget.epochs(site.name, limit=1)
    refusals = services.budget.refusals(site.name, limit=budget.REFUSALS_SHOWN)
    since = now - now % DAY_MS - (CONSENT_DAYS - 1) * DAY_MS
    days = services.releases.by_day(site.name, consent.MEASURE, from_ms=since) if site.measure(consent.MEASURE) else []
    return (
        _area("Consent", consent.judge(site, days, CONSENT_DAYS), "/consent"),
        _area("Privacy budget", budget.judge(site, epochs[0] if epochs else None, refusals, now), "/budget"),
        _area("Releases", judge_releases(site, releases, now), "/"),
        _area("Policies", policies.policies_page(services, site).finding, "/policies"),
    )


def _area(name: str, finding: Finding, path: str) -> Area:
    return Area(name, finding.verdict, finding.sentence, path)


def _ruling(areas: tuple[Area, ...]) -> Finding:
    ruling = worst(a.verdict for a in areas)
    names = [a.name for a in areas if a.verdict is ruling]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    unclear = sum(a.verdict is Verdict.CANNOT_TELL for a in areas)
    rest = f"; {unclear} of {len(areas)} areas cannot be judged yet" if unclear else ""
    match ruling:
        case Verdict.BREACH:
            return Finding(ruling, f"Something is in breach: {listed}{rest}.")
        case Verdict.ATTENTION:
            return Finding(ruling, f"Nothing is in breach, but look at {listed}{rest}.")
        case Verdict.CANNOT_TELL:
            return Finding(ruling, f"No limit is known to be crossed, but these cannot be judged yet: {listed}.")
        case _:
            return Finding(ruling, "All areas were checked and are within their limits.")


def _alerts(alerts: list[AlertRow]) -> Table:
    return Table(
        "alerts",
        "Alerts",
        (Column("kind", "Kind"), Column("detail", "Detail"), Column("at", "Time", "time")),
        tuple((a["kind"], a["detail"], ms_of(a["at"])) for a in alerts),
        empty="No alert. Lost keys, failed windows and failed learners would be listed here.",
    )


def _releases(releases: list[ReleaseRow]) -> Table:
    rows: list[tuple[Value, ...]] = []
    for one in releases:
        usable = one.get("usable")
        index = one.get("evidence", {}).get("index")
        rows.append(
            (
                one["measure"],
                ms_of(one["window"]["start"]),
                ms_of(one["window"]["end"]),
                "not checked yet" if usable is None else "passed" if usable else "failed",
                Mark.MISSING if index is None else str(index),
                one["id"],
            )
        )
    columns = (
        Column("measure", "Measure"),
        Column("start", "Window from", "time"),
        Column("end", "to", "time"),
        Column("quality", "Quality checks"),
        Column("evidence", "Evidence entry"),
        Column("id", "Id"),
    )
    return Table("releases", "Newest releases", columns, tuple(rows), empty="None yet.")
