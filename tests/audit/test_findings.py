"""The life of a finding: who may take which step when, what is on record of it, and what scans do to it."""

from __future__ import annotations

import hashlib
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from audit.errors import (
    ChangeInvalid,
    CorrectionsUnavailable,
    FindingChanged,
    FindingState,
    NotVerifiedYet,
    SignaturesMissing,
    SignedAlready,
    UnknownAssignee,
    UnknownFinding,
)
from audit.findings import ALLOWED, Action, State
from audit.ports import Cap, Constrain, Equalise, NoCorrections, Pause, RollBack, change_from, change_json
from tacit import migrations
from tacit.core.access import Role
from tacit.core.clock import iso
from tacit.core.db import connect
from tacit.core.declaration import AuditTerms
from tacit.core.errors import InvalidRequest
from tacit.core.idempotency import KeyReused
from tests.audit.desk import DAY, FAIR, SKEWED, SUBJECT, EngineSaysNo, Office
from tests.postgres import empty_database, server


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def bring_to(office: Office, finding: str, state: State) -> None:
    """Bring a fresh finding to a state."""
    if state in (State.ACCEPTED, State.CLOSED, State.REOPENED):
        office.desk.accept(office.asks(), finding, note="known")
    if state in (State.CLOSED, State.REOPENED):
        office.signed(finding)
        office.desk.close(office.asks(), finding)
    if state is State.ASSIGNED:
        office.desk.assign(office.asks(), finding)
    if state is State.CORRECTED:
        office.desk.correct(office.asks(), finding, Pause())
    if state is State.DISMISSED:
        office.desk.dismiss(office.asks(), finding, note="no")
    if state is State.REOPENED:
        office.desk.reopen(office.asks(), finding, note="again")
    assert office.finding(finding).state == state


def step(office: Office, finding: str, action: Action) -> dict[str, Any]:
    desk, asks = office.desk, office.asks()
    steps = {
        Action.ASSIGN: lambda: desk.assign(asks, finding),
        Action.ACCEPT: lambda: desk.accept(asks, finding, note="why"),
        Action.CORRECT: lambda: desk.correct(asks, finding, Pause()),
        Action.DISMISS: lambda: desk.dismiss(asks, finding, note="why"),
        Action.COMMENT: lambda: desk.comment(asks, finding, note="hm"),
        Action.SIGN: lambda: desk.sign(asks, finding),
        Action.CLOSE: lambda: desk.close(asks, finding),
        Action.REOPEN: lambda: desk.reopen(asks, finding, note="why"),
    }
    return steps[action]()


@pytest.mark.parametrize("state", list(State))
def test_each_state_allows_its_own_steps_only(office: Office, state: State) -> None:
    finding = office.found()
    bring_to(office, finding, state)
    before = office.finding(finding)
    for action in Action:
        if state not in ALLOWED[action]:
            with pytest.raises(FindingState):
                step(office, finding, action)
    assert office.finding(finding) == before


def test_the_whole_way_from_scan_to_close_is_on_record_and_in_the_log(office: Office) -> None:
    finding = office.found()
    office.desk.assign(office.asks(), finding, assignee=office.ben.key_id, note="yours")
    office.desk.comment(office.asks(office.ben), finding, note="a campaign for the young")
    office.desk.correct(office.asks(office.ben), finding, Equalise(0.05))
    office.publish(FAIR)
    office.scan()
    office.signed(finding)
    closed = office.desk.close(office.asks(), finding)
    assert closed["state"] == "closed"
    assert closed["correction"]["verification"]["verified"] is True
    assert closed["correction"]["price"]["sentence"] == "headline of newsroom: equalise costs 2 points of lift."
    assert [s["key"] for s in closed["signatures"]] == [office.anna.key_id, office.ben.key_id]
    steps = ["opened", "assigned", "commented", "corrected", "verified", "signed", "signed", "closed"]
    assert office.history(finding) == steps
    entries = [e for e in office.log.list(limit=1000)[0] if e.body.get("finding") == finding]
    assert [e.kind for e in entries] == [f"finding.{action}" for action in steps]
    assert office.engineer.done == [
        {"policy": "headline", "actor": office.ben.key_id, "finding": finding, "kind": "equalise", "within": 0.05}
    ]
    assert office.log.verify() is None
    assert "campaign" not in str([e.body for e in entries]), "the log holds a commitment, not the words"
    for event, entry in zip(closed["history"], entries, strict=True):
        if event["note"] is not None:
            commitment = hashlib.sha256(bytes.fromhex(event["note_salt"]) + event["note"].encode()).hexdigest()
            assert entry.body["note_sha256"] == event["note_sha256"] == commitment


