"""The registry over HTTP: `GET /v1/models`, one version, two of them compared, and rolling back to one."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from adjust.api import Authorise
from adjust.errors import UnknownPolicy
from adjust.models_store import ModelStore
from adjust.policies import PolicyBook
from tacit.core.access import POLICY_WRITERS, READERS, Role
from tacit.core.declaration import Declaration, Policy, Site

if TYPE_CHECKING:
    from adjust.pricing import Pricing

LARGEST = 2**31 - 1
"""What fits into the column of every database."""

SiteQuery = Annotated[str | None, Query(description="Needed with an admin key only.")]
Version = Annotated[int, Query(ge=1, le=LARGEST, description="A version's number.")]


class RollBack(BaseModel):
    """Body of a roll back: the version that is to stand, or null for the newest again."""

    model_config = ConfigDict(extra="forbid")
    version: int | None = Field(ge=1, le=LARGEST)


class Beside(BaseModel):
    """Body of `versus`: a version and the share of people that it answers, or null for both to end it."""

    model_config = ConfigDict(extra="forbid")
    version: int | None = Field(ge=1, le=LARGEST)
    share: float = Field(default=0.5, gt=0, lt=1)


def router(
    store: ModelStore, book: PolicyBook, pricing: "Callable[[], Pricing]", declaration: Declaration, authorise: Authorise
) -> APIRouter:
    """Model versions. `pricing` loads numpy, so it is made when it is first asked for."""
    api = APIRouter(tags=["models"])

    def permitted(roles: frozenset[Role]) -> Callable[..., tuple[str, Site]]:
        def found(request: Request, site: SiteQuery = None) -> tuple[str, Site]:
            caller, named = authorise(dict(request.headers), roles, site)
            return caller.key_id, declaration.sites[named]

        return found

    # dependencies come before parameters and bodies are looked at, so who may not ask learns nothing about them
    reader = Annotated[tuple[str, Site], Depends(permitted(READERS))]
    writer = Annotated[tuple[str, Site], Depends(permitted(POLICY_WRITERS))]

    @api.get("/v1/models")
    def list_models(
        policy: str,
        asked: reader,
        before: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """Versions, newest first; `next` is what to ask for with `before`."""
        site = asked[1]
        _declared(site, policy)
        found = store.list(site.name, policy, before=before, limit=limit + 1)
        more = found[limit - 1].version if len(found) > limit else None
        pinned = book.controls.read(site.name, policy).pinned
        return {"models": [m.to_json(whole=False) for m in found[:limit]], "pinned": pinned, "next": more}

    @api.get("/v1/models/{policy}/compare")
    def compare_models(policy: str, a: Version, b: Version, asked: reader) -> dict[str, Any]:
        """The expected reward of two versions from the same released figures, and the difference with its standard deviation."""
        site = asked[1]
        return {"policy": policy} | pricing().compare(site, _declared(site, policy), a, b).to_json()

    @api.get("/v1/models/{policy}/{version:int}")  # `int`: or it would answer for the paths beside it
    def read_model(policy: str, version: Annotated[int, Path(ge=1, le=LARGEST)], asked: reader) -> dict[str, Any]:
        """One version with its parameters and weights."""
        site = asked[1]
        _declared(site, policy)
        return store.get(site.name, policy, version).to_json()

    @api.post("/v1/models/{policy}/rollback")
    def roll_back(policy: str, body: RollBack, asked: writer) -> dict[str, Any]:
        """Let an earlier version's weights stand from the next bundle on; learning goes on beside it."""
        actor, site = asked
        _declared(site, policy)
        if body.version is not None:
            store.servable(site.name, policy, body.version)
        book.order(site, policy, "pinned", body.version, actor=actor)
        return {"policy": policy, "pinned": body.version}

    @api.post("/v1/models/{policy}/versus")
    def set_beside(policy: str, body: Beside, asked: writer) -> dict[str, Any]:
        """Let an earlier version answer a part of the people beside the one that stands, from the next bundle on."""
        actor, site = asked
        _declared(site, policy)
        if body.version is None:
            book.order(site, policy, "versus", None, actor=actor)
            return {"policy": policy, "versus": None}
        store.servable(site.name, policy, body.version)
        book.order(site, policy, "versus", {"version": body.version, "share": body.share}, actor=actor)
        return {"policy": policy, "versus": {"version": body.version, "share": body.share}}

    return api


def _declared(site: Site, policy: str) -> Policy:
    found = site.policies.get(policy)
    if found is None:
        raise UnknownPolicy("the site declares no such policy")
    return found
