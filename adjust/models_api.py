"""The registry over HTTP: `GET /v1/models`, one version, and rolling back to it."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
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

    def permitted(roles: frozenset[Role]) -> Callable[..., tuple[str, str]]:
        def asked(request: Request, site: SiteQuery = None) -> tuple[str, str]:
            caller, named = authorise(dict(request.headers), roles, site)
            return caller.key_id, named

        return asked

    # dependencies come before bodies are looked at, so who may not ask learns nothing about them
    reader = Annotated[tuple[str, str], Depends(permitted(READERS))]
    writer = Annotated[tuple[str, str], Depends(permitted(POLICY_WRITERS))]

    def declared(site: str, policy: str) -> str:
        if policy not in declaration.sites[site].policies:
            raise UnknownPolicy("the site declares no such policy")
        return site

    @api.get("/v1/models")
    def list_models(
        asked: reader,
        policy: str,
        before: Annotated[int | None, Query(ge=1)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """Versions, newest first; `next` is what to ask for with `before`."""
        named = declared(asked[1], policy)
        found = store.list(named, policy, before=before, limit=limit + 1)
        more = found[limit - 1].version if len(found) > limit else None
        return {"models": [m.to_json(whole=False) for m in found[:limit]], "pinned": book.controls.read(named, policy).pinned, "next": more}

    @api.get("/v1/models/{policy}/{version}")
    def read_model(asked: reader, policy: str, version: int) -> dict[str, Any]:
        """One version with its parameters and weights."""
        return store.get(declared(asked[1], policy), policy, version).to_json()

    @api.post("/v1/models/{policy}/rollback")
    def roll_back(asked: writer, policy: str, body: RollBack) -> dict[str, Any]:
        """Let an earlier version's weights stand from the next bundle on; learning goes on beside it."""
        named = declared(asked[1], policy)
        if body.version is not None:
            store.get(named, policy, body.version)
        book.order(declaration.sites[named], policy, "pinned", body.version, actor=asked[0])
        return {"policy": policy, "pinned": body.version}

    return api
