"""The room over HTTP: what must be refused comes first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from adjust import bundles_api
from adjust.api import AdjustEndpoint, router
from adjust.bundle import verify
from adjust.current import Deciders
from adjust.decide import Decider
from adjust.experiment_store import ExperimentStore
from adjust.models_store import ModelStore
from adjust.push import Changes
from adjust.service import Engine
from adjust.store import BundleStore, PolicyHistory
from privacy.releases import ReleaseStore
from tacit.core.access import Caller, Role
from tacit.core.declaration import policy_measure
from tacit.core.errors import Forbidden, Problem, Unauthenticated, UnknownSite
from tests.adjust.support import ROOT, FixedClock, MemoryEvidence, declaration, draw, payload, policy, put, site, vault

KEYS = {
    "sender": Caller("k1", "newsroom", Role.WRITE),
    "admin": Caller("k2", "*", Role.ADMIN),
    "auditor": Caller("k3", "newsroom", Role.AUDITOR),
}
CANARY = "canary-7f3a91"


def authorise(headers: Mapping[str, str], roles: frozenset[Role], named: str | None, /) -> tuple[Caller, str]:
    caller = KEYS.get(headers.get("x-api-key", ""))
    if caller is None:
        raise Unauthenticated
    if caller.role not in roles:
        raise Forbidden
    found = caller.site_for(named)
    if found != "newsroom":
        raise UnknownSite("no such site")
    return caller, found


def render(problem: Problem) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return 400, [(b"x-problem", problem.type.encode())], json.dumps({"type": problem.type, "detail": problem.diagnostics()}).encode()


def ask(body: Any, *, key: str = "sender", method: str = "POST", published: bool = True, declared: Any = None) -> tuple[str, Any]:
    """The problem's type or an empty text, and the decoded or raw answer."""
    decider = Decider.from_bundle(payload(declared or policy())) if published else None
    endpoint = AdjustEndpoint(lambda _site: decider, authorise, render)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    half = len(content) // 2
    parts = [{"body": content[:half], "more_body": True}, {"body": content[half:]}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"} | parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-api-key", key.encode())] if key else []
    asyncio.run(endpoint({"type": "http", "method": method, "headers": headers}, receive, send))
    problem = dict(sent[0]["headers"]).get(b"x-problem", b"").decode()
    answer = sent[1]["body"]
    return problem, answer.decode() if problem else json.loads(answer)


@pytest.mark.parametrize("body", [{}, {"zone": "front.headline"}, b"{"])
def test_without_a_key_or_with_a_reader_s_no_decision_is_made(body: Any) -> None:
    assert ask(body, key="")[0] == "unauthenticated"
    assert ask(body, key="auditor")[0] == "forbidden"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{" + CANARY.encode(), "invalid-request"),
        (b"\xff\xfe", "invalid-request"),
        (b"", "invalid-request"),
        (CANARY, "invalid-request"),
        ([], "invalid-request"),
        ({"context": {"device": "mobile"}}, "invalid-request"),
        ({"zone": CANARY, "context": CANARY}, "invalid-request"),
        ({"zone": "front.headline", "unit": CANARY * 40}, "invalid-request"),
        ({"zone": "front.headline", "unit": 3}, "invalid-request"),
        ({"zone": CANARY}, "unknown-policy"),
        ({"policy": CANARY}, "unknown-policy"),
        ({"zone": "front.headline", "site": CANARY}, "forbidden"),
        (b" " * 40_000, "request-too-large"),
        (b"[" * 30_000, "invalid-request"),
    ],
)
def test_a_bad_question_is_refused_and_never_repeated(body: Any, problem: str) -> None:
    found, answer = ask(body)
    assert found == problem
    assert CANARY not in answer


def test_other_methods_are_refused() -> None:
    assert ask({}, method="GET")[0] == "method-not-allowed"


def test_a_decision_has_the_contract_s_members() -> None:
    body = {"zone": "front.headline", "context": {"device": "mobile", "shoe_size": 44}, "unit": "u", "more": 1}
    problem, answer = ask(body)
    assert problem == ""
    assert set(answer) == {"policy", "arm", "parameters", "propensity", "cell", "reason", "bundle"}
    assert answer["cell"] == "mobile|other"
    assert ask(body)[1] == answer
    assert ask({"policy": "headline"})[1]["policy"] == "headline"


def test_before_the_first_bundle_a_decision_says_so() -> None:
    problem, answer = ask({"zone": "front.headline"}, published=False)
    assert problem == "no-bundle"
    assert "no bundle yet" in answer


def test_an_admin_names_the_site() -> None:
    assert ask({"zone": "front.headline"}, key="admin")[0] == "unknown-site"
    assert ask({"zone": "front.headline", "site": "newsroom"}, key="admin")[0] == ""


