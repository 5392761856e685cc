"""`POST /v1/adjust` as a plain ASGI endpoint answered from memory, and the paths for bundles, keys and experiments."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from adjust import bundle
from adjust.decide import Decider
from adjust.errors import NoBundle, UnknownPolicy
from adjust.experiments import lift
from adjust.store import BundleStore
from privacy.releases import ReleaseStore
from tacit.core import logs
from tacit.core.access import READERS, SENDERS, Caller, Role
from tacit.core.declaration import Declaration
from tacit.core.errors import InvalidRequest, MethodNotAllowed, Problem, RequestTooLarge
from tacit.core.rootkey import RootKey

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Authorise = Callable[[Mapping[str, str], frozenset[Role], str | None], tuple[Caller, str]]
Rendered = tuple[int, list[tuple[bytes, bytes]], bytes]

MAX_BODY = 32 * 1024
BUNDLE_SECONDS = 5
logs.allow(["decision.failed"])


class _Question(msgspec.Struct):
    zone: str | None = None
    policy: str | None = None
    context: dict[str, Any] = {}
    unit: str | None = None
    site: str | None = None


_questions = msgspec.json.Decoder(_Question)


class AdjustEndpoint:
    """The endpoint. Nothing of the request is stored or logged."""

    def __init__(
        self, current: Callable[[str], Decider | None], authorise: Authorise, render_problem: Callable[[Problem], Rendered]
    ) -> None:
        self._current, self._authorise, self._render = current, authorise, render_problem

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        try:
            body = await self._answer(scope, receive)
            status, headers = 200, [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
                                    (b"cache-control", b"no-store")]  # fmt: skip
        except Problem as problem:
            status, headers, body = self._render(problem)
        except Exception as error:
            logs.Log("decisions").fault("decision.failed", error)
            status, headers, body = self._render(Problem("an unexpected fault"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        if scope["method"] != "POST":
            raise MethodNotAllowed()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        named = parse_qs(scope["query_string"].decode("latin-1")).get("site", [None])[0] if scope["query_string"] else None
        _, site = self._authorise(headers, SENDERS, named)
        question = _read(await _body(receive))
        if (question.zone is None) == (question.policy is None):
            raise InvalidRequest("name either a zone or a policy")
        decider = self._current(site)
        if decider is None:
            raise NoBundle("nothing was published for this site so far")
        return msgspec.json.encode(decider.decide(policy=question.policy, zone=question.zone, context=question.context, unit=question.unit))


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            raise RequestTooLarge("a question has at most 32 KiB")
        if not message.get("more_body"):
            return b"".join(parts)


def _read(body: bytes) -> _Question:
    try:
        return _questions.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest("the body must be a JSON object with a zone or a policy, and a context") from None


def router(bundles: BundleStore, releases: ReleaseStore, declaration: Declaration, root: RootKey, authorise: Authorise) -> APIRouter:
    """The room's other paths."""
    routes = APIRouter(tags=["adjust"])

    @routes.get("/.well-known/jwks.json")
    def keys() -> dict[str, Any]:
        """The public key that bundles and receipts are signed with. Hand it to verifiers by a second channel, too."""
        return bundle.jwks(root.signing_key().public_key())

    @routes.get("/v1/bundles/{site}")
    def newest(request: Request, site: str) -> Response:
        """The signed bundle, cacheable."""
        _, named = authorise(dict(request.headers), SENDERS | READERS, site)
        jws = bundles.latest_jws(named)
        if jws is None:
            raise NoBundle("nothing was published for this site so far")
        tag = f'"{hashlib.sha256(jws.encode()).hexdigest()[:32]}"'
        headers = {"etag": tag, "cache-control": f"private, max-age={BUNDLE_SECONDS}"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(jws, media_type="application/jose+json", headers=headers)

    @routes.get("/v1/experiments/{policy}")
    def experiment(request: Request, policy: str, site: Annotated[str | None, Query()] = None) -> dict[str, Any]:
        """What a policy achieves, in a sentence and in numbers."""
        _, named = authorise(dict(request.headers), READERS | SENDERS, site)
        declared = declaration.sites[named]
        if policy not in declared.policies:
            raise UnknownPolicy("the site declares no such policy")
        measure = declared.policy_measure(policy)
        return {"policy": policy} | lift(measure, releases.since(named, measure.id)).to_json()

    return routes
