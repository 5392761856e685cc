"""Consent over HTTP: refused without a key, strict about bodies, silent about what was sent."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import func, select

from consent.api import router
from consent.errors import IdempotencyConflict
from consent.tables import consent_records
from tacit.core.access import Caller, Role
from tacit.core.configuration import parse
from tacit.core.db import reading
from tacit.core.errors import Forbidden, Problem, RequestTooLarge, Unauthenticated
from tests.consent.support import CANARY, NOTICE, SITE, Room, tcf

STATUS = {Unauthenticated: 401, Forbidden: 403, RequestTooLarge: 413, IdempotencyConflict: 409}
PATHS = ["", "/withdraw", "/query", "/history", "/receipt"]
KEYS = {"app": Role.APP, "write": Role.WRITE, "officer": Role.OFFICER}
DECLARED = parse("sites: {newsroom: {privacy: {epsilon: 1, delta: 1.0e-6}, jurisdiction: {default: us-ca, header: X-Region}}}")


def authorise(headers: Mapping[str, str], roles: frozenset[Role], site: str | None) -> tuple[Caller, str]:
    role = KEYS.get(headers.get("x-api-key", ""))
    if role is None:
        raise Unauthenticated
    if role not in roles:
        raise Forbidden
    return Caller("key_1", SITE, role), Caller("key_1", SITE, role).site_for(site)


class Client:
    """Requests to the application in this process, with the key of an app unless another is given."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str) -> httpx.Response:
        return self._send("GET", path)

    def post(self, path: str, **sent: Any) -> httpx.Response:
        return self._send("POST", path, **sent)

    def _send(self, method: str, path: str, **sent: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://tacit", headers={"X-API-Key": "app"}) as client:
                return await client.request(method, path, **sent)

        return asyncio.run(send())


@pytest.fixture
def client(here: Room) -> Client:
    app = FastAPI()
    app.include_router(router(here.service, authorise, declaration=DECLARED))

    @app.exception_handler(Problem)
    async def _problem(_: Request, problem: Problem) -> JSONResponse:
        body = {"type": problem.type, "title": problem.title, "detail": problem.detail, "next": problem.next_step, **problem.members}
        return JSONResponse(body, STATUS.get(type(problem), 400))

    return Client(app)


def body(**changes: Any) -> dict[str, Any]:
    return {"subject": CANARY, "purposes": {"measurement": True}, "notice": NOTICE.to_json(), "method": "banner"} | changes


def reason(client: Client, **headers: str) -> str:
    answer = client.post("/v1/consents/query", json={"subject": CANARY}, headers=headers)
    return str(answer.json()["purposes"]["measurement"]["reason"])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("key", "status"), [("", 401), ("stolen", 401), ("write", 403), ("officer", 403)])
def test_nothing_is_done_without_the_right_key(client: Client, here: Room, path: str, key: str, status: int) -> None:
    for sent in (body(), {"subject": CANARY}, {"nonsense": CANARY}):
        answer = client.post(f"/v1/consents{path}", json=sent, headers={"X-API-Key": key})
        assert answer.status_code == status
        assert CANARY not in answer.text
    with reading(here.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(consent_records)) == 0


@pytest.mark.parametrize("path", PATHS)
def test_a_key_of_one_site_cannot_name_another(client: Client, path: str) -> None:
    sent = body() if not path else {"subject": CANARY}
    assert client.post(f"/v1/consents{path}?site=other", json=sent).status_code == 403


def test_a_choice_is_answered_with_a_receipt_that_verifies(client: Client, here: Room) -> None:
    answer = client.post("/v1/consents", json=body())
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert here.receipts.verify(answer.json())["jurisdiction"] == "us-ca"
    assert reason(client) == "granted"


@pytest.mark.parametrize(
    ("header", "named", "recorded"),
    [("US-TX", None, "us-tx"), ("", None, "us-ca"), (f"<{CANARY}>", None, "us-ca"), ("us-tx", "eu", "eu")],
)
def test_the_jurisdiction_is_named_sent_or_declared(client: Client, here: Room, header: str, named: str | None, recorded: str) -> None:
    answer = client.post("/v1/consents", json=body(jurisdiction=named), headers={"X-Region": header})
    assert here.receipts.verify(answer.json())["jurisdiction"] == recorded


def test_sec_gpc_of_exactly_one_removes(client: Client, here: Room) -> None:
    answer = client.post("/v1/consents", json=body(), headers={"Sec-GPC": "1"})
    said = here.receipts.verify(answer.json())
    assert [(d["state"], d["reason"]) for d in said["decisions"]] == [("refused", "gpc")]
    assert said["signals"]["gpc"] is True


def test_sec_gpc_removes_for_one_request_what_was_granted_before(client: Client) -> None:
    client.post("/v1/consents", json=body())
    assert reason(client, **{"Sec-GPC": "1"}) == "gpc"
    assert reason(client) == "granted"


@pytest.mark.parametrize("value", ["0", "", "true", "01", "1.0", "1, 1", "11", "yes", "?1"])
def test_any_other_sec_gpc_says_nothing(client: Client, here: Room, value: str) -> None:
    answer = client.post("/v1/consents", json=body(), headers={"Sec-GPC": value})
    assert here.receipts.verify(answer.json())["decisions"][0]["state"] == "granted"
    assert reason(client, **{"Sec-GPC": value}) == "granted"


