"""`POST /v1/events` as a plain ASGI endpoint. A reply is sent only after the rows it acknowledges are on the disk.

All requests that the event loop handles in one turn share one sync (group commit). The body is capped while it is read, and again while
it is decompressed.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from ingest.door import Door
from ingest.events import BODY_LIMIT
from ingest.staging import Staging
from tacit.core.access import SENDERS, Caller, Role
from tacit.core.errors import InvalidRequest, MethodNotAllowed, Problem, RequestTooLarge
from tacit.core.logs import Log

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Authorise = Callable[[Mapping[str, str], frozenset[Role], str | None], tuple[Caller, str]]
Render = Callable[[Problem], tuple[int, list[tuple[bytes, bytes]], bytes]]

TIDY_SECONDS = 30.0

_log = Log("events")


class Disconnected(Exception):
    """The client went away before its body was complete."""


class EventsEndpoint:
    """One web process's door to the outside."""

    def __init__(self, door: Door, staging: Staging, authorise: Authorise, render_problem: Render) -> None:
        self._door, self._staging, self._authorise, self._render = door, staging, authorise, render_problem
        self._waiting: list[asyncio.Future[None]] = []
        self._tidying = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            status, headers, body = await self._answer(scope, receive)
        except Disconnected:
            return
        except Problem as problem:
            status, headers, body = self._render(problem)
        except Exception as error:
            _log.fault("events.failed", error)
            status, headers, body = self._render(Problem("an unexpected fault; nothing was accepted", next_step="Send it again later."))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        if scope["method"] != "POST":
            status, fields, problem = self._render(MethodNotAllowed("events are sent with POST"))
            return status, [*fields, (b"allow", b"POST")], problem
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        _, site = self._authorise(headers, SENDERS, _named_site(scope))
        body = await _read(receive, headers)
        verdict = self._door.accept(site, body, gpc=_opted_out(scope))
        await self._synced()
        return 200, [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(verdict))], verdict

    def _synced(self) -> asyncio.Future[None]:
        """Done when everything appended so far is on the disk."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._waiting.append(done)
        if len(self._waiting) == 1:
            loop.call_soon(self._flush)
        if not self._tidying:
            self._tidying = True
            loop.call_later(TIDY_SECONDS, self._tidy)
        return done

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            self._staging.sync()
        except Exception as error:
            self._door.forget_recent()
            for done in waiting:
                if not done.done():
                    done.set_exception(error)
            return
        for done in waiting:
            if not done.done():
                done.set_result(None)

    def _tidy(self) -> None:
        """A process without traffic must not keep the keys of windows that are over."""
        try:
            self._tidying = self._door.tidy()
        except Exception as error:
            _log.fault("events.tidy_failed", error)
        if self._tidying:
            asyncio.get_running_loop().call_later(TIDY_SECONDS, self._tidy)


def _named_site(scope: Scope) -> str | None:
    query = scope.get("query_string", b"")
    return parse_qs(query.decode("latin-1")).get("site", [None])[0] if query else None


def _opted_out(scope: Scope) -> bool:
    """Global Privacy Control: one `1` is enough, in whichever of several headers or list members it stands."""
    values = (value for name, value in scope["headers"] if name == b"sec-gpc")
    return any(part.strip() == b"1" for value in values for part in value.split(b","))


async def _read(receive: Receive, headers: Mapping[str, str]) -> bytes:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise InvalidRequest("the content encoding is not known", next_step="Send JSON as it is or with gzip.")
    length = headers.get("content-length", "")
    if length.isdigit() and int(length[:12]) > BODY_LIMIT:
        raise RequestTooLarge(f"a batch has at most {BODY_LIMIT // 1024} KiB")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT:
            raise RequestTooLarge(f"a batch has at most {BODY_LIMIT // 1024} KiB")
        if not message.get("more_body", False):
            break
    return bytes(body) if encoding == "identity" else _unzipped(bytes(body))


def _unzipped(body: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = stream.decompress(body, BODY_LIMIT + 1)
    except zlib.error:
        raise InvalidRequest("the body is not gzip") from None
    if len(content) > BODY_LIMIT:
        raise RequestTooLarge(f"a batch has at most {BODY_LIMIT // 1024} KiB, decompressed")
    if not stream.eof or stream.unused_data:
        raise InvalidRequest("the body is not one complete gzip stream")
    return content
