from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from ingest.api import EventsEndpoint
from tacit.core.access import Caller, Role
from tacit.core.errors import Problem, Unauthenticated
from tests.ingest.world import SITE, World


def render(problem: Problem) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return 499, [], json.dumps({"type": problem.type, "detail": problem.detail}).encode()


def authorise(headers, roles, site):
    if "x-api-key" not in headers:
        raise Unauthenticated()
    caller = Caller("k", "*" if headers["x-api-key"] == "admin" else SITE, Role.WRITE)
    return caller, caller.site_for(site)


def endpoint(world: World) -> EventsEndpoint:
    return EventsEndpoint(world.door, world.staging, authorise, render)


async def ask(one: EventsEndpoint, *chunks: bytes, query: bytes = b"", method: str = "POST", **headers: str) -> tuple[int, Any]:
    given = {"x-api-key": "key"} | {k.replace("_", "-"): v for k, v in headers.items()}
    scope = {
        "type": "http",
        "method": method,
        "path": "/v1/events",
        "query_string": query,
        "headers": [(k.encode(), v.encode()) for k, v in given.items() if v],
    }
    parts = [{"type": "http.request", "body": c, "more_body": i < len(chunks) - 1} for i, c in enumerate(chunks)]
    sent: list[Any] = []

    async def receive() -> Any:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await one(scope, receive, send)
    if not sent:
        return 0, None
    body = sent[1]["body"]
    return sent[0]["status"], json.loads(body) if body else None


def body(world: World, *identifiers: str) -> bytes:
    return json.dumps({"events": [world.event(i, category="news") for i in identifiers]}).encode()


def test_without_a_key_nothing_is_read(world):
    status, problem = asyncio.run(ask(endpoint(world), body(world, "1"), x_api_key=""))
    assert (status, problem["type"]) == (499, "unauthenticated")
    assert world.segments() == []


def test_a_batch_is_answered_with_its_verdict(world):
    world.grant("ada")
    one, text = endpoint(world), body(world, "1", "2")
    assert asyncio.run(ask(one, text[:10], text[10:])) == (200, {"accepted": 2, "refused": {}, "rejected": []})
    assert asyncio.run(ask(one, gzip.compress(body(world, "3")), content_encoding="gzip"))[1]["accepted"] == 1


def test_an_admin_names_the_site_and_another_sites_key_cannot(world):
    world.grant("ada", site="other")
    assert asyncio.run(ask(endpoint(world), body(world, "1"), query=b"site=other", x_api_key="admin"))[1]["accepted"] == 1
    assert asyncio.run(ask(endpoint(world), body(world, "1"), query=b"site=other"))[1]["type"] == "forbidden"


@pytest.mark.parametrize(("value", "accepted"), [("1", 0), ("0", 1), ("true", 1), ("", 1)])
def test_global_privacy_control_is_the_header_1_exactly(world, value, accepted):
    world.grant("ada")
    assert asyncio.run(ask(endpoint(world), body(world, "1"), sec_gpc=value))[1]["accepted"] == accepted


def test_requests_of_one_turn_share_one_sync(world):
    world.grant("ada")
    one = endpoint(world)

    async def many() -> list[tuple[int, Any]]:
        return list(await asyncio.gather(*(ask(one, body(world, str(i))) for i in range(20))))

    assert [a["accepted"] for _, a in asyncio.run(many())] == [1] * 20
    world.later()
    assert len(world.rows()) == 40


@pytest.mark.parametrize(
    ("chunks", "headers", "problem"),
    [
        ([b"x" * 300_000, b"x" * 300_000], {}, "request-too-large"),
        ([b"{}"], {"content_length": "99999999999999999999"}, "request-too-large"),
        ([gzip.compress(b" " * 50_000_000)], {"content_encoding": "gzip"}, "request-too-large"),
        ([b"{}"], {"content_encoding": "gzip"}, "invalid-request"),
        ([gzip.compress(b"{}")[:-3]], {"content_encoding": "gzip"}, "invalid-request"),
        ([gzip.compress(b"{}") + b"x"], {"content_encoding": "gzip"}, "invalid-request"),
        ([b"{}"], {"content_encoding": "br"}, "invalid-request"),
        ([b"not json"], {}, "invalid-request"),
    ],
)
def test_bodies_that_cannot_be_read_are_refused_whole(world, chunks, headers, problem):
    status, answer = asyncio.run(ask(endpoint(world), *chunks, **headers))
    assert (status, answer["type"]) == (499, problem)


def test_other_methods_and_departed_clients(world):
    status, problem = asyncio.run(ask(endpoint(world), method="GET"))
    assert (status, problem["type"]) == (499, "method-not-allowed")
    assert asyncio.run(ask(endpoint(world))) == (0, None)


def test_a_failed_sync_fails_every_request_of_the_turn_and_a_resent_event_counts(world):
    import os

    world.grant("ada")
    one = endpoint(world)

    async def turn() -> list[tuple[int, Any]]:
        first = asyncio.gather(*(ask(one, body(world, str(i))) for i in range(3)))
        await asyncio.sleep(0)  # the three have appended; their flush is still to come
        segment = world.staging._segments[SITE]
        handle, segment._handle = segment._handle, os.open("/dev/null", os.O_WRONLY)
        answers = list(await first)
        os.close(handle)
        return answers

    assert [a["type"] for _, a in asyncio.run(turn())] == ["storage-unavailable"] * 3
    assert asyncio.run(ask(one, body(world, "0", "1", "2")))[1]["accepted"] == 3