def test_one_of_several_sec_gpc_headers_is_enough(client: Client, here: Room) -> None:
    answer = client.post("/v1/consents", json=body(), headers=[("X-API-Key", "app"), ("Sec-GPC", "0"), ("Sec-GPC", "1")])
    assert here.receipts.verify(answer.json())["decisions"][0]["reason"] == "gpc"


@pytest.mark.parametrize(("signal", "state"), [(True, "refused"), (False, "granted"), (None, "granted")])
def test_gpc_in_the_body_removes_and_never_overrules_the_header(client: Client, here: Room, signal: bool | None, state: str) -> None:
    sent = body(signals={"gpc": signal, "tcf": tcf(8, 9)})
    assert here.receipts.verify(client.post("/v1/consents", json=sent).json())["decisions"][0]["state"] == state
    with_header = client.post("/v1/consents", json=sent, headers={"Sec-GPC": "1"}).json()
    assert here.receipts.verify(with_header)["decisions"][0]["state"] == "refused"


def test_withdrawal_needs_no_more_than_the_identifier(client: Client) -> None:
    client.post("/v1/consents", json=body())
    assert client.post("/v1/consents/withdraw", json={"subject": CANARY}).status_code == 200
    assert reason(client) == "withdrawn"


def test_history_pages(client: Client) -> None:
    for granted in (True, False, True):
        client.post("/v1/consents", json=body(purposes={"measurement": granted}))
    first = client.post("/v1/consents/history", json={"subject": CANARY, "limit": 2}).json()
    second = client.post("/v1/consents/history", json={"subject": CANARY, "limit": 2, "cursor": first["next"]}).json()
    assert [r["state"] for r in first["records"] + second["records"]] == ["granted", "refused", "granted"]
    assert second["next"] is None
    assert CANARY not in json.dumps([first, second])


@pytest.mark.parametrize("path", ["", "/withdraw"])
def test_an_idempotency_key_replays_its_answer_and_conflicts_on_another_body(client: Client, path: str) -> None:
    sent = body() if not path else {"subject": CANARY}

    def send(content: dict[str, Any]) -> httpx.Response:
        return client.post(f"/v1/consents{path}", json=content, headers={"Idempotency-Key": "k-1"})

    first = send(sent)
    assert send(sent).json() == first.json()
    other = send({**sent, "subject": "somebody else"})
    assert other.status_code == 409
    assert other.json()["type"] == "idempotency-conflict"
    assert "somebody else" not in other.text
    assert "k-1" not in other.text


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": ""},
        {"subject": "   "},
        {"subject": [CANARY]},
        {"subject": CANARY * 40},
        {"subject": "\ud800" + CANARY},
        {"purposes": {}},
        {"purposes": {CANARY: True}},
        {"purposes": {"measurement": CANARY}},
        {"purposes": {"measurement": "yes"}},
        {"purposes": {"measurement": 1}},
        {"purposes": {"measurement": None}},
        {CANARY: 1},
        {"method": CANARY},
        {"jurisdiction": CANARY},
        {"age_band": CANARY},
        {"id_type": CANARY},
        {"notice": {**NOTICE.to_json(), "id": CANARY}},
        {"notice": {**NOTICE.to_json(), CANARY: CANARY}},
        {"notice": {**NOTICE.to_json(), "sha256": CANARY}},
        {"notice": {**NOTICE.to_json(), "version": "1\n"}},
        {"notice": CANARY},
        {"signals": {"tcf": CANARY}},
        {"signals": {"gpc": "1"}},
        {"signals": {"unknown": CANARY}},
    ],
)
def test_a_body_that_is_not_exact_is_refused_and_never_echoed(
    client: Client, here: Room, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tacit")
    answer = client.post("/v1/consents", content=json.dumps(body(**changes)), headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "invalid-request"
    assert answer.json()["errors"]
    assert "canary" not in answer.text
    assert "canary" not in caplog.text
    with reading(here.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(consent_records)) == 0


def test_a_fault_is_named_by_its_place(client: Client) -> None:
    answer = client.post("/v1/consents", json=body(purposes={"measurement": "yes", CANARY: True}))
    assert {e["pointer"] for e in answer.json()["errors"]} == {"/purposes/measurement", "/purposes/*"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe" + CANARY.encode(),
        b"[" * 20_000,
        f'"{CANARY}"'.encode(),
        f'{{"subject": "{CANARY}", "subject": "x"}}'.encode(),
        b'{"subject": "canary", "purposes": {"measurement": false, "measurement": true}}',
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_not_plain_json_is_refused(client: Client, path: str, content: bytes) -> None:
    answer = client.post(f"/v1/consents{path}", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "canary" not in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_a_body_over_the_limit_is_refused(client: Client, path: str) -> None:
    assert client.post(f"/v1/consents{path}", json={"subject": CANARY * 2_000}).status_code == 413


def test_the_schema_is_published(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {f"/v1/consents{path}" for path in PATHS}
    assert all("requestBody" in methods["post"] for methods in paths.values())
