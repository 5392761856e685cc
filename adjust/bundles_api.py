"""Signed bundles over HTTP, the key they are checked with, and pushes when a new one is there.

No API key is needed: a browser has to hold all of it, it contains nothing but released figures, and what carries an `Authorization` header
is cached by hardly any CDN.
"""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from collections.abc import AsyncIterator, Collection
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

from adjust.bundle import jwks
from adjust.current import Deciders, Signed
from adjust.errors import Busy, NoBundle, UnknownPolicy
from adjust.push import RETRY_MS, Changes, TooManyStreams, event, message
from tacit.core.access import PUBLIC
from tacit.core.errors import UnknownSite
from tacit.core.rootkey import RootKey

MAX_AGE_SECONDS = 5
"""How long a cache may answer with a bundle without asking; the shortest window is longer."""

FOR_EVERYBODY = {"access-control-allow-origin": "*", "access-control-expose-headers": "ETag"}

_BUNDLE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A flattened JWS (RFC 7515)", "content": {"application/jose+json": {"schema": {"type": "object"}}}},
    304: {"description": "Unchanged"},
}


def router(deciders: Deciders, changes: Changes, sites: Collection[str], root: RootKey) -> APIRouter:
    """Bundles, pushes and the public key."""
    api = APIRouter(tags=["adjust"])
    keys = jwks(root)

    @api.get("/v1/bundles/{site}", openapi_extra=PUBLIC, responses=_BUNDLE, response_class=Response)
    def read_bundle(
        request: Request, site: str, zone: Annotated[str | None, Query(description="Only the policies of this zone.", max_length=64)] = None
    ) -> Response:
        """The newest signed bundle, or one zone's part of it. No key is needed."""
        _known(site, sites)
        found = deciders.newest(site)
        if found is None:
            raise NoBundle("nothing was published for this site yet")
        signed = found.whole if zone is None else found.shard(zone, root)
        if signed is None:
            raise UnknownPolicy("the bundle has no such zone")
        return _answer(signed, request.headers.get("if-none-match", ""))

    # Streams are not in the OpenAPI document: it has no way to say that an answer does not end. docs/http.md describes them.
    @api.get("/v1/bundles/{site}/events", include_in_schema=False)
    async def follow_events(request: Request, site: str) -> Response:
        """Server-sent events: one now, and one whenever a newer bundle is there."""
        _known(site, sites)
        last = request.headers.get("last-event-id", "")
        followed = changes.follow(site, int(last) if last.isascii() and last.isdigit() and len(last) < 16 else None)
        try:
            first = await anext(followed, None)
        except TooManyStreams:
            raise Busy("this process holds as many streams as it may") from None
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"} | FOR_EVERYBODY

        async def stream() -> AsyncIterator[bytes]:
            yield f"retry: {RETRY_MS}\n\n".encode() + event(first)
            async for found in followed:
                yield event(found)

        return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)

    @api.websocket("/v1/bundles/{site}/socket")
    async def follow_socket(socket: WebSocket, site: str) -> None:
        """The same over a WebSocket, one JSON object a message. What a client sends is not read."""
        if site not in sites:
            await socket.close(code=1008, reason="no such site")
            return
        await socket.accept()
        try:
            async for found in changes.follow(site):
                await socket.send_json({"type": "heartbeat"} if found is None else message(found))
        except TooManyStreams:
            await socket.close(code=1013, reason="try again later")
        except WebSocketDisconnect:
            return
        else:
            await socket.close(code=1001, reason="the service stops")

    @api.get("/.well-known/jwks.json", openapi_extra=PUBLIC)
    def read_keys() -> dict[str, Any]:
        """The public key that bundles and receipts are checked with."""
        return keys

    return api


def _known(site: str, sites: Collection[str]) -> None:
    if site not in sites:
        raise UnknownSite("tacit.yaml declares no such site")


def _answer(signed: Signed, held: str) -> Response:
    headers = {"etag": signed.tag, "cache-control": f"public, max-age={MAX_AGE_SECONDS}, stale-while-revalidate=60"} | FOR_EVERYBODY
    if matches(held, signed.tag):
        return Response(status_code=304, headers=headers)
    return Response(signed.body, media_type="application/jose+json", headers=headers)


def matches(field: str, tag: str) -> bool:
    """Whether an `If-None-Match` field names the tag: RFC 9110 section 13.1.2, weak comparison."""
    return field.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in field.split(",")]
