"""The HTTP contract from outside: who may do what comes first, then shapes, then bad input."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest

from tests.conftest import NOTICE, House, event, trial

READS = ["/v1/releases", "/v1/budget", "/v1/plan", "/v1/audits", "/v1/findings", "/v1/experiments/headline"]
WRITES = [
    "/v1/consents",
    "/v1/consents/query",
    "/v1/consents/withdraw",
    "/v1/consents/history",
    "/v1/events",
    "/v1/adjust",
    "/v1/signals/decode",
]


def test_without_a_key_nothing_is_answered(served: House) -> None:
    with httpx.Client(base_url=served.url) as nobody:
        for path in READS:
            assert nobody.get(path).status_code == 401, path
        for path in WRITES:
            answer = nobody.post(path, json={})
            assert answer.status_code == 401, path
            assert answer.headers["content-type"].startswith("application/problem+json")
        assert nobody.get("/v1/releases", headers={"x-api-key": "tacit_admin_wrong"}).status_code == 401
        assert nobody.get("/healthz").status_code == 200
        assert nobody.get("/.well-known/gpc.json").json()["gpc"] is True


def test_each_role_may_do_its_own_part_only(served: House) -> None:
    assert served.client("write").post("/v1/consents", json={}).status_code == 403
    assert served.client("officer").post("/v1/events", json={"events": []}).status_code == 403
    assert served.client("auditor").post("/v1/consents/withdraw", json={}).status_code == 403
    assert served.client("write").get("/v1/budget").status_code == 403
    assert served.client("auditor").get("/v1/budget").status_code == 200


def test_an_admin_key_names_the_site_and_others_cannot_name_another(served: House) -> None:
    assert served.client("admin").get("/v1/budget").status_code == 404
    assert served.client("admin").get("/v1/budget", params={"site": "newsroom"}).status_code == 200
    assert served.client("admin").get("/v1/budget", params={"site": "elsewhere"}).status_code == 404
    assert served.client("officer").get("/v1/budget", params={"site": "elsewhere"}).status_code == 403


def test_only_consented_events_are_accepted_and_each_refusal_has_its_reason(served: House) -> None:
    served.consent("yes", measurement=True, personalisation=True)
    served.consent("no", measurement=False)
    served.consent("gone", measurement=True)
    assert served.client().post("/v1/consents/withdraw", json={"subject": "gone"}).status_code == 200
    verdict = served.send(
        event("1", "page", "yes", category="news"),
        event("2", "page", "no", category="news"),
        event("3", "page", "stranger", category="news"),
        event("4", "page", "gone", category="news"),
        event("1", "page", "yes", category="news"),
        event("5", "purchase", "yes"),
        trial("6", "yes", "larger", 1),
        trial("7", "yes", "gigantic", 1),
    )
    assert verdict == {
        "accepted": 2,
        "refused": {"refused": 1, "no_consent": 1, "withdrawn": 1, "duplicate": 1, "not_measured": 1},
        "rejected": [{"index": 7, "code": "unknown_arm"}],
    }
    assert served.send(event("8", "page", "yes", category="news"), **{"Sec-GPC": "1"})["refused"] == {"gpc": 1}
    assert served.send(event("9", "page", "yes", category="news"), **{"Sec-GPC": "1, 0"})["refused"] == {"gpc": 1}
    assert served.send(event("10", "page", "yes", category="news"), **{"Sec-GPC": "0"})["accepted"] == 1


def test_gpc_only_removes(served: House) -> None:
    body = {"subject": "careful", "purposes": {"measurement": True}, "notice": NOTICE, "method": "banner"}
    assert served.client().post("/v1/consents", json=body, headers={"Sec-GPC": "1"}).status_code in (200, 201)
    assert served.send(event("1", "page", "careful"))["accepted"] == 0
    assert served.send(event("2", "page", "careful"))["refused"] in ({"refused": 1}, {"gpc": 1})


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 422), (b'{"events": 3}', 422), (b"\xff\xfe", 400), (b"", 400), (b'{"events": [' + b" " * 600_000 + b"]}", 413)],
)
def test_a_batch_that_cannot_be_read_is_refused_as_a_whole(served: House, body: bytes, status: int) -> None:
    answer = served.client().post("/v1/events", content=body)
    assert answer.status_code in {status, 400 if status == 422 else status, 422 if status == 400 else status}
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "next_step" in answer.json()


def test_one_bad_event_costs_only_itself(served: House) -> None:
    served.consent("p", measurement=True)
    bad = [
        ({"id": "x", "type": "page"}, "malformed"),
        (event("y", "page", "p") | {"colour": "red"}, "unknown_field"),
        (event("", "page", "p"), "bad_id"),
        (event("z", "page", "p", text="x" * 40_000), "event_too_large"),
        (event("a", "page", "p") | {"at": "2020-01-01T00:00:00Z"}, "too_old"),
        (event("b", "page", "p") | {"at": "2999-01-01T00:00:00Z"}, "clock_skew"),
        (event("c", "page", "p") | {"at": "2026-01-01T00:00:00"}, "at_without_zone"),
        (3, "malformed"),
    ]
    verdict = served.send(event("good", "page", "p"), *(b for b, _ in bad), event("also good", "page", "p"))
    assert verdict["accepted"] == 2
    assert verdict["rejected"] == [{"index": i, "code": code} for i, (_, code) in enumerate(bad, start=1)]


def test_a_gzip_bomb_is_stopped_and_a_gzip_batch_is_read(served: House) -> None:
    served.consent("p", measurement=True)
    packed = gzip.compress(json.dumps({"events": [event("1", "page", "p")]}).encode())
    headers = {"content-encoding": "gzip"}
    assert served.client().post("/v1/events", content=packed, headers=headers).json()["accepted"] == 1
    assert served.client().post("/v1/events", content=gzip.compress(b" " * 50_000_000), headers=headers).status_code == 413
    assert served.client().post("/v1/events", content=b"not gzip", headers=headers).status_code in (400, 422)


@pytest.mark.parametrize("path", WRITES)
def test_no_answer_repeats_what_was_sent(served: House, path: str) -> None:
    canary = "canary-7f3a91"
    for body in (
        {"subject": canary, "purposes": canary, canary: canary},
        {"events": [{canary: canary}]},
        {"zone": canary, "context": canary},
        canary,
    ):
        answer = served.client().post(path, json=body)
        assert canary not in answer.text, answer.text
    log = (served.settings.data / "service.log").read_text()
    assert canary not in log


def test_paths_and_methods_that_do_not_exist_are_problems(served: House) -> None:
    assert served.client().get("/v1/nothing").headers["content-type"].startswith("application/problem+json")
    assert served.client().delete("/v1/consents").status_code == 405
    for path in ("/v1/events", "/v1/adjust"):
        answer = served.client().get(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert answer.headers["content-type"] == "application/problem+json"
    assert served.client().patch("/v1/webhooks/crm").headers["allow"] == "GET, PUT, DELETE"
    document = served.client().get("/openapi.json").json()
    assert {"/v1/events", "/v1/adjust", "/v1/consents", "/v1/releases"} <= set(document["paths"])


def test_before_the_first_bundle_a_decision_says_so(served: House) -> None:
    answer = served.client().post("/v1/adjust", json={"zone": "front.headline", "context": {}})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")
