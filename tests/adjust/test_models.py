"""The registry: who may look and roll back, what is kept of a version, and that an earlier one can stand again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import Engine as Database

from adjust import models_api
from adjust.errors import UnknownModel
from adjust.models_store import ModelStore
from adjust.policies import PolicyBook
from adjust.pricing import Pricing
from adjust.service import Engine
from adjust.store import BundleStore, PolicyHistory
from privacy.releases import ReleaseStore
from tacit.core.access import Caller, Role
from tacit.core.declaration import policy_measure
from tacit.core.errors import Forbidden, Problem, Unauthenticated
from tests.adjust.support import ROOT, FixedClock, MemoryEvidence, declaration, draw, policy, put, site, vault

POLICY = policy()
MEASURE = policy_measure("newsroom", POLICY)


class House:
    """An engine and its registry beside a vault."""

    def __init__(self, database: Database) -> None:
        self.database, self.evidence, self.clock = database, MemoryEvidence(), FixedClock()
        self.bundles, self.models = BundleStore(database, ROOT), ModelStore(database)
        releases, self.book = ReleaseStore(database), PolicyBook(database, self.evidence, self.clock)
        self.pricing = lambda: Pricing(releases, self.models, self.book)
        self.engine = Engine(releases, self.bundles, PolicyHistory(database), self.evidence, ROOT, self.clock, self.models, self.book)

    def window(self, number: int, best: int) -> dict:
        """One more window in which one arm is three times as good, and what is served after it."""
        rates = {"mobile|morning": [0.09 if arm == best else 0.03 for arm in range(3)] + [0.03]}
        put(self.database, draw(MEASURE, rates, {"mobile|morning": [900, 900, 900, 100]}, np.random.default_rng(), number=number))
        return self.served()

    def served(self) -> dict:
        self.engine.step(site(POLICY))
        payload = self.bundles.latest_payload("newsroom")
        assert payload is not None
        return payload["policies"]["headline"]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = vault(tmp_path)
    yield House(database)
    database.dispose()


class Client:
    """Asks the application without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://tacit") as client:
                return await client.request(method, path, **options)

        return asyncio.run(go())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


@pytest.fixture
def client(house: House) -> Client:
    def authorise(headers: Mapping[str, str], roles: frozenset[Role], named: str | None) -> tuple[Caller, str]:
        if "x-role" not in headers:
            raise Unauthenticated()
        role = Role(headers["x-role"])
        if role not in roles:
            raise Forbidden()
        return Caller("key_1", "newsroom", role), named or "newsroom"

    app = FastAPI()
    app.include_router(models_api.router(house.models, house.book, house.pricing, declaration(POLICY), authorise))
    statuses = {"unauthenticated": 401, "forbidden": 403, "unknown-model": 404, "unknown-policy": 404}
    app.add_exception_handler(Problem, lambda _request, problem: JSONResponse({"type": problem.type}, statuses[problem.type]))
    return Client(app)


@pytest.mark.parametrize(
    ("method", "path", "role", "status"),
    [
        ("GET", "/v1/models?policy=headline", None, 401),
        ("GET", "/v1/models?policy=headline", "write", 403),
        ("GET", "/v1/models/headline/1", "app", 403),
        ("POST", "/v1/models/headline/rollback", "officer", 403),
        ("POST", "/v1/models/headline/rollback", "auditor", 403),
        ("GET", "/v1/models?policy=nothing", "auditor", 404),
        ("GET", "/v1/models/headline/99", "auditor", 404),
        ("POST", "/v1/models/headline/rollback", "admin", 404),
        ("POST", "/v1/models/headline/rollback", "manager", 404),
    ],
)
def test_strangers_and_unknown_versions_are_refused(client: Client, method: str, path: str, role: str | None, status: int) -> None:
    body = {"version": 99} if method == "POST" else None
    assert client.request(method, path, headers={"x-role": role} if role else {}, json=body).status_code == status


def test_each_window_makes_a_version_with_its_releases_metrics_weights_and_hash(house: House, client: Client) -> None:
    house.window(0, best=1)
    house.window(1, best=1)
    listed = client.get("/v1/models?policy=headline&limit=1", headers={"x-role": "auditor"}).json()
    assert ([m["version"] for m in listed["models"]], listed["next"], listed["pinned"]) == ([2], 2, None)
    one = client.get("/v1/models/headline/2", headers={"x-role": "officer"}).json()
    assert (one["releases"]["count"], one["releases"]["first"], one["metrics"]["windows"]) == (2, "rel_policy.headline_0", 2)
    assert one["weights"]["default"][-1] == 65535
    assert len(one["sha256"]) == 64
    assert "weights" not in listed["models"][0]


def test_no_version_is_made_where_nothing_was_learned(house: House) -> None:
    first = house.window(0, best=1)
    assert house.served() == first
    assert len(house.models.list("newsroom", "headline")) == 1


def test_rolling_back_serves_the_earlier_weights_until_it_is_undone_and_is_on_record(house: House, client: Client) -> None:
    first = house.window(0, best=1)
    second = house.window(1, best=2)
    assert first["weights"] != second["weights"]
    assert client.post("/v1/models/headline/rollback", headers={"x-role": "admin"}, json={"version": 1}).json()["pinned"] == 1
    back = house.served()
    assert (back["weights"], back["default"], back["model"]) == (first["weights"], first["default"], 1)
    third = house.window(2, best=2)
    assert (third["weights"], third["model"]) == (first["weights"], 1)
    assert client.post("/v1/models/headline/rollback", headers={"x-role": "admin"}, json={"version": None}).status_code == 200
    assert house.served()["model"] == 3
    assert house.evidence.kinds().count("policy.ordered") == 2


def test_a_version_that_does_not_fit_the_declared_arms_is_not_served(house: House) -> None:
    house.window(0, best=1)
    house.book.order(site(POLICY), "headline", "pinned", 1, actor="key_1")
    house.engine.step(site(policy(arms={"control": {}, "other_one": {}})))
    payload = house.bundles.latest_payload("newsroom")
    assert payload is not None
    assert payload["policies"]["headline"]["model"] == 2
    assert payload["policies"]["headline"]["default"] == [32768, 65535]


def test_an_unknown_version_is_not_to_be_had(house: House) -> None:
    with pytest.raises(UnknownModel):
        house.models.get("newsroom", "headline", 1)
