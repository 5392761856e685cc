"""Rights requests over HTTP. Apps make them for the people they know; officers see, extend and reject them without seeing a person."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from consent.api import Authorise, QuietRoute
from consent.rights import PAGE, Rights
from consent.rights_models import Kind, Status
from consent.rights_schemas import RIGHTS_NAMES, AboutBody, HoldBody, LiftBody, RejectBody, RightsBody
from tacit.core.access import CONSENT_KEEPERS, READERS, Role

MAY_DECIDE = frozenset({Role.OFFICER, Role.ADMIN})


class _RightsRoute(QuietRoute):
    known = RIGHTS_NAMES


def router(rights: Rights, authorise: Authorise) -> APIRouter:
    """The paths below `/v1/rights`."""
    api = APIRouter(prefix="/v1/rights", tags=["rights"], route_class=_RightsRoute)
    listing = APIRouter(prefix="/v1", tags=["rights"])
    named = Annotated[str | None, Query(description="for admin keys")]

    def may(roles: frozenset[Role]) -> Any:
        def permitted(request: Request, response: Response, site: named = None) -> str:
            response.headers["Cache-Control"] = "no-store"
            return authorise(dict(request.headers), roles, site)[1]

        return Depends(permitted)

    asker = Annotated[str, may(CONSENT_KEEPERS)]
    idempotency = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]

    @api.post("/access", summary="Everything there is of a person, and what Art. 15 GDPR wants told")
    def access(body: RightsBody, site: asker, idempotency_key: idempotency = None) -> dict[str, Any]:
        return rights.ask(site, body.value(Kind.ACCESS), idempotency_key=idempotency_key)

    @api.post("/export", summary="A person's data to take along (Art. 20 GDPR)")
    def export(body: RightsBody, site: asker, idempotency_key: idempotency = None) -> dict[str, Any]:
        return rights.ask(site, body.value(Kind.EXPORT), idempotency_key=idempotency_key)

    @api.post("/erase", summary="Erase a person (Art. 17 GDPR)")
    def erase(body: RightsBody, site: asker, idempotency_key: idempotency = None) -> dict[str, Any]:
        return rights.ask(site, body.value(Kind.ERASE), idempotency_key=idempotency_key)

    @api.post("/object", summary="Object to purposes, or all, until lifted (Art. 21 GDPR)")
    def object_to(body: HoldBody, site: asker, idempotency_key: idempotency = None) -> dict[str, Any]:
        return rights.ask(site, body.value(Kind.OBJECT), idempotency_key=idempotency_key)

    @api.post("/restrict", summary="Restrict processing for purposes, or all, until lifted (Art. 18 GDPR)")
    def restrict(body: HoldBody, site: asker, idempotency_key: idempotency = None) -> dict[str, Any]:
        return rights.ask(site, body.value(Kind.RESTRICT), idempotency_key=idempotency_key)

    @api.post("/lift", summary="Lift an objection or a restriction")
    def lift(body: LiftBody, site: asker, idempotency_key: idempotency = None) -> dict[str, Any]:
        return rights.ask(site, body.value(Kind.LIFT), idempotency_key=idempotency_key)

    @api.post("/query", summary="How a request stands, with its proof")
    def query(body: AboutBody, site: Annotated[str, may(CONSENT_KEEPERS | READERS)]) -> dict[str, Any]:
        return rights.query(site, body.request_id)

    @api.post("/reject", summary="Reject an open request, with a reason")
    def reject(body: RejectBody, site: Annotated[str, may(MAY_DECIDE)]) -> dict[str, Any]:
        return rights.reject(site, body.request_id, body.refusal())

    @api.post("/extend", summary="Give an open request two more months, once (Art. 12(3) GDPR)")
    def extend(body: AboutBody, site: Annotated[str, may(MAY_DECIDE)]) -> dict[str, Any]:
        return rights.extend(site, body.request_id)

    @listing.get("/rights", summary="Requests in the order they came, without anything of a person")
    def show(
        site: Annotated[str, may(READERS)],
        status: Literal["pending", "in_progress", "completed", "rejected"] | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
        cursor: Annotated[str | None, Query(pattern=r"^rights_[0-9a-z]{26}$")] = None,
    ) -> dict[str, Any]:
        return rights.requests(site, status=Status(status) if status else None, limit=limit, cursor=cursor)

    both = APIRouter()
    both.include_router(api)
    both.include_router(listing)
    return both