def test_nobody_closes_a_finding_alone(office: Office) -> None:
    finding = office.found()
    office.desk.dismiss(office.asks(), finding, note="a test")
    for signatures in range(2):
        with pytest.raises(SignaturesMissing, match=f"{signatures} of 2"):
            office.desk.close(office.asks(), finding)
        if not signatures:
            office.desk.sign(office.asks(), finding)
            with pytest.raises(SignedAlready):
                office.desk.sign(office.asks(), finding)
    office.desk.sign(office.asks(office.ben), finding)
    with pytest.raises(FindingState):
        office.desk.sign(office.asks(office.officer()), finding)
    assert office.desk.close(office.asks(office.ben), finding)["state"] == "closed"


def test_another_decision_voids_the_signatures_under_the_one_before(office: Office) -> None:
    finding = office.found()
    office.desk.dismiss(office.asks(), finding, note="a test")
    office.desk.sign(office.asks(office.ben), finding)
    assert office.desk.accept(office.asks(), finding, note="no, it is real")["signatures"] == []
    office.desk.sign(office.asks(), finding)
    with pytest.raises(SignaturesMissing):
        office.desk.close(office.asks(), finding)


def test_a_step_for_an_older_version_is_refused(office: Office) -> None:
    finding = office.found()
    seen = office.desk.get("newsroom", finding)["version"]
    office.desk.comment(office.asks(), finding, note="first")
    with pytest.raises(FindingChanged):
        office.desk.dismiss(office.asks(office.ben, version=seen), finding, note="I saw it before")
    assert office.desk.dismiss(office.asks(office.ben, version=seen + 1), finding, note="now")["version"] == seen + 2


def test_a_request_that_is_sent_again_is_done_once(office: Office) -> None:
    finding = office.found()
    first = office.desk.comment(office.asks(key="k1"), finding, note="once")
    assert office.desk.comment(office.asks(key="k1"), finding, note="once") == first
    assert office.desk.comment(office.asks(office.ben, key="k1"), finding, note="once") != first, "keys are each caller's own"
    with pytest.raises(KeyReused):
        office.desk.comment(office.asks(key="k1"), finding, note="something else")
    assert office.history(finding) == ["opened", "commented", "commented"]
    office.clock.ms += 8 * DAY
    office.desk.comment(office.asks(key="k2"), finding, note="later")
    assert office.desk.comment(office.asks(key="k1"), finding, note="something else")["version"] > first["version"]


def test_a_refused_request_may_be_sent_again_with_its_key(office: Office) -> None:
    finding = office.found()
    office.engineer.refuses = True
    with pytest.raises(EngineSaysNo):
        office.desk.correct(office.asks(key="k"), finding, Pause())
    office.engineer.refuses = False
    assert office.desk.correct(office.asks(key="k"), finding, Pause())["state"] == "corrected"


def test_a_correction_that_the_engine_refuses_leaves_nothing_behind(office: Office) -> None:
    finding = office.found()
    before, alerts = office.finding(finding), office.store.alerts("newsroom")
    office.engineer.refuses = True
    with pytest.raises(EngineSaysNo):
        office.desk.correct(office.asks(), finding, Cap("larger", 0.2))
    assert office.finding(finding) == before
    assert office.store.alerts("newsroom") == alerts
    assert office.history(finding) == ["opened"]


def test_without_an_engine_that_takes_them_corrections_say_so(office: Office) -> None:
    with pytest.raises(CorrectionsUnavailable):
        NoCorrections().price("newsroom", "headline", Pause())


@pytest.mark.parametrize("change", [Pause(), Cap("larger", 0.3), Equalise(0.05), Constrain(0.05), RollBack(3)])
def test_a_change_reads_back_as_it_was_written(change: Any) -> None:
    assert change_from(change_json(change)) == change


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"kind": "pause", "arm": "x"},
        {"kind": "cap", "arm": "x"},
        {"kind": "cap", "arm": 3, "most": 0.1},
        {"kind": "cap", "arm": "x", "most": 1.5},
        {"kind": "equalise", "within": True},
        {"kind": "equalise", "within": float("nan")},
        {"kind": "constrain", "limit": "0.1"},
        {"kind": "roll_back", "version": True},
        {"kind": "roll_back", "version": 0},
        {"kind": "delete"},
    ],
)
def test_what_is_no_change_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ChangeInvalid):
        change_from(given)


def test_findings_are_assigned_to_those_who_may_decide(office: Office) -> None:
    finding = office.found()
    for stranger in (office.officer(Role.AUDITOR), office.officer(Role.MANAGER), office.officer(site="elsewhere")):
        with pytest.raises(UnknownAssignee):
            office.desk.assign(office.asks(), finding, assignee=stranger.key_id)
    with pytest.raises(UnknownAssignee):
        office.desk.assign(office.asks(), finding, assignee="key_nobody")
    admin = office.officer(Role.ADMIN, "*")
    assert office.desk.assign(office.asks(), finding, assignee=admin.key_id)["assignee"] == admin.key_id
    assert office.desk.assign(office.asks(), finding)["assignee"] == office.anna.key_id


