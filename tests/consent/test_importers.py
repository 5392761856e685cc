"""Bringing in other managers' answers: exactly what was said, once, and never over what was said here."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from consent.importers import ImportMapInvalid, Kind, Outcome, bring_in, read_map
from tacit.core.clock import iso
from tests.consent.support import CANARY, SITE, START_MS, Room

DAY_MS = 86_400_000
MAP = """
notice: {id: old-banner, version: "7", locale: en, sha256: %s}
jurisdiction: eu
purposes:
  measurement: [matomo, heatmap]
  personalisation: [recommender]
""" % ("ab" * 32)
CATEGORIES = MAP.replace("[matomo, heatmap]", "[analytics]").replace("[recommender]", "[functionality]")
GIVEN = iso(START_MS - 30 * DAY_MS)


def klaro(cookie: Any, subject: str = CANARY, **more: Any) -> bytes:
    return json.dumps({"subject": subject, "cookie": cookie, "at": GIVEN} | more).encode()


def run(here: Room, *lines: bytes, kind: Kind = Kind.KLARO, text: str = MAP) -> Outcome:
    return bring_in(here.service, SITE, lines, kind=kind, how=read_map(text), clock=here.clock)


def standing(here: Room, subject: str = CANARY) -> dict[str, str | None]:
    return {purpose: said["state"] for purpose, said in here.service.query(SITE, "user", subject)["purposes"].items()}


def test_a_purpose_is_granted_by_all_its_services_and_refused_by_any(here: Room) -> None:
    assert run(here, klaro({"matomo": True, "heatmap": True, "recommender": False, "extra": True})).recorded == 1
    assert standing(here) == {"measurement": "granted", "personalisation": "refused", "fairness_audit": None}
    run(here, klaro({"matomo": True, "heatmap": False}, "b"))
    assert standing(here, "b") == {"measurement": "refused", "personalisation": None, "fairness_audit": None}
    outcome = run(here, klaro({"matomo": True}, "c"))
    assert outcome.rejected == ((1, "nothing_mapped"),), "a service that is not mentioned is no yes"
    assert standing(here, "c")["measurement"] is None


def test_a_cookie_as_the_browser_stores_it_is_read(here: Room) -> None:
    run(here, klaro(quote(json.dumps({"matomo": True, "heatmap": True}))))
    cookie = {
        "categories": ["necessary", "analytics"],
        "revision": 2,
        "data": None,
        "consentTimestamp": iso(START_MS - 60 * DAY_MS),
        "consentId": "2c9a0000-0000-4000-8000-000000000000",
        "services": {"necessary": [], "analytics": []},
        "lastConsentTimestamp": iso(START_MS - 10 * DAY_MS),
        "expirationTime": 1,
    }
    line = json.dumps({"subject": "b", "cookie": quote(json.dumps(cookie))}).encode()
    assert run(here, line, kind=Kind.COOKIECONSENT, text=CATEGORIES).recorded == 1
    assert standing(here, "b") == {"measurement": "granted", "personalisation": "refused", "fairness_audit": None}
    expires = here.service.query(SITE, "user", "b")["purposes"]["measurement"]["expires_at"]
    assert expires == iso(START_MS + 170 * DAY_MS), "counted from when it was given, not from the import"


def test_nothing_that_was_said_here_is_overruled(here: Room) -> None:
    here.service.withdraw(SITE, "user", CANARY, ["measurement"])
    yes = klaro({"matomo": True, "heatmap": True, "recommender": True})
    assert run(here, yes).recorded == 1
    assert standing(here) == {"measurement": "withdrawn", "personalisation": "granted", "fairness_audit": None}


def test_a_second_run_adds_nothing(here: Room) -> None:
    line = klaro({"matomo": True, "heatmap": True})
    assert run(here, line, line).to_json() == {"recorded": 1, "skipped": {"known": 1}, "rejected": []}
    assert run(here, line).to_json() == {"recorded": 0, "skipped": {"known": 1}, "rejected": []}
    assert len(here.service.history(SITE, "user", CANARY)["records"]) == 1


def test_a_grant_that_would_have_lapsed_is_not_brought_in_but_a_refusal_is(here: Room) -> None:
    old = iso(START_MS - 200 * DAY_MS)
    assert run(here, klaro({"matomo": True, "heatmap": True}, at=old)).skipped == {"lapsed": 1}
    assert run(here, klaro({"matomo": False, "heatmap": True}, at=old)).recorded == 1


def test_the_record_says_where_it_came_from(here: Room) -> None:
    run(here, klaro({"matomo": True, "heatmap": True}))
    (record,) = here.service.history(SITE, "user", CANARY)["records"]
    assert (record["method"], record["notice"]["id"], record["notice"]["version"]) == ("import.klaro", "old-banner", "7")


def test_each_bad_line_costs_itself_and_is_named_by_number_and_code(here: Room) -> None:
    outcome = run(
        here,
        b"{",
        b"\xff",
        b"[]",
        b'{"subject": "a", "subject": "b", "cookie": {}}',
        klaro({"matomo": "yes", "heatmap": True}),
        klaro("%ff"),
        klaro([1]),
        klaro("null"),
        klaro({"matomo": True, "heatmap": True}, at=None),
        klaro({"matomo": True, "heatmap": True}, at="2020-01-01T00:00:00"),
        klaro({"matomo": True, "heatmap": True}, at=iso(START_MS + DAY_MS)),
        klaro({"matomo": True, "heatmap": True}, colour="red"),
        klaro({"matomo": True, "heatmap": True}, " "),
        klaro({"matomo": True, "heatmap": True, "x" * 40_000: True}),
        b"",
        klaro({"matomo": True, "heatmap": True}, "good"),
    )
    codes = [code for _, code in outcome.rejected]
    assert outcome.recorded == 1
    assert [line for line, _ in outcome.rejected] == list(range(1, 15))
    assert codes == [
        *["malformed"] * 4,
        "malformed_cookie",
        *["malformed"] * 2,
        "malformed_cookie",
        "no_time",
        "bad_time",
        "in_the_future",
        *["malformed"] * 2,
        "too_long",
    ]
    assert CANARY not in json.dumps(outcome.to_json())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        MAP + "extra: 1",
        MAP.replace("measurement:", "fairness_audit:"),
        MAP.replace("[matomo, heatmap]", "[]"),
        MAP.replace("ab" * 32, "ab"),
    ],
)
def test_a_map_that_could_mean_something_else_is_refused(text: str) -> None:
    with pytest.raises(ImportMapInvalid):
        read_map(text)
