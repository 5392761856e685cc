"""What officers read that several rooms know together: `GET /v1/ropa`, `/v1/dpia` and `/v1/consents/rates`. Reading spends nothing."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from consent.api import Authorise
from privacy.releases import ReleaseStore
from tacit.core.access import READERS
from tacit.core.queries import Moment, milliseconds
from tacit.rates import rates
from tacit.ropa import as_csv, as_markdown

_TEXT = {"schema": {"type": "string"}}
_FORMS: dict[int | str, Any] = {200: {"description": "As JSON, CSV or Markdown", "content": {"text/csv": _TEXT, "text/markdown": _TEXT}}}


def router(
    ropa_of: Callable[[str], dict[str, Any]], dpia_of: Callable[[str], dict[str, Any]], releases: ReleaseStore, authorise: Authorise
) -> APIRouter:
    """The three paths."""
    api = APIRouter(prefix="/v1", tags=["officers"])
    site_name = Annotated[str | None, Query(description="for admin keys")]

    @api.get("/ropa", summary="Record of processing activities (Art. 30 GDPR), from what is declared and has run", responses=_FORMS)
    def show_ropa(
        request: Request, site: site_name = None, form: Annotated[Literal["json", "csv", "md"], Query(alias="format")] = "json"
    ) -> Any:
        _, named = authorise(dict(request.headers), READERS, site)
        record = ropa_of(named)
        if form == "csv":
            return Response(as_csv(record), media_type="text/csv; charset=utf-8")
        if form == "md":
            return Response(as_markdown(record), media_type="text/markdown; charset=utf-8")
        return record

    @api.get("/dpia", summary="Evidence for an impact assessment: parameters, plan, ledger, audits, destructions, record of processing")
    def show_dpia(request: Request, site: site_name = None) -> dict[str, Any]:
        _, named = authorise(dict(request.headers), READERS, site)
        return {name.removesuffix(".json"): part for name, part in dpia_of(named).items()}

    @api.get("/consents/rates", summary="Choices by purpose and day, as private figures")
    def show_rates(
        request: Request,
        site: site_name = None,
        since: Annotated[Moment, Query(alias="from")] = None,
        until: Annotated[Moment, Query(alias="to")] = None,
    ) -> dict[str, Any]:
        _, named = authorise(dict(request.headers), READERS, site)
        return {"rates": rates(releases, named, from_ms=milliseconds(since, "from"), to_ms=milliseconds(until, "to")), "next": None}

    return api