def test_another_sites_finding_is_unknown(office: Office) -> None:
    finding = office.found()
    with pytest.raises(UnknownFinding):
        office.desk.get("elsewhere", finding)


def test_terms_lie_within_reason(office: Office) -> None:
    finding, now = office.found(), office.clock.ms
    for until in (now, now + 400 * DAY):
        with pytest.raises(InvalidRequest):
            office.desk.accept(office.asks(), finding, note="x", until_ms=until)
    with pytest.raises(InvalidRequest):
        office.desk.assign(office.asks(), finding, due_ms=now)


# What scans do.


def closed_as(office: Office, finding: str, state: State) -> None:
    bring_to(office, finding, state)
    if state is State.CORRECTED:
        office.publish(FAIR)
        office.scan()
    office.signed(finding)
    office.desk.close(office.asks(), finding)


@pytest.mark.parametrize("state", [State.DISMISSED, State.CORRECTED])
def test_a_closed_finding_is_opened_again_by_windows_after_it_and_not_by_those_before(office: Office, state: State) -> None:
    finding = office.found()
    closed_as(office, finding, state)
    assert finding not in office.scan().opened, "the same windows as before"
    assert office.finding(finding).state == "closed"
    office.publish(FAIR)
    assert finding not in office.scan().opened
    office.publish(SKEWED)
    office.publish(SKEWED)
    result = office.scan()
    assert finding in result.opened
    assert finding in result.reopened
    again = office.finding(finding)
    assert again.state == "reopened"
    assert again.reopened == 1
    assert again.signatures == ()
    assert again.due_ms == again.opened_ms + (again.due_ms - again.opened_ms)
    assert again.due_ms == result.scan.at_ms + 14 * DAY
    assert office.history(finding)[-1] == "reopened"


def test_an_accepted_difference_opens_its_finding_again_when_its_term_is_over(office: Office) -> None:
    finding = office.found()
    office.desk.accept(office.asks(), finding, note="until the relaunch", until_ms=office.clock.ms + 10 * DAY)
    office.signed(finding)
    office.desk.close(office.asks(), finding)
    office.publish(SKEWED)
    assert finding not in office.scan().opened
    office.clock.ms += 10 * DAY
    assert finding in office.scan().reopened


@pytest.mark.parametrize(("people", "verdict", "verified"), [(200_000, "within limits", True), (0, "cannot tell", False)])
def test_the_next_scan_says_whether_a_correction_worked(office: Office, people: int, verdict: str, verified: bool) -> None:
    finding = office.found()
    office.desk.correct(office.asks(), finding, Pause())
    office.signed(finding)
    result = office.scan()
    assert office.finding(finding).correction["verification"] is None, "no window since"
    with pytest.raises(NotVerifiedYet):
        office.desk.close(office.asks(), finding)
    office.publish(FAIR, people)
    result = office.scan()
    said = office.finding(finding).correction["verification"]
    assert said == {"scan": result.scan.id, "verdict": verdict, "verified": verified, "at": iso(result.scan.at_ms)}
    office.scan()
    assert office.history(finding).count("verified" if verified else "not_verified") == 1, "said once, not with every scan"
    assert office.desk.close(office.asks(), finding)["state"] == "closed"


def test_a_correction_that_did_not_work_opens_the_finding_again(office: Office) -> None:
    finding = office.found()
    office.desk.correct(office.asks(), finding, Pause())
    office.signed(finding)
    office.publish(SKEWED)
    assert finding in office.scan().reopened
    again = office.finding(finding)
    assert again.state == "reopened"
    assert again.correction["verification"]["verified"] is False
    assert again.signatures == ()
    assert office.history(finding)[-2:] == ["not_verified", "reopened"]


def at_attention(place: Path, terms: AuditTerms) -> Office:
    """An office whose scan has the planted difference, 5 points, at attention. One draw in 150 is none: five in a row are below 1e-10."""
    for attempt in range(5):
        (place / str(attempt)).mkdir(parents=True)
        office = Office(place / str(attempt), terms)
        office.publish(FAIR | {"55_plus": (0.55, 0.45)}, 20_000)
        if {c["subject"]: c["verdict"] for c in office.scan().scan.result["comparisons"]}[SUBJECT] == "attention":
            return office
    raise AssertionError("a difference of the size of the limit is not at attention")


