"""Notices and rules over HTTP. Officers register texts; every key of the site may read them, and apps say what they have shown."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from consent.api import Authorise, QuietRoute
from consent.notices import PAGE, Notices, Text
from consent.purposes import RULE_SHA256, rule_set
from consent.rules import Rules
from consent.schemas import LABEL, NoticeTextBody, ServedBody
from tacit.core.access import CONSENT_KEEPERS, Caller, Role

MAY_REGISTER = frozenset({Role.OFFICER, Role.ADMIN})
EVERYBODY = frozenset(Role)


class _TextRoute(QuietRoute):
    """A notice may be long."""

    limit = 1024 * 1024


def router(notices: Notices, rules: Rules, authorise: Authorise) -> APIRouter:
    """The paths below `/v1/notices`, and `GET /v1/rules`."""
    api = APIRouter(prefix="/v1", tags=["consent"], route_class=_TextRoute)
    named_site = Annotated[str | None, Query(description="for admin keys")]

    def registering(request: Request, site: named_site = None) -> tuple[Caller, str]:
        return authorise(dict(request.headers), MAY_REGISTER, site)

    def reading(request: Request, site: named_site = None) -> str:
        return authorise(dict(request.headers), EVERYBODY, site)[1]

    def serving(request: Request, response: Response, site: named_site = None) -> str:
        response.headers["Cache-Control"] = "no-store"
        return authorise(dict(request.headers), CONSENT_KEEPERS, site)[1]

    notice_id = Annotated[str, Path(pattern=LABEL)]
    site_name = Annotated[str, Depends(reading)]

    @api.get("/notices", summary="All notices with their versions, without texts")
    def listed(
        site: site_name,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
        cursor: Annotated[str, Query(max_length=64)] = "",
    ) -> dict[str, Any]:
        return notices.list(site, after=cursor, limit=limit)

    @api.get("/notices/{name}", summary="One notice with all versions and texts")
    def one(name: notice_id, site: site_name) -> dict[str, Any]:
        return notices.get(site, name)

    @api.put("/notices/{name}", summary="Register one locale of one version; a material version makes older grants stale at once")
    def put(name: notice_id, body: NoticeTextBody, who: Annotated[tuple[Caller, str], Depends(registering)]) -> dict[str, Any]:
        caller, site = who
        given = Text(body.version, body.locale, body.sha256, body.text, body.material)
        return notices.put(site, name, given, by=caller.key_id)

    @api.post("/notices/{name}/served", summary="Record that a text was shown to somebody")
    def served(name: notice_id, body: ServedBody, site: Annotated[str, Depends(serving)]) -> dict[str, Any]:
        return notices.serve(site, name, id_type=body.id_type, subject=body.subject, version=body.version, locale=body.locale)

    @api.get("/rules", summary="Purposes, legal bases, jurisdictions and what signals mean, with version and hash")
    def show_rules(site: site_name) -> dict[str, Any]:
        return {"site": rules.of(site).to_json(), "sha256": RULE_SHA256, "rules": rule_set()}

    return api
