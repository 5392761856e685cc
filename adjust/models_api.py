"""The registry over HTTP: `GET /v1/models`, one version, and rolling back to it."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from adjust.api import Authorise
from adjust.errors import UnknownPolicy
from adjust.models_store import ModelStore
from adjust.policies import PolicyBook
from tacit.core.access import POLICY_WRITERS, READERS, Role
from tacit.core.declaration import Declaration

SiteQuery = Annotated[str | None, Query(description="Needed with an admin key only.")]


class RollBack(BaseModel):
    """Body of a roll back: the version that is to stand, or null for the newest again."""

    model_config = ConfigDict(extra="forbid")
    version: int | None = Field(ge=1)


def router(store: ModelStore, book: PolicyBook, declaration: Declaration, authorise: Authorise) -> APIRouter:
    """Model versions."""
    api = APIRouter(tags=["models"])

    def about(request: Request, site: str | None, policy: str, roles: frozenset[Role]) -> tuple[str, str]:
        caller, named = authorise(dict(request.headers), roles, site)
        if policy not in declaration.sites[named].policies:
            raise UnknownPolicy("the site declares no such policy")
        return named, caller.key_id

    @api.get("/v1/models")
    def list_models(
        request: Request,
        policy: str,
        site: SiteQuery = None,
        before: Annotated[int | None, Query(ge=1)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """Versions, newest first; `next` is what to ask for with `before`."""
        named, _ = about(request, site, policy, READERS)
        found = store.list(named, policy, before=before, limit=limit + 1)
        more = found[limit - 1].version if len(found) > limit else None
        return {"models": [m.to_json(whole=False) for m in found[:limit]], "pinned": book.controls.read(named, policy).pinned, "next": more}

    @api.get("/v1/models/{policy}/{version}")
    def read_model(request: Request, policy: str, version: int, site: SiteQuery = None) -> dict[str, Any]:
        """One version with its parameters and weights."""
        named, _ = about(request, site, policy, READERS)
        return store.get(named, policy, version).to_json()

    @api.post("/v1/models/{policy}/rollback")
    def roll_back(request: Request, policy: str, body: RollBack, site: SiteQuery = None) -> dict[str, Any]:
        """Let an earlier version's weights stand from the next bundle on; learning goes on beside it."""
        named, actor = about(request, site, policy, POLICY_WRITERS)
        if body.version is not None:
            store.get(named, policy, body.version)
        book.order(declaration.sites[named], policy, "pinned", body.version, actor=actor)
        return {"policy": policy, "pinned": body.version}

    return api