def test_signals_that_do_not_fire_the_trigger_show_the_default_and_are_not_counted() -> None:
    declared = policy(trigger={"any": [{"scroll_depth": {"gt": 50}}]}, holdout=0.0)
    body = {"policy": "headline", "unit": "u"}
    assert ask(body | {"signals": {"scroll_depth": 51}}, declared=declared)[1].keys().isdisjoint({"counted"})
    _, answer = ask(body | {"signals": {"scroll_depth": 50}}, declared=declared)
    assert (answer["reason"], answer["arm"], answer["propensity"], answer["counted"]) == ("not_triggered", "control", 1.0, False)
    assert "counted" not in ask(body, declared=declared)[1]


def test_many_questions_are_answered_each_by_itself() -> None:
    good = {"zone": "front.headline", "unit": "u"}
    bad = [{}, {"policy": CANARY}, {"zone": "front.headline", "unit": 3}, CANARY, {"questions": []}, good | {"site": CANARY}]
    problem, answer = ask({"questions": [good, *bad, good]})
    assert problem == ""
    first, *refused, last = answer["answers"]
    assert first == last == ask(good)[1]
    types = [one["problem"]["type"] for one in refused]
    assert types == ["invalid-request", "unknown-policy", "invalid-request", "invalid-request", "invalid-request", "invalid-request"]
    assert CANARY not in json.dumps(answer)
    assert ask({"questions": [good] * 51})[0] == "invalid-request"
    assert ask({"questions": [good], "site": "newsroom"}, key="admin")[1]["answers"] == [first]
    assert ask({"questions": [good]}, published=False)[1]["answers"][0]["problem"]["type"] == "no-bundle"


class Client:
    """Asks an application in this process."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def get(self, path: str, **options: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost") as client:
                return await client.get(path, **options)

        return asyncio.run(go())


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    database = vault(tmp_path)
    declared = declaration(policy())
    bundles, releases = BundleStore(database, ROOT), ReleaseStore(database)
    app = FastAPI()
    deciders = Deciders(bundles, ["newsroom"])
    app.include_router(router(releases, ExperimentStore(database), declared, authorise))
    app.include_router(bundles_api.router(deciders, Changes(deciders.newest), ["newsroom"], ROOT))

    @app.exception_handler(Problem)
    def render_problem(_request: Request, problem: Problem) -> JSONResponse:
        return JSONResponse(
            {"type": problem.type}, status_code=404 if problem.type in ("no-bundle", "unknown-policy", "unknown-site") else 401
        )

    app.state.database, app.state.deciders = database, deciders
    app.state.engine = Engine(releases, bundles, PolicyHistory(database), MemoryEvidence(), ROOT, FixedClock(), ModelStore(database))
    yield Client(app)
    database.dispose()


def test_experiments_need_a_key_and_a_declared_policy(client: Client) -> None:
    assert client.get("/v1/experiments/headline").status_code == 401
    headers = {"x-api-key": "auditor"}
    assert client.get("/v1/experiments/nothing", headers=headers).status_code == 404
    assert client.get("/v1/experiments/headline", headers=headers).json()["sentence"] == "Nothing was released yet."
    measure = policy_measure("newsroom", policy())
    people = {"mobile|morning": [5_000, 5_000, 5_000, 800]}
    put(client.app.state.database, draw(measure, {"mobile|morning": [0.04] * 4}, people, np.random.default_rng()))
    found = client.get("/v1/experiments/headline", headers=headers).json()
    assert found["windows"] == 1
    assert {c["name"] for c in found["comparisons"]} == {"policy", "bigger", "a_biggest"}
    assert found["comparisons"][0]["low"] < found["comparisons"][0]["difference"] < found["comparisons"][0]["high"]


def test_the_bundle_is_served_signed_and_cacheable(client: Client) -> None:
    assert client.get("/v1/bundles/elsewhere").status_code == 404
    assert client.get("/v1/bundles/newsroom").status_code == 404
    client.app.state.engine.step(site(policy()))
    client.app.state.deciders.refresh()
    answer = client.get("/v1/bundles/newsroom")
    assert verify(answer.content, ROOT.signing_key().public_key())["version"] == 1
    assert "max-age" in answer.headers["cache-control"]
    tag = answer.headers["etag"]
    for condition in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = client.get("/v1/bundles/newsroom", headers={"if-none-match": condition})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get("/v1/bundles/newsroom", headers={"if-none-match": '"x"'}).status_code == 200


def test_the_public_key_is_published(client: Client) -> None:
    assert client.get("/.well-known/jwks.json").json()["keys"][0]["crv"] == "Ed25519"
