"""The report of a scan behind the pages' log-in: as a page of its own, and as PDF. Making one is an entry of the evidence log."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from audit import report_html, report_pdf
from audit.reporting import Report, Reports
from tacit.core.errors import Unauthenticated

from .rendering import SECURITY_HEADERS
from .services import DashboardServices
from .session import Sessions


def router(services: DashboardServices, reports: Reports, sessions: Sessions) -> APIRouter:
    """`/audits/{scan}/report` and `/audits/{scan}/report.pdf`."""
    routes = APIRouter(include_in_schema=False)

    def made(request: Request) -> Report:
        caller = sessions.caller(request.headers)
        named = request.query_params.get("site")
        if caller.site == "*" and not named:
            named = next(iter(services.declaration.sites))
        site = services.site(caller.site_for(named))
        return reports.make(site, scan=request.path_params["scan"], by=caller.key_id)

    @routes.get("/audits/{scan}/report")
    def as_page(request: Request) -> Response:
        try:
            report = made(request)
        except Unauthenticated:
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(asked, safe='/')}", status_code=303, headers=SECURITY_HEADERS)
        headers = SECURITY_HEADERS | {"Content-Security-Policy": report_html.CONTENT_SECURITY_POLICY}
        return Response(report_html.render(report), media_type="text/html; charset=utf-8", headers=headers)

    @routes.get("/audits/{scan}/report.pdf")
    def as_pdf(request: Request) -> Response:
        report = made(request)
        name = f'inline; filename="tacit-{report.content["site"]}-{report.content["scan"]["id"]}.pdf"'
        return Response(report_pdf.render(report), media_type="application/pdf", headers=SECURITY_HEADERS | {"Content-Disposition": name})

    return routes
