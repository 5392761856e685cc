"""Notices: a text never changes, a material version makes older grants stale in its own transaction, and what was shown to whom is kept."""

from __future__ import annotations

import hashlib
import json

import pytest
from sqlalchemy import func, select, update

from consent import webhooks_store
from consent.errors import NoticeConflict, NoticeTextMismatch, NoticeUnknown
from consent.models import Notice, Signals, State
from consent.notice_tables import served_notices
from consent.notices import Text
from consent.outbox import Event
from consent.retention import Retention
from consent.tables import consent_records, consent_state
from consent.webhooks import Webhooks
from tacit.core.configuration import parse
from tacit.core.db import reading, writing
from tacit.core.rootkey import RootKey
from tests.consent.support import CANARY, SITE, START_MS, Room
from tests.consent.test_signals_in_requests import request

DAY_MS = 86_400_000
DECLARED = parse("sites: {newsroom: {privacy: {epsilon: 1, delta: 1.0e-6}, retention: {served: 100d}}}")


def put(
    here: Room, version: str, *, material: bool = False, locale: str = "en-GB", text: str | None = None, notice: str = "banner"
) -> None:
    here.notices.put(SITE, notice, Text(version, locale, text=text or f"text {version} {locale}", material=material), by="key_1")


def named(version: str, *, locale: str = "en-GB", notice: str = "banner") -> Notice:
    return Notice(notice, version, locale, hashlib.sha256(f"text {version} {locale}".encode()).hexdigest())


def grant(here: Room, version: str, subject: str = CANARY, **about: str) -> dict[str, object]:
    asked = request({"measurement": True, "personalisation": True}, notice=named(version, **about), subject=subject)
    return here.receipts.verify(here.service.record(SITE, asked))


def reason(here: Room, subject: str = CANARY, purpose: str = "measurement") -> str:
    return str(here.gate.check(SITE, "user", subject, purpose).reason)


def test_a_text_is_kept_with_its_hash_and_never_changes(here: Room) -> None:
    put(here, "1")
    put(here, "1")
    put(here, "1", locale="de")
    found = here.notices.get(SITE, "banner")
    assert [(v["version"], v["locale"], v["material"]) for v in found["versions"]] == [("1", "de", False), ("1", "en-GB", False)]
    assert found["versions"][1]["sha256"] == named("1").sha256
    assert found["versions"][1]["text"] == "text 1 en-GB"
    for other in (
        Text("1", "en-GB", text="other"),
        Text("1", "en-GB", text="text 1 en-GB", material=True),
        Text("1", "fr", "ab" * 32, None, True),
    ):
        with pytest.raises(NoticeConflict):
            here.notices.put(SITE, "banner", other, by="key_1")
    assert here.notices.get(SITE, "banner") == found
    assert [entry.body["locale"] for entry in here.evidence.entries] == ["en-GB", "de"]
    assert here.evidence.entries[0].kind == "notice.registered"


def test_a_text_can_follow_its_hash(here: Room) -> None:
    here.notices.put(SITE, "banner", Text("1", "en-GB", sha256=named("1").sha256.upper()), by="key_1")
    assert "text" not in here.notices.get(SITE, "banner")["versions"][0]
    put(here, "1")
    assert here.notices.get(SITE, "banner")["versions"][0]["text"] == "text 1 en-GB"


@pytest.mark.parametrize("given", [Text("1", "en"), Text("1", "en", sha256="ab" * 32, text="x")])
def test_a_hash_is_that_of_its_text(here: Room, given: Text) -> None:
    with pytest.raises(NoticeTextMismatch):
        here.notices.put(SITE, "banner", given, by="key_1")
    with pytest.raises(NoticeUnknown):
        here.notices.get(SITE, "banner")


def test_notices_are_listed_without_texts_page_by_page(here: Room) -> None:
    for name in ("c", "a", "b"):
        put(here, "1", notice=name)
    first = here.notices.list(SITE, limit=2)
    assert [n["id"] for n in first["notices"]] == ["a", "b"]
    assert "text" not in json.dumps([v for n in first["notices"] for v in n["versions"]])
    assert [n["id"] for n in here.notices.list(SITE, after=first["next"])["notices"]] == ["c"]
    assert here.notices.list("elsewhere") == {"notices": [], "next": None}


