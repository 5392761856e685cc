"""Every path and every role: who may is one table here, and a path that is not in it fails the test."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest

from tacit.app import BODY_LIMIT, create_app
from tacit.core.access import KeyStore, Role
from tacit.core.db import connect
from tacit.core.errors import Unauthenticated
from tests.conftest import House

WRITE, APP, OFFICER, AUDITOR, MANAGER, ADMIN = Role.WRITE, Role.APP, Role.OFFICER, Role.AUDITOR, Role.MANAGER, Role.ADMIN
PUBLIC = None
KEEP = {APP, ADMIN}
SEND = {WRITE, APP, ADMIN}
READ = {OFFICER, AUDITOR, MANAGER, ADMIN}
DECIDE = {OFFICER, ADMIN}
STEER = {MANAGER, ADMIN}
EVERYBODY = set(Role)

MAY: dict[str, set[Role] | None] = {
    "GET /healthz": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /.well-known/gpc.json": PUBLIC,
    "GET /.well-known/jwks.json": PUBLIC,
    "GET /v1/bundles/{site}": PUBLIC,
    "GET /v1/bundles/{site}/events": PUBLIC,
    "POST /v1/consents": KEEP,
    "POST /v1/consents/query": KEEP,
    "POST /v1/consents/withdraw": KEEP,
    "POST /v1/consents/history": KEEP,
    "POST /v1/consents/explain": KEEP,
    "POST /v1/consents/simulate": KEEP,
    "POST /v1/consents/receipt": KEEP,
    "POST /v1/rights/access": KEEP,
    "POST /v1/rights/export": KEEP,
    "POST /v1/rights/erase": KEEP,
    "POST /v1/rights/object": KEEP,
    "POST /v1/rights/restrict": KEEP,
    "POST /v1/rights/lift": KEEP,
    "POST /v1/rights/query": KEEP | READ,
    "POST /v1/rights/reject": DECIDE,
    "POST /v1/rights/extend": DECIDE,
    "GET /v1/rights": READ,
    "GET /v1/notices": EVERYBODY,
    "GET /v1/rules": EVERYBODY,
    "GET /v1/notices/{name}": EVERYBODY,
    "PUT /v1/notices/{name}": DECIDE,
    "POST /v1/notices/{name}/served": KEEP,
    "POST /v1/signals/decode": KEEP | READ,
    "GET /v1/consents/export": DECIDE,
    "GET /v1/consents/rates": READ,
    "GET /v1/retention": READ,
    "GET /v1/ropa": READ,
    "GET /v1/dpia": READ,
    "GET /v1/webhooks": DECIDE,
    "GET /v1/webhooks/{name}": DECIDE,
    "PUT /v1/webhooks/{name}": DECIDE,
    "DELETE /v1/webhooks/{name}": DECIDE,
    "GET /v1/webhooks/{name}/messages": DECIDE,
    "POST /v1/webhooks/{name}/retry": DECIDE,
    "POST /v1/events": SEND,
    "POST /v1/adjust": SEND,
    "POST /ofrep/v1/evaluate/flags": SEND,
    "POST /ofrep/v1/evaluate/flags/{key}": SEND,
    "GET /v1/releases": READ | SEND,
    "GET /v1/estimates": READ | SEND,
    "GET /v1/measures": READ | SEND,
    "GET /v1/experiments/{policy}": READ | SEND,
    "GET /v1/budget": READ,
    "GET /v1/plan": READ,
    "GET /v1/audits": READ,
    "GET /v1/audits/{scan}/report": READ,
    "GET /v1/evidence/key": PUBLIC,
    "POST /v1/evidence/witness": PUBLIC,
    "GET /v1/evidence/checkpoint": READ | {APP},
    "GET /v1/evidence/proof": READ | {APP},
    "GET /v1/evidence/consistency": READ | {APP},
    "GET /v1/evidence/tile/{path}": READ | {APP},
    "GET /v1/evidence/entries": READ,
    "GET /v1/policies": READ,
    "GET /v1/policies/{policy}": READ,
    "PUT /v1/policies/{policy}": STEER,
    "POST /v1/policies/{policy}/approve": STEER,
    "POST /v1/policies/{policy}/rollback": STEER,
    "POST /v1/policies/{policy}/pause": STEER | {OFFICER},
    "POST /v1/policies/{policy}/resume": STEER,
    "POST /v1/policies/{policy}/archive": STEER,
    "POST /v1/policies/{policy}/kill": STEER | {OFFICER},
    "GET /v1/models": READ,
    "GET /v1/models/{policy}/compare": READ,
    "GET /v1/models/{policy}/{version}": READ,
    "POST /v1/models/{policy}/rollback": STEER,
    "POST /v1/models/{policy}/versus": STEER,
    "GET /v1/findings": READ,
    "GET /v1/findings/{id}": READ,
    "POST /v1/findings/{id}/price": DECIDE,
    "POST /v1/findings/{id}/assign": DECIDE,
    "POST /v1/findings/{id}/accept": DECIDE,
    "POST /v1/findings/{id}/correct": DECIDE,
    "POST /v1/findings/{id}/dismiss": DECIDE,
    "POST /v1/findings/{id}/comment": DECIDE,
    "POST /v1/findings/{id}/sign": DECIDE,
    "POST /v1/findings/{id}/close": DECIDE,
    "POST /v1/findings/{id}/reopen": DECIDE,
    "GET /v1/subscriptions": DECIDE,
    "PUT /v1/subscriptions/{name}": DECIDE,
    "DELETE /v1/subscriptions/{name}": DECIDE,
    "GET /overview.json": READ,
    "GET /budget.json": READ,
    "GET /policies.json": READ,
    "GET /policies/{policy}.json": READ,
    "GET /audits.json": READ,
    "GET /findings.json": READ,
    "GET /consent.json": READ,
    "GET /findings.csv": READ,
}
"""Path -> the roles that may; everybody else is refused with 403, and without a key with 401."""

UNSEEN = {"POST /ofrep/v1/evaluate/flags", "POST /ofrep/v1/evaluate/flags/{key}"}
"""Paths that the OpenAPI document need not have; pages are not in it either."""
STREAMS = {"GET /v1/bundles/{site}/events"}
FILLED = {
    "site": "newsroom",
    "policy": "headline",
    "name": "nobody",
    "id": "finding_nobody",
    "scan": "scan_nobody",
    "notice": "nobody",
    "path": "0/000.p/1",
    "key": "headline",
    "version": "1",
}

NEEDED = {"/v1/estimates": {"measure": "pages"}, "/v1/evidence/proof": {"index": "0"}, "/v1/evidence/consistency": {"from": "0"}}
"""What a path cannot do without in its query."""


def ask(client: httpx.Client, line: str) -> int:
    method, path = line.split(" ")
    url, body = path.format(**FILLED), {"json": {}} if method in ("POST", "PUT") else {}
    params = {"site": "newsroom"} | NEEDED.get(path, {})
    return client.request(method, url, params=params, **body).status_code


def test_every_documented_path_stands_in_the_table(served: House) -> None:
    document = served.client().get("/openapi.json").json()["paths"]
    documented = {f"{method.upper()} {path}" for path, methods in document.items() for method in methods}
    assert documented - set(MAY) == set(), "say in the table who may"
    api = {line for line in MAY if line.split(" ")[1].startswith(("/v1/", "/.well-known/", "/healthz", "/readyz"))}
    assert api - documented - UNSEEN - STREAMS == set(), "the table names a path that there is not"


def test_each_role_may_what_the_table_says_and_is_refused_before_anything_is_read(served: House) -> None:
    wrong = []
    with httpx.Client(base_url=served.url) as nobody:
        for line, roles in MAY.items():
            if line in STREAMS:
                continue
            if (status := ask(nobody, line)) != 401 and roles is not PUBLIC:
                wrong.append((line, "nobody", status))
            for role in Role:
                status, allowed = ask(served.client(role.value), line), roles is PUBLIC or role in roles
                if (status in (401, 403)) if allowed else (status != 403):
                    wrong.append((line, role.value, status))
    assert wrong == []


def test_an_auditor_changes_nothing() -> None:
    reading = {"POST /v1/signals/decode", "POST /v1/rights/query"}
    assert not [line for line, roles in MAY.items() if roles and AUDITOR in roles and not line.startswith("GET ") and line not in reading]


def test_a_revoked_key_ends_and_lists_show_no_key(house: House) -> None:
    listed = house.tacit("keys", "list", "--format", "json")
    assert listed.returncode == 0, listed.stderr
    assert all(key not in listed.stdout for key in house.keys.values())
    engine = connect(house.settings.released_location)
    store = KeyStore(engine)
    ended = store.identify(house.keys["officer"]).key_id
    assert ended in listed.stdout
    assert house.tacit("keys", "revoke", ended).returncode == 0
    with pytest.raises(Unauthenticated):
        store.identify(house.keys["officer"])
    assert store.identify(house.keys["auditor"]).role is Role.AUDITOR
    assert house.tacit("keys", "revoke", "key_nothing").returncode == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/v1/policies/headline/approve", b"application/json"),
        ("PUT", "/v1/subscriptions/pager", b"application/json"),
        ("POST", "/v1/findings/finding_nobody/comment", b"application/json"),
        ("POST", "/login", b"application/x-www-form-urlencoded"),
        ("POST", "/login", b"multipart/form-data; boundary=x"),
    ],
)
def test_nobody_can_make_the_service_hold_a_body_without_an_end(house: House, method: str, path: str, kind: bytes) -> None:
    taken, answers = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        assert taken < 100, "it reads for ever"
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    async def send(message: MutableMapping[str, Any]) -> None:
        answers.append(message)

    scope: dict[str, Any] = {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 9), "headers": [(b"content-type", kind)],
    }  # fmt: skip
    asyncio.run(create_app(house.settings)(scope, receive, send))
    assert answers[0]["status"] in (400, 401, 403, 413)
    assert taken * 65_536 <= BODY_LIMIT + 65_536
