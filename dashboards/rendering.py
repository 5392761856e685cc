"""From page models to responses, with the headers that keep a page to itself: no script, no foreign host, no frame, no cache."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tacit.core.clock import iso
from tacit.core.errors import Problem

from .pages import Page
from .tables import shown
from .words import lasting, roughly, when

HERE = Path(__file__).parent
STATIC = {"tacit.css": "text/css; charset=utf-8", "favicon.svg": "image/svg+xml"}

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "interest-cohort=(), browsing-topics=()",
}

NAVIGATION = (
    ("/", "Overview"),
    ("/consent", "Consent"),
    ("/budget", "Privacy budget"),
    ("/policies", "Policies"),
    ("/audits", "Bias audits"),
    ("/findings", "Findings"),
)


@cache
def static_file(name: str) -> tuple[bytes, str]:
    """A static file's bytes and their short hash."""
    content = (HERE / "static" / name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:12]


def _time(ms: int) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(iso(ms), when(ms))


def _code(text: str) -> Markup:
    """Text in which backquotes mark code."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if k % 2 else escape(part) for k, part in enumerate(parts))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"time": _time, "code": _code, "lasting": lasting, "roughly": roughly}
    environment.globals |= {"shown": shown, "navigation": NAVIGATION, "static": lambda name: f"/static/{name}?v={static_file(name)[1]}"}
    return environment


def render(template: str, **values: Any) -> str:
    """HTML of a template."""
    return _environment().get_template(template).render(**values)


def html(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A response with the security headers."""
    return HTMLResponse(render(template, **values), status_code=status, headers=SECURITY_HEADERS)


def render_page(page: Page, *, sites: tuple[str, ...], named: bool, role: str) -> HTMLResponse:
    """A page for a caller who may see `sites`; with `named`, links carry the site along."""
    suffix = f"?site={page.site}" if named else ""
    twin = "/overview" if page.path == "/" else page.path
    return html(page.template, page=page, sites=sites, named=named, suffix=suffix, twin=twin, role=role, here=page.path, signed_in=True)


def render_problem_page(problem: Problem, *, status: int, problem_id: str = "") -> HTMLResponse:
    """A problem as a page: title, what happened, what to do next. Used by `tacit/app.py` where a browser asks for HTML."""
    return html(
        "problem.html",
        status=status,
        title=problem.title,
        detail="" if problem.detail == problem.title else problem.detail,
        next_step=problem.next_step,
        problem_id=problem_id,
        number=status,
        here="",
    )


def render_csv(page: Page, table: str | None) -> Response:
    """One table of a page. Raises `NoSuchTable`."""
    found = page.table(table)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in f"tacit-{page.site}-{found.id}")
    headers = {**SECURITY_HEADERS, "Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(found.to_csv(), media_type="text/csv; charset=utf-8; header=present", headers=headers)