def test_a_receipt_says_whether_the_text_is_registered(here: Room) -> None:
    assert grant(here, "1")["notice"] == named("1").to_json() | {"registered": False}
    put(here, "1")
    assert grant(here, "1")["notice"] == named("1").to_json() | {"registered": True}
    asked = request({"measurement": True}, notice=Notice("banner", "1", "en-GB", "cd" * 32))
    said = here.receipts.verify(here.service.record(SITE, asked))["notice"]
    assert said["registered"] is False, "another text under the same version is not the registered one"


def test_a_material_version_makes_older_grants_stale_at_once_and_nothing_else(here: Room) -> None:
    put(here, "1")
    grant(here, "1")
    grant(here, "1", "other notice", notice="footer")
    here.service.record(SITE, request({"measurement": False}, subject="refused", notice=named("1")))
    here.service.withdraw(SITE, "user", "gone")
    put(here, "2")
    assert reason(here) == "granted"
    put(here, "3", material=True)
    assert (reason(here), reason(here, purpose="personalisation")) == ("stale", "stale")
    assert reason(here, "other notice") == "granted"
    assert (reason(here, "refused"), reason(here, "gone")) == ("refused", "withdrawn")
    assert here.service.query(SITE, "user", CANARY)["purposes"]["measurement"]["state"] == "stale"
    assert here.staged.calls == [
        ("withdraw", "refused", ["measurement"], 5),
        ("withdraw", "gone", ["measurement", "personalisation", "fairness_audit"], 8),
    ]


@pytest.mark.parametrize("unregistered", ["0.9", "9"])
def test_a_grant_under_an_earlier_or_unknown_version_is_stale_in_either_order(here: Room, unregistered: str) -> None:
    for version in ("1", unregistered):
        grant(here, version, f"before {version}")
    put(here, "1")
    put(here, "2", material=True)
    for version in ("1", unregistered):
        decisions = grant(here, version, f"after {version}")["decisions"]
        assert {(d["state"], d["reason"]) for d in decisions} == {("stale", "notice_outdated")}  # type: ignore[attr-defined]
        assert reason(here, f"before {version}") == reason(here, f"after {version}") == "stale"
    grant(here, "2", "now")
    assert reason(here, "now") == "granted"


def test_a_version_used_before_it_was_registered_holds(here: Room) -> None:
    grant(here, "2")
    put(here, "2", material=True)
    assert reason(here) == "granted"


def test_another_locale_of_a_material_version_makes_nothing_stale(here: Room) -> None:
    put(here, "1", material=True)
    grant(here, "1")
    put(here, "1", material=True, locale="de")
    put(here, "2")
    assert reason(here) == "granted"
    grant(here, "2")
    put(here, "1", material=True, locale="fr")
    assert reason(here) == "granted"


def test_names_match_as_they_are_written(here: Room) -> None:
    """`_` is a wildcard of SQL: no other notice and no similar version may be taken for this one."""
    grant(here, "1x0", "similar version", notice="b_r")
    grant(here, "1_0", "same version", notice="b_r")
    grant(here, "1x0", "similar notice", notice="bar")
    grant(here, "1x0", "longer notice", notice="b_r.x")
    put(here, "1_0", material=True, notice="b_r")
    assert reason(here, "similar version") == "stale"
    assert reason(here, "same version") == reason(here, "similar notice") == reason(here, "longer notice") == "granted"


@pytest.mark.parametrize("jump_ms", [-400 * DAY_MS, 400 * DAY_MS])
def test_the_order_of_commits_rules_and_no_clock(here: Room, jump_ms: int) -> None:
    put(here, "1")
    grant(here, "1")
    here.clock.at_ms += jump_ms
    put(here, "2", material=True)
    here.clock.at_ms = START_MS
    assert reason(here) == "stale", "also a grant that had lapsed by the clock of that moment"
    here.clock.at_ms += jump_ms
    grant(here, "2")
    assert reason(here) == "granted"


