"""The HTTP application: one FastAPI app for everything that is read and managed, and plain ASGI endpoints in front of it for
events, decisions and flags, which are asked for thousands of times a second.

This module holds the one table from `Problem` classes to status codes, and never loads a heavy library.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import HTTPException as RouteFault
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

import adjust.api
import adjust.bundles_api
import adjust.models_api
import adjust.policies_api
import audit.api
import audit.evidence_api
import audit.findings_api
import audit.report_api
import audit.subscriptions_api
import consent.api
import consent.explain_api
import consent.notices_api
import consent.officers_api
import consent.rights_api
import consent.signals_api
import consent.webhooks_api
import dashboards.api
import dashboards.reports
import privacy.api
import privacy.estimates_api
from adjust.api import AdjustEndpoint
from adjust.experiment_store import ExperimentStore
from adjust.models_store import ModelStore
from adjust.ofrep import PREFIX as OFREP
from adjust.ofrep import OfrepEndpoint
from adjust.push import Changes
from dashboards.rendering import render_problem_page
from ingest.api import EventsEndpoint
from tacit import __version__, officers_api, records, wiring
from tacit.core import configuration, logs
from tacit.core.access import PUBLIC, Caller, KeyStore, Role
from tacit.core.clock import Clock, SystemClock
from tacit.core.declaration import Declaration
from tacit.core.errors import (
    Forbidden,
    InvalidRequest,
    Malformed,
    NotFound,
    Problem,
    RequestTooLarge,
    Unauthenticated,
    UnknownSite,
)
from tacit.core.settings import Settings
from tacit.openapi import describe

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]

STATUS: dict[str, int] = {
    "malformed": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not-found": 404,
    "unknown-site": 404,
    "method-not-allowed": 405,
    "conflict": 409,
    "limits-conflict": 409,
    "nothing-to-correct": 409,
    "finding-changed": 412,
    "request-too-large": 413,
    "invalid-request": 422,
    "pdf-unavailable": 501,
    "busy": 503,
    "storage-unavailable": 503,
}
"""HTTP status of each problem type and of the types below it; anything that is not here is our fault and answers 500."""

KEY_CACHE_SECONDS = 5.0

SWITCH_SECONDS = 0.0005
"""How long a thread waits for the interpreter while batches of events keep it busy. A withdrawal runs in a thread and waits so at each step
of each statement; Python's own 5 ms are made for throughput."""
BODY_LIMIT = 2 * 1024 * 1024
"""The most bytes of a body that any path takes; most take less. FastAPI reads a body before it asks who sent it."""

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_STATUS = {"application/json": {"schema": {"type": "object"}}}


class Authoriser:
    """Who is asking, and may they. A key is looked up at most every five seconds, so a revoked one lives no longer than that."""

    def __init__(self, keys: KeyStore, sites: frozenset[str]) -> None:
        self._keys, self._sites = keys, sites
        self._known: dict[str, tuple[float, Caller]] = {}

    def __call__(self, headers: Mapping[str, str], roles: frozenset[Role], site: str | None = None) -> tuple[Caller, str]:
        """The caller and the site the request is about. Raises `Unauthenticated`, `Forbidden` or `UnknownSite`."""
        key = headers.get("x-api-key") or _bearer(headers.get("authorization", ""))
        if not key:
            raise Unauthenticated("the request carries no key")
        now = time.monotonic()
        found = self._known.get(key)
        if found is None or found[0] < now:
            if len(self._known) > 10_000:
                self._known.clear()
            found = (now + KEY_CACHE_SECONDS, self._keys.identify(key))
            self._known[key] = found
        caller = found[1]
        if caller.role not in roles:
            raise Forbidden(f"it needs one of the roles {', '.join(sorted(roles))}")
        named = caller.site_for(site)
        if named not in self._sites:
            raise UnknownSite("tacit.yaml declares no such site")
        return caller, named


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def status_of(problem: Problem) -> int:
    """The status of a problem's class, or of the nearest class above it that has one."""
    kinds = (cls.type for cls in type(problem).__mro__ if issubclass(cls, Problem))
    return next((STATUS[kind] for kind in kinds if kind in STATUS), 500)


