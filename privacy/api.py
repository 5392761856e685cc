"""`GET /v1/releases`, `/v1/budget` and `/v1/plan`: what was published, what it cost, and what is to be expected. Reading spends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from privacy.budget import BudgetView
from privacy.plans import PlanStore
from privacy.releases import ReleaseStore
from tacit.core.access import READERS, SENDERS, Caller, Role
from tacit.core.errors import NotFound
from tacit.core.queries import Moment, Name, milliseconds

Authorise = Callable[[Mapping[str, str], frozenset[Role], str | None], tuple[Caller, str]]

Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,18}\.[0-9]{1,18}$", description="`next` of the page before.")]
Site = Annotated[str | None, Query(description="Needed with an admin key only.")]


def router(releases: ReleaseStore, budget: BudgetView, plans: PlanStore, authorise: Authorise) -> APIRouter:
    """The room's paths."""
    routes = APIRouter(prefix="/v1", tags=["privacy"])

    @routes.get("/releases")
    def list_releases(
        request: Request,
        site: Site = None,
        measure: Name = None,
        since: Annotated[Moment, Query(alias="from")] = None,
        until: Annotated[Moment, Query(alias="to")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> dict[str, Any]:
        """Releases of windows that start in `[from, to)`, newest first; each value comes with its standard deviation."""
        _, named = authorise(dict(request.headers), READERS | SENDERS, site)
        found, after = releases.list(
            named, measure=measure, from_ms=milliseconds(since), to_ms=milliseconds(until, "to"), limit=limit, cursor=cursor
        )
        return {"releases": [r.to_json() for r in found], "next": after}

    @routes.get("/budget")
    def list_epochs(request: Request, site: Site = None, limit: Limit = 100) -> dict[str, Any]:
        """What each epoch promised and spent, newest first."""
        _, named = authorise(dict(request.headers), READERS, site)
        return {"budget": [epoch.to_json() for epoch in budget.epochs(named, limit=limit)], "next": None}

    @routes.get("/plan")
    def show_plan(request: Request, site: Site = None) -> dict[str, Any]:
        """What the declaration costs and what its numbers can show, as `tacit plan` prints it; for 10,000 people a day."""
        _, named = authorise(dict(request.headers), READERS, site)
        plan = plans.latest(named)
        if plan is None:
            raise NotFound("the sanitiser has not planned yet", next_step="It does so at its first pass: `tacit worker --once`.")
        return {"plan": plan}

    return routes