def test_attention_opens_findings_only_where_the_audit_says_so_and_a_breach_makes_them_due_sooner(tmp_path: Path) -> None:
    quiet = at_attention(tmp_path / "quiet", AuditTerms())
    assert SUBJECT not in {f.subject for f in quiet.store.findings("newsroom")[0]}
    office = at_attention(tmp_path / "loud", AuditTerms(open_at="attention"))
    opened = {f.subject: f for f in office.store.findings("newsroom")[0]}
    first = opened[SUBJECT]
    assert first.verdict == "attention"
    assert first.due_ms == first.opened_ms + 30 * DAY
    office.publish(SKEWED)
    office.scan()
    worse = office.finding(first.id)
    assert worse.verdict == "breach"
    assert worse.due_ms <= office.clock.ms + 14 * DAY
    assert "worsened" in office.history(first.id)


@pytest.mark.parametrize(("contain", "change"), [("pause", {"kind": "pause"}), ("equalise", {"kind": "equalise", "within": 0.05})])
def test_a_breach_is_contained_once_where_the_audit_says_so(tmp_path: Path, contain: str, change: dict[str, Any]) -> None:
    office = Office(tmp_path, AuditTerms(contain=contain))
    office.found()
    (done,) = office.engineer.done
    assert {k: done[k] for k in change} == change
    assert done["actor"] == "scan"
    contained = office.finding(done["finding"])
    assert contained.state == "open", "a person still has to decide"
    assert contained.containment["done"] is True
    assert "contained" in office.history(contained.id)
    office.publish(SKEWED)
    office.scan()
    assert len(office.engineer.done) == 1


def test_a_containment_that_the_engine_refuses_does_not_lose_the_scan(tmp_path: Path) -> None:
    office = Office(tmp_path, AuditTerms(contain="pause"))
    office.engineer.refuses = True
    finding = office.found()
    assert office.finding(finding).state == "open"
    failed = [f for f in office.store.findings("newsroom")[0] if f.containment]
    assert [f.containment["problem"] for f in failed if f.containment] == ["engine-says-no"]
    assert "engine.acted" not in {a.kind for a in office.store.alerts("newsroom")[0]}
    assert office.log.verify() is None


def test_a_finding_past_its_due_date_is_put_on_record_once_for_each_date(office: Office) -> None:
    finding = office.found()
    assert office.scanner.overdue(office.site) == []
    office.clock.ms = office.finding(finding).due_ms + 1
    assert finding in office.scanner.overdue(office.site)
    assert office.scanner.overdue(office.site) == []
    assert office.desk.get("newsroom", finding)["overdue"] is True
    office.desk.assign(office.asks(), finding, due_ms=office.clock.ms + DAY)
    assert office.desk.get("newsroom", finding)["overdue"] is False
    office.clock.ms += 2 * DAY
    assert finding in office.scanner.overdue(office.site)
    assert office.history(finding).count("overdue") == 2


def test_on_postgres_scans_and_people_at_once_take_their_steps_one_after_the_other(tmp_path: Path) -> None:
    with server() as url:
        inside = empty_database(url, "desk")
        engine = connect(inside)
        migrations.upgrade(engine, "released")
        engine.dispose()
        office = Office(url=inside)
        office.publish(SKEWED)
        with ThreadPoolExecutor(4) as pool:
            results = [one for found in pool.map(lambda _: office.scanner.scan(office.site), range(4)) for one in found]
        opened, _ = office.store.findings("newsroom")
        assert len({r.scan.id for r in results}) == 4
        assert sorted(i for r in results for i in r.opened) == sorted(f.id for f in opened), "each finding was opened by one of them"
        finding = next(f.id for f in opened if f.subject == SUBJECT)
        office.desk.correct(office.asks(), finding, Pause())
        office.publish(FAIR)
        office.scan()
        version = office.finding(finding).version

        def both(number: int) -> bool:
            try:
                office.desk.comment(office.asks(office.anna if number % 2 else office.ben, version=version), finding, note=str(number))
            except FindingChanged:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(both, range(8))) == 1
        with ThreadPoolExecutor(4) as pool:
            sign = [office.anna, office.ben, office.anna, office.ben]
            outcomes = list(pool.map(lambda who: _signs(office, who, finding), sign))
        assert outcomes.count(True) == 2
        assert office.desk.close(office.asks(), finding)["state"] == "closed"
        seqs = [event["seq"] for event in office.desk.get("newsroom", finding)["history"]]
        assert all(b == a + 1 for a, b in itertools.pairwise(seqs))
        assert office.log.verify() is None
        office.vault.dispose()


def _signs(office: Office, who: Any, finding: str) -> bool:
    try:
        office.desk.sign(office.asks(who), finding)
    except (SignedAlready, FindingState):
        return False
    return True
