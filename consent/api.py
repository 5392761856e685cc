"""Consent over HTTP. Identifiers travel in bodies only, and what was sent never comes back: errors name the place of a fault, no value."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

import json
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from consent.models import STRICTEST
from consent.schemas import KNOWN_NAMES, ConsentBody, HistoryBody, QueryBody, ReceiptBody, WithdrawBody
from consent.service import ConsentService
from consent.signals.gpc import HEADER, opted_out
from tacit.core.access import CONSENT_KEEPERS, Caller, Role
from tacit.core.declaration import Declaration
from tacit.core.errors import InvalidRequest, RequestTooLarge

BODY_LIMIT = 32 * 1024

_WORD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")


class Authorise(Protocol):
    """Who is asking, and about which site. Raises a `Problem`."""

    def __call__(self, headers: Mapping[str, str], roles: frozenset[Role], site: str | None, /) -> tuple[Caller, str]:
        """The caller and the site, if the caller's role is among `roles`."""
        ...


class QuietRoute(APIRoute):
    """Reads at most `limit` bytes, refuses ambiguous JSON, and reduces FastAPI's errors, which quote the request, to pointers."""

    limit = BODY_LIMIT

    known: frozenset[str] = KNOWN_NAMES
    """The only names that a pointer may repeat."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def quiet(request: Request) -> Response:
            body = bytearray()
            async for chunk in request.stream():
                body += chunk
                if len(body) > self.limit:
                    raise RequestTooLarge(f"a request to this path has at most {self.limit} bytes", next_step="Send one person's choices.")
            if request.method != "GET":
                _check_json(bytes(body))
            request._body = bytes(body)  # where Starlette keeps a body it has read
            try:
                return await handler(request)
            except RequestValidationError as error:
                faults = [{"pointer": _pointer(fault["loc"], self.known), "detail": fault["msg"]} for fault in error.errors()]
            raise InvalidRequest(f"{len(faults)} fault{'s' if len(faults) != 1 else ''}", errors=faults)

        return quiet


def router(service: ConsentService, authorise: Authorise, *, declaration: Declaration | None = None) -> APIRouter:
    """The paths below `/v1/consents`. With `declaration`, a site's own jurisdiction rules where the request names none."""
    api = APIRouter(prefix="/v1/consents", tags=["consent"], route_class=QuietRoute)

    def permitted(request: Request, response: Response, site: Annotated[str | None, Query(description="for admin keys")] = None) -> str:
        response.headers["Cache-Control"] = "no-store"
        return authorise(dict(request.headers), CONSENT_KEEPERS, site)[1]

    def sent_gpc(request: Request) -> bool:
        return opted_out(request.headers.getlist(HEADER))

    site_name = Annotated[str, Depends(permitted)]
    gpc_header = Annotated[bool, Depends(sent_gpc)]
    idempotency = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]

    def jurisdiction_of(request: Request, site: str, named: str | None) -> str:
        return place_of(request, declaration, site, named)

    @api.post("", summary="Record a person's choices", response_description="A signed receipt (flattened JWS)")
    def record(
        request: Request, body: ConsentBody, *, site: site_name, gpc: gpc_header, idempotency_key: idempotency = None
    ) -> dict[str, str]:
        asked = body.value(jurisdiction=jurisdiction_of(request, site, body.jurisdiction), gpc=gpc)
        return service.record(site, asked, idempotency_key=idempotency_key)

    @api.post("/withdraw", summary="Withdraw purposes, or all", response_description="A signed receipt (flattened JWS)")
    def withdraw(request: Request, body: WithdrawBody, *, site: site_name, idempotency_key: idempotency = None) -> dict[str, str]:
        return service.withdraw(
            site,
            body.id_type,
            body.subject,
            body.purposes,
            method=body.method,
            jurisdiction=jurisdiction_of(request, site, body.jurisdiction),
            idempotency_key=idempotency_key,
        )

    @api.post("/query", summary="What rules now, by purpose")
    def query(body: QueryBody, site: site_name, gpc: gpc_header) -> dict[str, Any]:
        return service.query(site, body.id_type, body.subject, body.purposes, gpc=gpc)

    @api.post("/history", summary="All records of a person, oldest first")
    def history(body: HistoryBody, site: site_name) -> dict[str, Any]:
        return service.history(site, body.id_type, body.subject, body.purposes, limit=body.limit, cursor=body.cursor)

    @api.post("/receipt", summary="A receipt again, with its place in the evidence log")
    def receipt(body: ReceiptBody, site: site_name) -> dict[str, Any]:
        return service.receipt(site, body.id_type, body.subject, body.receipt_id)

    return api


def place_of(request: Request, declaration: Declaration | None, site: str, named: str | None) -> str:
    """Where a person is: as the request says, as the site's header says, or where the site says its visitors are."""
    declared = declaration.sites.get(site) if declaration else None
    if named or declared is None:
        return named or STRICTEST
    header = request.headers.get(declared.jurisdiction_header, "").lower() if declared.jurisdiction_header else ""
    return header if _WORD.fullmatch(header) else declared.jurisdiction


def _check_json(body: bytes) -> None:
    try:
        json.loads(body, object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError):
        raise InvalidRequest("the body is not JSON, or a key stands twice in an object") from None


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _pointer(location: tuple[int | str, ...], known: frozenset[str]) -> str:
    """A JSON pointer; a name that we do not know was chosen by the sender and becomes `*`."""
    place, *parts = location or ("body",)
    shown = [str(part) if isinstance(part, int) or part in known else "*" for part in parts if part != "[key]"]
    return "".join(f"/{part}" for part in shown) if place == "body" else f"{place}"