def problem_json(problem: Problem) -> dict[str, Any]:
    """RFC 9457 body of a problem."""
    body: dict[str, Any] = {
        "type": f"/problems/{problem.type}",
        "title": problem.title,
        "status": status_of(problem),
        "detail": problem.detail,
    }
    if problem.next_step:
        body["next_step"] = problem.next_step
    return body | {k: v for k, v in problem.members.items() if k not in body}


def render_problem(problem: Problem) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of a problem for the plain ASGI endpoints."""
    body = json.dumps(problem_json(problem)).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    status = status_of(problem)
    if status == 503:
        headers.append((b"retry-after", b"1"))
    return status, headers, body


def create_app(settings: Settings, *, clock: Clock | None = None) -> Endpoint:
    """The whole web application over one installation, with the host's clock unless another is given."""
    declaration = configuration.load(settings.config)
    logs.configure()
    logs.allow_declared(declaration)
    services = wiring.web(settings, declaration, clock=clock)
    authorise = Authoriser(services.keys, frozenset(declaration.sites))
    changes = Changes(services.deciders.newest)
    services.deciders.listen(changes.announce)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        services.deciders.start()
        _on_stop(changes.end)
        yield
        services.close()

    app = FastAPI(title="Tacit", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    _handle_problems(app)
    for router in _routers(services, declaration, authorise, changes, clock or SystemClock()):
        app.include_router(router)

    @app.get("/healthz", tags=["operations"], openapi_extra=PUBLIC)
    def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["operations"], openapi_extra=PUBLIC, responses={503: {"description": "Not ready", "content": _STATUS}})
    def readyz() -> JSONResponse:
        """Both vaults answer."""
        ready = services.ready()
        return JSONResponse({"status": "ready" if ready else "not ready"}, status_code=200 if ready else 503)

    describe(app)
    fast: dict[str, Endpoint] = {
        "/v1/events": EventsEndpoint(services.door, services.staging, authorise, render_problem),
        "/v1/adjust": AdjustEndpoint(services.deciders.current, authorise, render_problem),
    }

    flags = OfrepEndpoint(services.deciders.newest, authorise)

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (endpoint := fast.get(scope["path"])) is not None:
            await endpoint(scope, receive, send)
        elif scope["type"] == "http" and (scope["path"] == OFREP or scope["path"].startswith(f"{OFREP}/")):
            await flags(scope, receive, send)
        else:
            await app(scope, _bounded(receive) if scope["type"] == "http" else receive, send)

    return front


def _routers(
    services: wiring.WebServices, declaration: Declaration, authorise: Authoriser, changes: Changes, clock: Clock
) -> Iterator[APIRouter]:
    """Every room's paths."""
    released = services.vaults[1]
    yield consent.api.router(services.consent, authorise, declaration=declaration)
    yield consent.explain_api.router(services.explanations, authorise, declaration=declaration)
    yield consent.notices_api.router(services.notices, services.rules, authorise)
    yield consent.signals_api.router(authorise, clock)
    yield consent.rights_api.router(services.rights, authorise)
    yield consent.officers_api.router(services.exports, services.retention, authorise)
    yield consent.webhooks_api.router(services.webhooks, authorise)
    yield privacy.api.router(services.releases, services.budget, services.plans, authorise)
    yield privacy.estimates_api.router(services.releases, declaration, authorise)
    yield adjust.bundles_api.router(services.deciders, changes, declaration.sites, services.root)
    yield adjust.api.router(services.releases, ExperimentStore(released), declaration, authorise)
    yield adjust.policies_api.router(services.policies, declaration, authorise)
    yield adjust.models_api.router(ModelStore(released), services.policies, services.pricing, declaration, authorise)
    yield audit.api.router(services.audits, authorise)
    yield audit.findings_api.router(services.findings, authorise)
    yield audit.subscriptions_api.router(services.subscriptions, authorise)
    yield audit.report_api.router(services.reports, declaration, authorise)
    yield audit.evidence_api.router(services.evidence, services.notary, authorise, public=declaration.evidence.public)
    yield officers_api.router(*records.readers(declaration, released, clock), services.releases, authorise)
    yield dashboards.api.router(services.dashboards, services.sessions)
    yield dashboards.reports.router(services.dashboards, services.reports, services.sessions)


