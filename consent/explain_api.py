"""Why the gate answers as it does, and what a request would record, over HTTP. Neither stores anything."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from consent.api import Authorise, QuietRoute, place_of
from consent.explaining import Explanations
from consent.schemas import ConsentBody, ExplainBody
from consent.signals.gpc import HEADER, opted_out
from tacit.core.access import CONSENT_KEEPERS
from tacit.core.declaration import Declaration


def router(explanations: Explanations, authorise: Authorise, *, declaration: Declaration) -> APIRouter:
    """`POST /v1/consents/explain` and `/v1/consents/simulate`."""
    api = APIRouter(prefix="/v1/consents", tags=["consent"], route_class=QuietRoute)

    def permitted(request: Request, response: Response, site: Annotated[str | None, Query(description="for admin keys")] = None) -> str:
        response.headers["Cache-Control"] = "no-store"
        return authorise(dict(request.headers), CONSENT_KEEPERS, site)[1]

    def sent_gpc(request: Request) -> bool:
        return opted_out(request.headers.getlist(HEADER))

    site_name = Annotated[str, Depends(permitted)]
    gpc_header = Annotated[bool, Depends(sent_gpc)]

    @api.post("/explain", summary="By purpose: the outcome, its reason, and every input in order")
    def explain(body: ExplainBody, site: site_name, gpc: gpc_header) -> dict[str, Any]:
        return explanations.explain(site, body.id_type, body.subject, body.purposes, signals=body.signals.value(header=gpc))

    @api.post("/simulate", summary="What a consent request would record; nothing is stored")
    def simulate(request: Request, body: ConsentBody, site: site_name, gpc: gpc_header) -> dict[str, Any]:
        asked = body.value(jurisdiction=place_of(request, declaration, site, body.jurisdiction), gpc=gpc)
        return explanations.simulate(site, asked)

    return api
