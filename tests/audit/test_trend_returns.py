"""A finding is opened again when the trend brings its difference back, and not by what the trend held of the time before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit.lifecycle import Lifecycle
from audit.ports import Pause
from tests.audit.desk import DAY, FAIR, SUBJECT, Office

SLOWLY = FAIR | {"55_plus": (0.54, 0.46)}
"""4 points where 5 are accepted: never a breach (5 standard errors), and eleven standard errors from nothing in each window."""
PEOPLE = 100_000


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def trend_alerts(office: Office) -> list[dict[str, Any]]:
    return [a.detail for a in office.store.alerts("newsroom")[0] if a.kind == "audit.trend"]


def closed(office: Office, how: str) -> str:
    """A finding about a planted skew, decided, signed and closed after a window in which everybody was treated alike."""
    finding = office.found()
    if how == "corrected":
        office.desk.correct(office.asks(), finding, Pause())
    elif how == "accepted":
        office.desk.accept(office.asks(), finding, note="until the relaunch", until_ms=office.clock.ms + 10 * DAY)
    else:
        office.desk.dismiss(office.asks(), finding, note="a test of the alarm")
    office.publish(FAIR, PEOPLE)
    office.scan()
    office.signed(finding)
    office.desk.close(office.asks(), finding)
    return finding


def slowly(office: Office, finding: str) -> None:
    """Windows and scans until the finding is opened again. One is enough but for one case in 10,000."""
    for _ in range(3):
        office.publish(SLOWLY, PEOPLE)
        if finding in office.scan().reopened:
            return
    raise AssertionError("it was not opened again")


@pytest.mark.parametrize("how", ["corrected", "dismissed"])
def test_a_difference_that_creeps_back_opens_the_finding_again_and_tells(office: Office, how: str) -> None:
    finding = closed(office, how)
    office.publish(FAIR, PEOPLE)
    office.scan()
    assert office.finding(finding).state == "closed", "the alarm of before is no news"
    assert not any("findings" in alert for alert in trend_alerts(office))
    slowly(office, finding)
    again = office.finding(finding)
    assert (again.state, again.verdict, again.reopened, again.signatures) == ("reopened", "attention", 1, ())
    event = next(e for e in office.desk.get("newsroom", finding)["history"] if e["action"] == "reopened")
    assert set(event["detail"]) == {"scan", "verdict", "trend"}
    assert any(finding in alert.get("findings", ()) for alert in trend_alerts(office))
    entries, _ = office.log.list(kind="finding.reopened")
    assert finding in [e.body["finding"] for e in entries]


def test_a_correction_that_wears_off_before_anybody_closed_it_is_reopened_with_its_verification(office: Office) -> None:
    finding = office.found()
    office.desk.correct(office.asks(), finding, Pause())
    office.publish(FAIR, 500_000)
    office.scan()
    assert office.finding(finding).correction["verification"]["verified"]
    slowly(office, finding)
    again = office.finding(finding)
    assert again.correction["verification"]["scan"] == again.scan_id, "what the same scan found of the correction stands beside it"


def test_an_accepted_difference_may_come_back_within_its_term(office: Office) -> None:
    finding = closed(office, "accepted")
    for _ in range(3):
        office.publish(SLOWLY, PEOPLE)
        office.scan()
    assert office.finding(finding).state == "closed"
    office.clock.ms += 11 * DAY
    office.publish(SLOWLY, PEOPLE)
    office.scan()
    assert office.finding(finding).state == "reopened"


def test_mirror_images_are_followed_as_one(office: Office) -> None:
    """The trend follows `exposure control`; the finding is about `exposure larger`."""
    closed(office, "corrected")
    followed = [s["subject"] for s in office.scan().scan.result["trend"]["subjects"]]
    assert SUBJECT not in followed
    lifecycle = Lifecycle(office.log, office.engineer, office.clock)
    assert SUBJECT in lifecycle.settled(office.vault, office.site.audits["by_age"], "newsroom")