def test_after_a_stale_grant_the_person_can_be_asked_and_is_let_in_again(here: Room) -> None:
    put(here, "1")
    here.service.record(SITE, request({"measurement": False}, notice=named("1")))
    put(here, "2", material=True)
    grant(here, "1")
    assert reason(here) == "stale"
    here.staged.calls.clear()
    grant(here, "2")
    assert reason(here) == "granted"
    assert [call[:3] for call in here.staged.calls] == [("readmit", CANARY, ["measurement", "personalisation"])]


def test_gpc_and_a_withdrawal_rule_over_a_stale_grant(here: Room) -> None:
    put(here, "1")
    grant(here, "1")
    put(here, "2", material=True)
    assert here.gate.check(SITE, "user", CANARY, "measurement", gpc=True).reason == "gpc"
    here.service.withdraw(SITE, "user", CANARY, ["measurement"])
    assert reason(here) == "withdrawn"
    put(here, "3", material=True)
    assert reason(here) == "withdrawn"


def test_webhooks_hear_of_every_grant_that_becomes_stale(here: Room) -> None:
    Webhooks(here.engine, RootKey(b"r" * 32), here.clock).put(SITE, "mail", url="http://127.0.0.1:9/", events=[Event.STALE])
    put(here, "1")
    grant(here, "1")
    put(here, "2", material=True)
    grant(here, "1", "late")
    with reading(here.engine) as connection:
        sent = [json.loads(row.body)["data"] for row in webhooks_store.messages(connection, SITE, "mail", state=None, after=0, limit=100)]
    assert [(one["purpose"], one["state"]) for one in sent] == [("measurement", "stale"), ("personalisation", "stale")] * 2


def test_what_was_shown_stands_in_the_history_and_goes_with_its_time(here: Room) -> None:
    put(here, "1")
    for after_ms in (0, 5_000):
        here.clock.at_ms = START_MS + after_ms
        here.notices.serve(SITE, "banner", id_type="user", subject=CANARY, version="1", locale="en-GB")
    shown = here.service.history(SITE, "user", CANARY)
    assert shown["served"] == [
        {"notice": named("1").to_json(), "first_at": "2023-11-14T22:13:20.000Z", "last_at": "2023-11-14T22:13:25.000Z"}
    ]
    assert shown["records"] == []
    assert "served" not in here.service.history(SITE, "user", "somebody else")
    retention = Retention(here.engine, DECLARED, here.clock)
    here.clock.at_ms = START_MS + 5_000 + 100 * DAY_MS
    retention.run(SITE)
    assert "served" in here.service.history(SITE, "user", CANARY)
    here.clock.at_ms += 1
    retention.run(SITE)
    assert "served" not in here.service.history(SITE, "user", CANARY)
    assert [run["deleted"] for job in retention.standing(SITE)["jobs"] if job["job"] == "served" for run in job["runs"]] == [1, 0]


@pytest.mark.parametrize(("version", "locale"), [("2", "en-GB"), ("1", "fr")])
def test_only_a_registered_text_can_have_been_shown(here: Room, version: str, locale: str) -> None:
    put(here, "1")
    with pytest.raises(NoticeUnknown):
        here.notices.serve(SITE, "banner", id_type="user", subject=CANARY, version=version, locale=locale)
    with reading(here.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(served_notices)) == 0


def test_retention_forgets_the_standing_of_stale_grants_too(here: Room) -> None:
    put(here, "1")
    grant(here, "1")
    put(here, "2", material=True)
    with writing(here.engine) as connection:
        connection.execute(update(consent_records).values(evidence_index=1))
    here.clock.at_ms += (180 + 1095) * DAY_MS + 1
    Retention(here.engine, DECLARED, here.clock).run(SITE)
    with reading(here.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(consent_state)) == 0


def test_a_signal_stands_before_the_notice(here: Room) -> None:
    put(here, "1")
    put(here, "2", material=True)
    asked = request({"measurement": True}, notice=named("1"), signals=Signals(gpc=True))
    [decision] = here.receipts.verify(here.service.record(SITE, asked))["decisions"]
    assert (decision["state"], decision["reason"]) == (State.REFUSED, "gpc")