def _bounded(receive: Receive) -> Receive:
    """The same body, until it is longer than `BODY_LIMIT`."""
    taken = 0

    async def bounded() -> MutableMapping[str, Any]:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > BODY_LIMIT:
            raise RouteFault(413)  # the one exception that FastAPI lets through while it reads a body
        return message

    return bounded


def _on_stop(act: Callable[[], None]) -> None:
    """Act as soon as the process is told to stop. The server waits for open answers before it ends the application, and a stream of
    events stays open by itself."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)

        def stop(received: int, frame: FrameType | None, before: Any = before) -> None:
            act()
            if callable(before):
                before(received, frame)

        if callable(before):
            signal.signal(number, stop)


def build() -> Endpoint:
    """The application of the installation that the environment names; uvicorn's workers call it."""
    sys.setswitchinterval(SWITCH_SECONDS)
    return create_app(Settings())


def _handle_problems(app: FastAPI) -> None:
    log = logs.Log("app")

    def answer(request: Request, problem: Problem) -> Response:
        status = status_of(problem)
        if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(("/v1/", "/ofrep/")):
            return render_problem_page(problem, status=status)
        headers = {"retry-after": "1"} if status == 503 else None
        return JSONResponse(problem_json(problem), status_code=status, media_type="application/problem+json", headers=headers)

    @app.exception_handler(Problem)
    def expected(request: Request, problem: Problem) -> Response:
        return answer(request, problem)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        faults = [{"pointer": _pointer(e["loc"]), "detail": _reason(e)} for e in error.errors()]
        return answer(request, InvalidRequest("the body or a parameter is not as expected", errors=faults))

    @app.exception_handler(HTTPException)
    def routed(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return answer(request, NotFound("there is nothing at this path"))
        if error.status_code == 400:
            return answer(request, Malformed("the body or its form cannot be read"))
        if error.status_code == 413:
            return answer(request, RequestTooLarge(f"a request has at most {BODY_LIMIT} bytes"))
        problem = Problem(str(error.detail))
        body = problem_json(problem) | {"type": "about:blank", "title": str(error.detail), "status": error.status_code}
        headers = {"allow": ", ".join(_methods_of(app, request.scope))} if error.status_code == 405 else error.headers
        return JSONResponse(body, status_code=error.status_code, media_type="application/problem+json", headers=headers)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        log.fault("request.failed", error)
        return answer(request, Problem("an unexpected fault; the log of this process names its place", next_step="Try again later."))


def _methods_of(app: FastAPI, scope: Scope) -> list[str]:
    """What a path takes; its methods may be routes of their own, of which Starlette would name the first one only."""
    routes = app.router.routes
    return [method for method in _METHODS if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)]


def _pointer(location: tuple[int | str, ...]) -> str:
    """JSON pointer to what is wrong. An unexpected key's name is the caller's own text, so it is not repeated."""
    return "/" + "/".join(str(part) for part in location)


def _reason(error: Mapping[str, Any]) -> str:
    kind = str(error["type"])
    if kind == "json_invalid":
        return "the body is not JSON"
    if kind == "extra_forbidden":
        return "this field is not known"
    return str(error["msg"]) if "ctx" not in error or "error" not in error["ctx"] else "this value is not accepted"
