"""Signals over HTTP: who may ask, that the answer is the command's, and that nothing comes back of what was sent."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from consent.signals import answers, gpc
from consent.signals_api import router
from tacit.core.access import Caller, Role
from tacit.core.errors import Forbidden, InvalidRequest, Problem, RequestTooLarge, Unauthenticated
from tests.consent.signals.encoder import Tc, gpp_string

PATH = "/v1/signals/decode"
CANARY = "canary-7f3a"
STATUS = {Unauthenticated: 401, Forbidden: 403, RequestTooLarge: 413, InvalidRequest: 422}


class Clock:
    def now_ms(self) -> int:
        return 1_795_478_400_000


def authorise(headers: Mapping[str, str], roles: frozenset[Role], site: str | None) -> tuple[Caller, str]:
    key = headers.get("x-api-key", "")
    if key not in set(Role):
        raise Unauthenticated
    if Role(key) not in roles:
        raise Forbidden
    return Caller("key_1", "newsroom", Role(key)), site or "newsroom"


@pytest.fixture(scope="module")
def app() -> FastAPI:
    made = FastAPI()
    made.include_router(router(authorise, Clock()))

    @made.exception_handler(Problem)
    async def _problem(_: Request, problem: Problem) -> JSONResponse:
        return JSONResponse({"type": problem.type, "detail": problem.detail, **problem.members}, STATUS.get(type(problem), 500))

    return made


def send(app: FastAPI, method: str, path: str, *, key: str = "app", **sent: Any) -> httpx.Response:
    async def sending() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tacit", headers={"X-API-Key": key}) as client:
            return await client.request(method, path, **sent)

    return asyncio.run(sending())


@pytest.mark.parametrize(("key", "status"), [("", 401), ("write", 403), ("app", 200), ("admin", 200), ("officer", 200), ("auditor", 200)])
def test_who_keeps_consent_or_reads_may_decode(app: FastAPI, key: str, status: int) -> None:
    assert send(app, "POST", PATH, key=key, json={"gpp": "DBAA"}).status_code == status


@pytest.mark.parametrize(
    "asked", [{"tcf": Tc().text()}, {"gpp": gpp_string({2: Tc().text(), 6: "1YNN"})}, {"tcf": CANARY}, {"gpp": CANARY}]
)
def test_the_answer_is_the_commands(app: FastAPI, asked: dict[str, str]) -> None:
    answer = send(app, "POST", PATH, json=asked)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    [printed] = answers.lines(io.BytesIO(json.dumps(asked).encode()), Clock())
    assert answer.json() == json.loads(json.dumps(printed))
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"subject": "canary-7f3a"}', b'{"tcf": "canary-7f3a", "tcf": "x"}', b'{"tcf": {"canary-7f3a": 1}}']
)
def test_a_body_that_is_no_request_is_a_problem_that_repeats_nothing(app: FastAPI, body: bytes) -> None:
    answer = send(app, "POST", PATH, content=body)
    assert answer.status_code == 422
    assert CANARY not in answer.text


def test_a_body_over_the_limit_is_refused_while_it_is_read(app: FastAPI) -> None:
    assert send(app, "POST", PATH, content=b" " * (answers.MAX_REQUEST + 1)).status_code == 413
    assert send(app, "POST", PATH, json={"tcf": "C" * 65_537}).json()["code"] == "too_large"


def test_the_document_names_the_body(app: FastAPI) -> None:
    schema = app.openapi()["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert [one["required"] for one in schema["oneOf"]] == [["tcf"], ["gpp"]]


def test_anybody_may_read_that_global_privacy_control_is_respected(app: FastAPI) -> None:
    answer = send(app, "GET", "/.well-known/gpc.json", key="")
    assert answer.json() == {"gpc": True, "lastUpdate": gpc.LAST_UPDATE}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("values", "opted_out"),
    [
        (["1"], True),
        (["0", "1"], True),
        (["0, 1"], False),
        ([" 1"], False),
        ([], False),
        ([""], False),
        (["0"], False),
        (["11"], False),
        (["1;q=1"], False),
        (["true"], False),
        (["１"], False),
    ],
)
def test_global_privacy_control_is_exactly_1(values: list[str], opted_out: bool) -> None:
    assert gpc.opted_out(values) is opted_out
