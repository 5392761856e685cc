"""`GET /v1/audits/{scan}/report`: a report as canonical JSON, as a page or as PDF. Asking for one is an entry of the evidence log."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from audit import report_html, report_pdf
from audit.reporting import Reports
from tacit.core.access import READERS, Caller, Role
from tacit.core.declaration import Declaration

Authorise = Callable[[Mapping[str, str], frozenset[Role], str | None], tuple[Caller, str]]

_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/html": {"schema": {"type": "string"}},
            "application/pdf": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def router(reports: Reports, declaration: Declaration, authorise: Authorise) -> APIRouter:
    """The report's path."""
    routes = APIRouter(prefix="/v1", tags=["audit"])

    @routes.get("/audits/{scan}/report", response_class=Response, responses=_CONTENT)
    def read_report(
        request: Request,
        scan: str,
        form: Annotated[Literal["json", "html", "pdf"], Query(alias="format")] = "json",
        preset: Annotated[str | None, Query(max_length=32, description="nyc_ll144, eeoc_four_fifths or eu_ai_act.")] = None,
        site: Annotated[str | None, Query(description="Needed with an admin key only.")] = None,
    ) -> Response:
        """The report of one scan. The same scan gives the same bytes; `ETag` is the JSON form's SHA-256, as the evidence log has it."""
        caller, named = authorise(dict(request.headers), READERS, site)
        report = reports.make(declaration.sites[named], scan=scan, preset=preset, by=caller.key_id)
        headers = {"etag": f'"{report.sha256}"', "cache-control": "no-store", "x-content-type-options": "nosniff"}
        if form == "json":
            return Response(report.body, media_type="application/json", headers=headers)
        name = f'inline; filename="tacit-{named}-{scan}.{form}"'
        if form == "html":
            headers |= {"content-security-policy": report_html.CONTENT_SECURITY_POLICY}
            return Response(report_html.render(report), media_type="text/html; charset=utf-8", headers=headers)
        return Response(report_pdf.render(report), media_type="application/pdf", headers=headers | {"content-disposition": name})

    return routes
