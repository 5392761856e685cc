"""`GET /v1/audits` and `GET /v1/findings`: what the scans found. Reading runs no scan and spends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from audit.store import AuditStore
from tacit.core.access import READERS, Caller, Role
from tacit.core.queries import Moment, Name, milliseconds

Authorise = Callable[[Mapping[str, str], frozenset[Role], str | None], tuple[Caller, str]]

Limit = Annotated[int, Query(ge=1, le=1000)]
SiteName = Annotated[str | None, Query(description="Needed with an admin key only.")]
Cursor = Annotated[str, Query(max_length=64, pattern=r"^[a-z0-9_]*$", description="`next` of the page before.")]


def router(store: AuditStore, authorise: Authorise) -> APIRouter:
    """The room's paths."""
    routes = APIRouter(prefix="/v1", tags=["audit"])

    @routes.get("/audits")
    def list_audits(
        request: Request,
        site: SiteName = None,
        audit: Name = None,
        since: Annotated[Moment, Query(alias="from")] = None,
        until: Annotated[Moment, Query(alias="to")] = None,
        limit: Limit = 100,
        cursor: Cursor = "",
    ) -> dict[str, Any]:
        """Scans of a site's audits, newest first; every difference comes with its simultaneous 95 % interval."""
        _, named = authorise(dict(request.headers), READERS, site)
        between = {"from_ms": milliseconds(since), "to_ms": milliseconds(until, "to")}
        found, after = store.scans(named, audit=audit, **between, limit=limit, cursor=cursor)
        return {"audits": [scan.to_json() for scan in found], "next": after}

    @routes.get("/findings")
    def list_findings(
        request: Request,
        site: SiteName = None,
        audit: Name = None,
        state: Name = None,
        limit: Limit = 100,
        cursor: Cursor = "",
    ) -> dict[str, Any]:
        """Breaches that were found, newest first."""
        _, named = authorise(dict(request.headers), READERS, site)
        found, after = store.findings(named, audit=audit, state=state, limit=limit, cursor=cursor)
        return {"findings": [finding.to_json() for finding in found], "next": after}

    return routes
