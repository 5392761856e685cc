"""The OpenFeature Remote Evaluation Protocol 0.3.0, so that any OpenFeature client works with Tacit unmodified.

https://github.com/open-feature/protocol, service/openapi.yaml and event-streams.yaml. Plain ASGI, like `/v1/adjust`. Nothing of a request
is stored or logged; only declared context keys are looked at, `targetingKey` is the unit and may be missing: the draw is then fresh.
Limits of our own: a body has at most 32 KiB; we never answer 429.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from adjust.api import Authorise, read_body
from adjust.bundles_api import matches
from adjust.current import Current
from adjust.flags import Flags
from tacit.core.access import SENDERS, credentials
from tacit.core.errors import Forbidden, Problem, RequestTooLarge, Unauthenticated

PREFIX = "/ofrep/v1/evaluate/flags"
UNIT_LIMIT = 256
INACTIVITY_SECONDS = 120
CATCH_UP_SECONDS = 2.0
"""How long a request that names a newer bundle waits for this process to have it; processes follow twice a second."""

_KEY = re.compile(r"[A-Za-z0-9._-]{1,140}")

_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"ETag, Retry-After"),
]
_PREFLIGHT = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, If-None-Match, X-API-Key"),
    (b"access-control-max-age", b"86400"),
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = tuple[int, dict[str, Any] | None, list[tuple[bytes, bytes]]]


class _Refused(Exception):
    """A request that OFREP answers with 400 and an error code."""

    def __init__(self, code: str, details: str) -> None:
        self.code, self.details = code, details


class _Body(msgspec.Struct):
    context: dict[str, Any] = {}


class OfrepEndpoint:
    """`POST /ofrep/v1/evaluate/flags` and `POST /ofrep/v1/evaluate/flags/{key}`."""

    def __init__(self, newest: Callable[[str], Current | None], authorise: Authorise) -> None:
        self._newest, self._authorise = newest, authorise
        self._decode = msgspec.json.Decoder(_Body).decode
        self._encode = msgspec.json.Encoder().encode
        self._prepared: dict[str, tuple[Current, Flags]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        status, content, fields = await self._respond(scope, receive)
        body = b"" if content is None else self._encode(content)
        fields = [*_CORS, *fields, (b"cache-control", b"no-store"), (b"content-length", b"%d" % len(body))]
        if body:
            fields.append((b"content-type", b"application/json"))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    async def _respond(self, scope: Scope, receive: Receive) -> Answer:
        key = scope["path"].removeprefix(PREFIX).removeprefix("/") or None
        named = {} if key is None else {"key": key if _KEY.fullmatch(key) else ""}
        if scope["method"] == "OPTIONS":
            return 204, None, _PREFLIGHT
        if scope["method"] != "POST":
            return 405, {"errorDetails": "flags are evaluated with POST"}, [(b"allow", b"POST, OPTIONS")]
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        try:
            _, site = self._authorise(credentials(scope["headers"]), SENDERS, query.get("site"))
            context, unit = self._context(await read_body(receive))
            if key is not None:
                return self._one(site, key, context, unit)
            held = next((value.decode("latin-1") for name, value in reversed(scope["headers"]) if name == b"if-none-match"), "")
            return await self._all(site, context, unit, query.get("flagConfigLastModified", ""), held)
        except Unauthenticated:
            return 401, None, []
        except Forbidden:
            return 403, None, []
        except RequestTooLarge as problem:
            return 400, named | {"errorCode": "INVALID_CONTEXT", "errorDetails": problem.detail}, []
        except _Refused as refused:
            return 400, named | {"errorCode": refused.code, "errorDetails": refused.details}, []
        except Problem as problem:
            return 400, named | {"errorCode": "GENERAL", "errorDetails": f"{problem.title}: {problem.detail}"}, []

    def _one(self, site: str, key: str, context: Mapping[str, Any], unit: str | None) -> Answer:
        found = self._flags(site)
        evaluated = None if found is None else found[1].one(key, context, unit)
        if evaluated is None:
            details = "no policy or parameter of this key is published"
            return 404, {"key": key if _KEY.fullmatch(key) else "", "errorCode": "FLAG_NOT_FOUND", "errorDetails": details}, []
        return 200, evaluated, []

    async def _all(self, site: str, context: Mapping[str, Any], unit: str | None, announced: str, held: str) -> Answer:
        await self._catch_up(site, announced)
        found = self._flags(site)
        streams = [{"type": "sse", "endpoint": {"requestUri": f"/v1/bundles/{site}/events"}, "inactivityDelaySec": INACTIVITY_SECONDS}]
        content: dict[str, Any] = {"flags": [], "eventStreams": streams}
        if found is not None:
            content["flags"] = list(found[1].all(context, unit))
            content["metadata"] = {"site": site, "bundle": found[0].version}
        if unit is None and found is not None:
            return 200, content, []  # drawn afresh each time: there is nothing to compare
        tag = f'"{hashlib.sha256(self._encode(content)).hexdigest()[:32]}"'
        if matches(held, tag):
            return 304, None, [(b"etag", tag.encode())]
        return 200, content, [(b"etag", tag.encode())]

    async def _catch_up(self, site: str, announced: str) -> None:
        """An event may come from a process that is ahead of this one: wait a moment rather than answer from before the event."""
        if not (announced.isascii() and announced.isdigit()):
            return
        for _ in range(int(CATCH_UP_SECONDS * 10)):
            found = self._newest(site)
            if found is not None and found.published_ms // 1000 >= int(announced[:16]):
                return
            await asyncio.sleep(0.1)

    def _flags(self, site: str) -> tuple[Current, Flags] | None:
        current = self._newest(site)
        if current is None:
            return None
        prepared = self._prepared.get(site)
        if prepared is None or prepared[0] is not current:
            prepared = self._prepared[site] = (current, Flags(current.decider, current.payload["policies"]))
        return prepared

    def _context(self, body: bytes) -> tuple[Mapping[str, Any], str | None]:
        try:
            context = self._decode(body).context
        except msgspec.ValidationError:
            raise _Refused("INVALID_CONTEXT", "`context` is not an object") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _Refused("PARSE_ERROR", "the body is not a JSON object") from None
        unit = context.get("targetingKey")
        if unit is not None and not isinstance(unit, str):
            raise _Refused("INVALID_CONTEXT", "`targetingKey` is not a string")
        if unit is not None and len(unit) > UNIT_LIMIT:
            raise _Refused("INVALID_CONTEXT", f"`targetingKey` has more than {UNIT_LIMIT} letters")
        return context, unit or None
