"""What the pages say: verdicts that are earned, marks that differ from zero, and empty states that help."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboards.audits import audits_page, findings_page
from dashboards.budget import budget_page
from dashboards.consent import consent_page, granted_share
from dashboards.overview import overview_page
from dashboards.policies import policies_page, policy_page
from dashboards.services import DashboardServices
from dashboards.words import Mark, Verdict

from .example import DAY, DECLARATION, NOW, Budget, Evidence, Findings, FixedClock, Lifts, Releases, Scans, services

SITE, EMPTY = DECLARATION.sites["newsroom"], DECLARATION.sites["empty"]


def area(name: str, found: DashboardServices) -> Verdict:
    return next(a.verdict for a in overview_page(found, SITE).areas if a.name == name)


def test_an_empty_site_is_never_green_and_says_how_to_fill_it() -> None:
    found = services()
    pages = [
        overview_page(found, EMPTY),
        budget_page(found, EMPTY),
        policies_page(found, EMPTY),
        policy_page(found, EMPTY, "banner"),
        audits_page(found, EMPTY),
        findings_page(found, EMPTY),
        consent_page(found, EMPTY, 30),
    ]
    for page in pages:
        assert page.finding.verdict is Verdict.CANNOT_TELL, page.title
    for page in pages:
        if page.path not in ("/policies", "/audits"):
            assert page.empty is not None, page.title
            assert page.empty.what
            assert page.empty.how


def test_the_overview_takes_the_worst_verdict() -> None:
    assert overview_page(services(), SITE).finding.verdict is Verdict.BREACH
    calmer = replace(services(), scans=Scans(verdict="within limits"))
    assert overview_page(calmer, SITE).finding.verdict is Verdict.ATTENTION


def test_spending_more_than_promised_is_a_breach_and_a_refusal_deserves_attention() -> None:
    assert budget_page(services(), SITE).finding.verdict is Verdict.WITHIN
    over = replace(services(), budget=Budget(spent_pico=19_400_000_001))
    assert budget_page(over, SITE).finding.verdict is Verdict.BREACH
    refusal = Budget(refused=[{"measure": "pages", "at": NOW - 1_000, "detail": "the epoch's budget is spent"}])
    assert budget_page(replace(services(), budget=refusal), SITE).finding.verdict is Verdict.ATTENTION


def test_the_budget_page_shows_the_plan_and_says_where_there_is_none_yet() -> None:
    noise, advice = (budget_page(services(), SITE).table(name) for name in ("plan", "advice"))
    assert noise.rows[0] == ("pages", "prefix", 0.15, 12.5, 24.5, 61.0, 0.031)
    assert noise.rows[1][3:] == (None, None, None, None)
    assert "10,000 people a day" in noise.title
    assert advice.rows[0][0] == "sites.newsroom.measures.pages.per_cell"
    without = budget_page(services(), EMPTY).table("plan")
    assert (without.rows, without.empty) == ((), "The sanitiser plans at its first pass.")


def test_a_ledger_of_yesterday_says_nothing_about_today() -> None:
    tomorrow = replace(services(), clock=FixedClock(NOW + DAY))
    assert budget_page(tomorrow, SITE).finding.verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize(("low", "verdict"), [(0.004, Verdict.WITHIN), (-0.005, Verdict.CANNOT_TELL), (-0.04, Verdict.ATTENTION)])
def test_a_policy_is_judged_by_its_interval(low: float, verdict: Verdict) -> None:
    page = policy_page(replace(services(), lift=Lifts(low=low)), SITE, "headline")
    assert page.finding.verdict is verdict


def test_one_good_policy_does_not_make_the_others_green() -> None:
    assert policies_page(services(), SITE).finding.verdict is Verdict.CANNOT_TELL


def test_an_arm_that_noise_hides_is_suppressed_and_not_zero() -> None:
    page = policy_page(services(), SITE, "headline")
    rows = {row[0]: row for row in page.table("rates").rows}
    assert rows["largest"][1] is Mark.SUPPRESSED
    assert rows["control"][1] == 0.076
    shares = page.table("shares").rows
    assert shares[40][1] is Mark.MISSING
    assert sum(Mark.MISSING in row for row in shares) == 1


def test_an_unscanned_audit_cannot_tell_and_the_scanned_one_lists_the_worst_first() -> None:
    page = audits_page(services(), SITE)
    by_age, by_region = page.sections
    assert page.finding.verdict is Verdict.BREACH
    assert by_region.finding.verdict is Verdict.CANNOT_TELL
    assert by_region.empty is not None
    assert by_age.chart is not None
    assert [r.verdict for r in by_age.chart.rows][:2] == [Verdict.BREACH, Verdict.ATTENTION]
    assert "between −9.4 and −5.6 points" in by_age.finding.sentence


def test_an_unknown_verdict_of_a_scan_cannot_be_told() -> None:
    page = audits_page(replace(services(), scans=Scans(verdict="fine")), SITE)
    assert page.finding.verdict is Verdict.CANNOT_TELL


def test_an_overdue_finding_is_a_breach() -> None:
    found = Findings()
    found.rows[0]["due_at"] = NOW - 3 * DAY
    page = findings_page(replace(services(), findings=found), SITE)
    assert page.finding.verdict is Verdict.BREACH
    assert "overdue, the oldest by 3 days" in page.finding.sentence


def test_a_broken_log_is_a_breach_and_an_unverified_one_cannot_be_told() -> None:
    broken, unverified, old = Evidence(), Evidence(), Evidence()
    broken.row["first_bad"] = 17
    unverified.row["verified_at"] = None
    old.row["verified_at"] = NOW - 2 * DAY
    verdicts = [area("Evidence", replace(services(), evidence=e)) for e in (Evidence(), broken, unverified, old)]
    assert verdicts == [Verdict.WITHIN, Verdict.BREACH, Verdict.CANNOT_TELL, Verdict.ATTENTION]


def test_late_releases_deserve_attention() -> None:
    assert area("Releases", services()) is Verdict.WITHIN
    assert area("Releases", replace(services(), clock=FixedClock(NOW + 3_600_000))) is Verdict.ATTENTION
    assert area("Releases", replace(services(), releases=Releases(filled=False))) is Verdict.CANNOT_TELL


def test_a_day_without_releases_is_a_gap_and_not_zero() -> None:
    page = consent_page(services(), SITE, 7)
    rows = page.table("trend").rows
    assert len(rows) == 7
    assert [Mark.MISSING in row for row in rows] == [False, True, False, False, False, False, False]
    assert page.finding.verdict is Verdict.WITHIN


def test_a_share_of_too_few_people_is_not_given() -> None:
    assert granted_share({("measurement", "granted"): (100.0, 20.0), ("measurement", "refused"): (30.0, 20.0)}, "measurement") is None
    found = granted_share({("measurement", "granted"): (900.0, 20.0), ("measurement", "refused"): (100.0, 20.0)}, "measurement")
    assert found is not None
    assert found[0] < 0.9 == found[1] < found[2]
