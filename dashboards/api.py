"""The addresses of the pages, their `.json` and `.csv` twins, log-in and log-out. Everything but the log-in page needs a reading key."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from tacit.core.access import Caller
from tacit.core.declaration import Site
from tacit.core.errors import Forbidden, InvalidRequest, NotFound, Problem, RequestTooLarge, Unauthenticated

from .audits import audits_page, findings_page
from .budget import budget_page
from .consent import PERIODS, consent_page
from .overview import overview_page
from .pages import Page
from .policies import policies_page, policy_page
from .rendering import SECURITY_HEADERS, STATIC, html, render_csv, render_page, static_file
from .services import DashboardServices
from .session import COOKIE, LIFETIME_MS, Sessions, local_path, same_site

FORM_LIMIT = 4_096
"""Bytes of the log-in form; a key has about 50."""

Builder = Callable[[Request, Site], Page]


def router(services: DashboardServices, sessions: Sessions) -> APIRouter:
    """All pages."""
    routes = APIRouter(include_in_schema=False)

    def overview(_request: Request, site: Site) -> Page:
        return overview_page(services, site)

    def budget(_request: Request, site: Site) -> Page:
        return budget_page(services, site)

    def policies(_request: Request, site: Site) -> Page:
        return policies_page(services, site)

    def policy(request: Request, site: Site) -> Page:
        return policy_page(services, site, request.path_params["name"])

    def audits(_request: Request, site: Site) -> Page:
        return audits_page(services, site)

    def findings(_request: Request, site: Site) -> Page:
        return findings_page(services, site)

    def consent(request: Request, site: Site) -> Page:
        return consent_page(services, site, _period(request))

    _add_session(routes, sessions)
    for path, twin, build in (
        ("/", "/overview", overview),
        ("/budget", "/budget", budget),
        ("/policies", "/policies", policies),
        ("/policies/{name}", "/policies/{name}", policy),
        ("/audits", "/audits", audits),
        ("/findings", "/findings", findings),
        ("/consent", "/consent", consent),
    ):
        _add_page(routes, services, sessions, (path, twin), build)
    return routes


def _add_page(routes: APIRouter, services: DashboardServices, sessions: Sessions, paths: tuple[str, str], build: Builder) -> None:
    path, twin = paths

    def as_json(request: Request) -> Response:
        page = build(request, _site(services, sessions.caller(request.headers), request))
        return JSONResponse(page.to_json(), headers=SECURITY_HEADERS)

    def as_csv(request: Request) -> Response:
        page = build(request, _site(services, sessions.caller(request.headers), request))
        return render_csv(page, request.query_params.get("table"))

    def as_html(request: Request) -> Response:
        try:
            caller = sessions.caller(request.headers)
        except Unauthenticated:
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(asked, safe='/')}", status_code=303, headers=SECURITY_HEADERS)
        site = _site(services, caller, request)
        everything = caller.site == "*"
        sites = tuple(services.declaration.sites) if everything else (site.name,)
        return render_page(build(request, site), sites=sites, named=everything, role=caller.role.value)

    # The twins first: `/policies/{name}` would take `/policies/headline.json` for a policy of that name.
    routes.add_api_route(f"{twin}.json", as_json, methods=["GET"])
    routes.add_api_route(f"{twin}.csv", as_csv, methods=["GET"])
    routes.add_api_route(path, as_html, methods=["GET"])


def _site(services: DashboardServices, caller: Caller, request: Request) -> Site:
    named = request.query_params.get("site")
    if caller.site == "*" and not named:
        named = next(iter(services.declaration.sites))
    return services.site(caller.site_for(named))


def _period(request: Request) -> int:
    text = request.query_params.get("days", str(PERIODS[1]))
    if text not in {str(p) for p in PERIODS}:
        raise InvalidRequest(f"`days` is one of {', '.join(map(str, PERIODS))}", next_step="Choose one of the periods on the page.")
    return int(text)


def _add_session(routes: APIRouter, sessions: Sessions) -> None:
    @routes.get("/login")
    def ask(request: Request) -> Response:
        return _form(local_path(request.query_params.get("next", "/")), None)

    @routes.post("/login")
    async def log_in(request: Request) -> Response:
        same_site(request.headers)
        try:
            form = parse_qs((await _body(request)).decode("utf-8", "replace"), max_num_fields=8)
        except ValueError:
            raise InvalidRequest("the form has too many fields") from None
        after = local_path(form.get("next", ["/"])[0])
        try:
            cookie = sessions.open(form.get("key", [""])[0])
        except (Unauthenticated, Forbidden) as problem:
            return _form(after, problem)
        response = RedirectResponse(after, status_code=303, headers=SECURITY_HEADERS)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, cookie, max_age=LIFETIME_MS // 1000, path="/", httponly=True, samesite="strict", secure=secure)
        return response

    @routes.post("/logout")
    def log_out(request: Request) -> Response:
        same_site(request.headers)
        response = RedirectResponse("/login", status_code=303, headers=SECURITY_HEADERS)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response

    @routes.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in STATIC:
            raise NotFound("there is no such file")
        content, _ = static_file(name)
        headers = {**SECURITY_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
        return Response(content, media_type=STATIC[name], headers=headers)


def _form(after: str, problem: Problem | None) -> Response:
    status = 200 if problem is None else 403 if isinstance(problem, Forbidden) else 401
    wrong = None
    if problem is not None:
        wrong = "This key may not open pages." if isinstance(problem, Forbidden) else "This key is not known, or it was revoked."
    return html("login.html", status=status, after=after, wrong=wrong, here="/login")


async def _body(request: Request) -> bytes:
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > FORM_LIMIT:
            raise RequestTooLarge("the form is too long", next_step="Paste only the key.")
    return bytes(found)
