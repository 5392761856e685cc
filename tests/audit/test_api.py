"""The room's two lists: refused without the right role, and paged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from audit.api import router
from audit.findings import Finding
from audit.findings_store import add
from audit.store import AuditStore, Scan
from tacit.core.access import READERS, Caller, Role
from tacit.core.db import writing
from tacit.core.errors import Forbidden, InvalidRequest, Unauthenticated
from tests.audit.examples import released_vault


def authorise(headers: Mapping[str, str], roles: frozenset[Role], site: str | None) -> tuple[Caller, str]:
    """The header `role` stands for a key."""
    if "role" not in headers:
        raise Unauthenticated
    caller = Caller("key", "newsroom", Role(headers["role"]))
    if caller.role not in roles:
        raise Forbidden
    return caller, caller.site_for(site)


class Client:
    """Asks the app in this process; a problem that an endpoint raises comes out as it is."""

    def __init__(self, store: AuditStore) -> None:
        self._app = FastAPI()
        self._app.include_router(router(store, authorise))

    def get(self, path: str, *, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://tacit") as client:
                return await client.get(path, params=params, headers=headers)

        return asyncio.run(ask())


@pytest.fixture
def store(tmp_path: Path) -> AuditStore:
    return AuditStore(released_vault(tmp_path))


@pytest.fixture
def client(store: AuditStore) -> Client:
    return Client(store)


def fill(store: AuditStore, scans: int) -> None:
    for number in range(scans):
        scan = Scan(f"scan_{number:03d}", "newsroom", "by_age", number, number * 1000, "breach", {"limit": 0.05})
        with writing(store.engine) as connection:
            store.save_scan(scan, connection)
            add(
                connection,
                Finding(f"finding_{number:03d}", "newsroom", "by_age", scan.id, f"subject {number}", "breach", "open", number, number, {}),
            )


@pytest.mark.parametrize("path", ["/v1/audits", "/v1/findings"])
def test_only_readers_are_answered(client: Client, path: str) -> None:
    with pytest.raises(Unauthenticated):
        client.get(path)
    for role in set(Role) - READERS:
        with pytest.raises(Forbidden):
            client.get(path, headers={"role": role.value})
    with pytest.raises(Forbidden):
        client.get(path, params={"site": "elsewhere"}, headers={"role": "auditor"})
    for role in READERS:
        assert client.get(path, headers={"role": role.value}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/audits", "/v1/findings"])
def test_lists_are_paged_newest_first_without_a_gap(client: Client, store: AuditStore, path: str) -> None:
    fill(store, 5)
    name = path.rsplit("/", 1)[-1]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(path, params={"limit": 2, "cursor": cursor}, headers={"role": "auditor"}).json()
        seen += [one["id"] for one in page[name]]
        cursor = page["next"]
    assert len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


def test_lists_are_filtered(client: Client, store: AuditStore) -> None:
    fill(store, 4)
    headers = {"role": "officer"}
    some = client.get("/v1/audits", params={"from": "1970-01-01T00:00:01Z", "to": "1970-01-01T00:00:03Z"}, headers=headers).json()
    assert [one["slot"] for one in some["audits"]] == [2, 1]
    assert some["audits"][0]["limit"] == 0.05
    assert client.get("/v1/audits", params={"audit": "unknown"}, headers=headers).json() == {"audits": [], "next": None}
    assert len(client.get("/v1/findings", params={"state": "open"}, headers=headers).json()["findings"]) == 4
    assert client.get("/v1/findings", params={"state": "closed"}, headers=headers).json()["findings"] == []
    with pytest.raises(InvalidRequest):
        client.get("/v1/audits", params={"from": "yesterday"}, headers=headers)


def test_the_web_process_loads_no_heavy_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys, audit.api, audit.comparisons, audit.log, audit.lifecycle, audit.quality, audit.store, audit.trend_store\n"
        "print([m for m in ('great_expectations', 'fairlearn', 'pandas', 'numpy', 'opendp', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
