"""`GET /v1/audits` and `GET /v1/findings`: what the scans found. Reading runs no scan and spends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from audit.store import AuditStore
from tacit.core.access import READERS, Caller, Role
from tacit.core.clock import from_iso
from tacit.core.errors import InvalidRequest

Authorise = Callable[[Mapping[str, str], frozenset[Role], str | None], tuple[Caller, str]]

Limit = Annotated[int, Query(ge=1, le=1000)]
SiteName = Annotated[str | None, Query(description="Needed with an admin key only.")]
Cursor = Annotated[str, Query(max_length=64, description="`next` of the page before.")]
Moment = Annotated[str | None, Query(description="ISO 8601 with a zone.")]


def router(store: AuditStore, authorise: Authorise) -> APIRouter:
    """The room's paths."""
    routes = APIRouter(prefix="/v1", tags=["audit"])

    @routes.get("/audits")
    def list_audits(
        request: Request,
        site: SiteName = None,
        audit: str | None = None,
        since: Annotated[Moment, Query(alias="from")] = None,
        until: Annotated[Moment, Query(alias="to")] = None,
        limit: Limit = 100,
        cursor: Cursor = "",
    ) -> dict[str, Any]:
        """Scans of a site's audits, newest first; every difference comes with its simultaneous 95 % interval."""
        _, named = authorise(dict(request.headers), READERS, site)
        found, after = store.scans(named, audit=audit, from_ms=_ms(since), to_ms=_ms(until), limit=limit, cursor=cursor)
        return {"audits": [scan.to_json() for scan in found], "next": after}

    @routes.get("/findings")
    def list_findings(
        request: Request,
        site: SiteName = None,
        audit: str | None = None,
        state: str | None = None,
        limit: Limit = 100,
        cursor: Cursor = "",
    ) -> dict[str, Any]:
        """Breaches that were found, newest first."""
        _, named = authorise(dict(request.headers), READERS, site)
        found, after = store.findings(named, audit=audit, state=state, limit=limit, cursor=cursor)
        return {"findings": [finding.to_json() for finding in found], "next": after}

    return routes


def _ms(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError:
        raise InvalidRequest("`from` and `to` are ISO 8601 times with a zone") from None
