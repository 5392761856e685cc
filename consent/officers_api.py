"""Exports and retention over HTTP, for officers and administrators; auditors may see how retention stands."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from consent.api import Authorise
from consent.exports import ExportFormat, Exports
from consent.exports_store import Filters
from consent.retention import Retention
from tacit.core.access import READERS, Role
from tacit.core.queries import Moment, milliseconds

MAY_EXPORT = frozenset({Role.OFFICER, Role.ADMIN})

_TEXT = {"schema": {"type": "string"}}
_FILE: dict[int | str, Any] = {200: {"description": "One line a record", "content": {"application/x-ndjson": _TEXT, "text/csv": _TEXT}}}

_MEDIA = {ExportFormat.NDJSON: "application/x-ndjson", ExportFormat.CSV: "text/csv; charset=utf-8"}


def router(exports: Exports, retention: Retention, authorise: Authorise) -> APIRouter:
    """`GET /v1/consents/export` and `GET /v1/retention`."""
    api = APIRouter(prefix="/v1", tags=["officers"])
    site_name = Annotated[str | None, Query(description="for admin keys")]
    label = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$")]

    @api.get("/consents/export", summary="Consent records as NDJSON or CSV, streamed", response_class=StreamingResponse, responses=_FILE)
    def export(
        request: Request,
        *,
        site: site_name = None,
        form: Annotated[ExportFormat, Query(alias="format")] = ExportFormat.NDJSON,
        purpose: Literal["measurement", "personalisation", "fairness_audit"] | None = None,
        notice: label = None,
        notice_version: label = None,
        jurisdiction: label = None,
        since: Annotated[Moment, Query(alias="from")] = None,
        until: Annotated[Moment, Query(alias="to")] = None,
    ) -> StreamingResponse:
        caller, named = authorise(dict(request.headers), MAY_EXPORT, site)
        filters = Filters(purpose, notice, notice_version, jurisdiction, milliseconds(since, "from"), milliseconds(until, "to"))
        pieces = exports.start(named, filters, form=form, by=caller.key_id)
        headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="consents.{form.value}"'}
        return StreamingResponse(pieces, media_type=_MEDIA[form], headers=headers)

    @api.get("/retention", summary="What is kept for how long, when it was deleted last, and whether that is late")
    def standing(request: Request, response: Response, site: site_name = None) -> dict[str, Any]:
        _, named = authorise(dict(request.headers), READERS, site)
        response.headers["Cache-Control"] = "no-store"
        return retention.standing(named)

    return api
