"""Policies over HTTP: what there is, new versions, and who approved, paused or archived what. Whoever asks is known by the key's id."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from adjust.api import Authorise
from adjust.errors import UnknownPolicy
from adjust.policies import DRAFT, PolicyBook
from tacit.core.access import POLICY_STOPPERS, POLICY_WRITERS, READERS, Role
from tacit.core.declaration import Declaration, Site
from tacit.core.errors import Forbidden
from tacit.core.policies import CHANGEABLE

_Asked = tuple[str, Role, Site]
"""The key's id, its role, and the site the request is about."""

Note = Annotated[str, Field(max_length=500)]


class Act(BaseModel):
    """Why something is done; kept in the history and the evidence log, so it names no visitor."""

    model_config = ConfigDict(extra="forbid")
    note: Note = ""
    version: int | None = Field(
        default=None, ge=1, description="Of `approve` the draft, if it is not the newest; of `rollback` the version to return to."
    )


class Draft(BaseModel):
    """The keys that change; the others stay as they are now."""

    model_config = ConfigDict(extra="forbid")
    config: dict[str, Any] = Field(min_length=1, json_schema_extra={"propertyNames": {"enum": list(CHANGEABLE)}})
    note: Note = ""


class Switch(BaseModel):
    """The kill switch."""

    model_config = ConfigDict(extra="forbid")
    on: bool = True
    note: Note = ""


def router(book: PolicyBook, declaration: Declaration, authorise: Authorise) -> APIRouter:
    """Every path below `/v1/policies`."""
    api = APIRouter(prefix="/v1/policies", tags=["policies"])

    def permitted(roles: frozenset[Role]) -> Callable[..., _Asked]:
        def asked(request: Request, site: Annotated[str | None, Query(description="Needed with an admin key only.")] = None) -> _Asked:
            caller, named = authorise(dict(request.headers), roles, site)
            return caller.key_id, caller.role, declaration.sites[named]

        return asked

    # dependencies come before bodies are looked at, so who may not ask learns nothing about them
    reader = Annotated[_Asked, Depends(permitted(READERS))]
    writer = Annotated[_Asked, Depends(permitted(POLICY_WRITERS))]
    stopper = Annotated[_Asked, Depends(permitted(POLICY_STOPPERS))]
    body = Annotated[Act, Body(default_factory=Act)]

    @api.get("")
    def list_policies(asked: reader) -> dict[str, Any]:
        """Every policy with its state and current version."""
        site = asked[2]
        return {"policies": [summary(book, site, name) for name in site.policies], "next": None}

    @api.get("/{policy}")
    def read_policy(policy: str, asked: reader) -> dict[str, Any]:
        """A policy with every version, everything that happened to it, and its standing orders."""
        return detail(book, asked[2], policy)

    @api.put("/{policy}", status_code=201)
    def draft_policy(policy: str, draft: Draft, asked: writer) -> dict[str, Any]:
        """A new version, which waits for the approval of somebody else."""
        actor, _, site = asked
        return book.draft(site, policy, draft.config, actor=actor, note=draft.note).to_json()

    @api.post("/{policy}/approve")
    def approve(policy: str, act: body, asked: writer) -> dict[str, Any]:
        """Let a draft run from the next bundle on. Its author cannot."""
        actor, _, site = asked
        book.approve(site, policy, actor=actor, version=act.version, note=act.note)
        return summary(book, site, policy)

    @api.post("/{policy}/rollback")
    def roll_back(policy: str, act: body, asked: writer) -> dict[str, Any]:
        """Let an earlier approved version run again."""
        actor, _, site = asked
        book.roll_back(site, policy, act.version or 0, actor=actor, note=act.note)
        return summary(book, site, policy)

    @api.post("/{policy}/pause")
    def pause(policy: str, act: body, asked: stopper) -> dict[str, Any]:
        """Show everybody the default arm. Officers may too."""
        actor, _, site = asked
        book.pause(site, policy, actor=actor, note=act.note)
        return summary(book, site, policy)

    @api.post("/{policy}/resume")
    def resume(policy: str, act: body, asked: writer) -> dict[str, Any]:
        """Let a paused policy run again."""
        actor, _, site = asked
        book.resume(site, policy, actor=actor, note=act.note)
        return summary(book, site, policy)

    @api.post("/{policy}/archive")
    def archive(policy: str, act: body, asked: writer) -> dict[str, Any]:
        """Take a policy out of service."""
        actor, _, site = asked
        book.archive(site, policy, actor=actor, note=act.note)
        return summary(book, site, policy)

    @api.post("/{policy}/kill")
    def kill(policy: str, switch: Switch, asked: stopper) -> dict[str, Any]:
        """Stop a policy within a second, in every process, without waiting for a bundle. Officers may too; others let it go again."""
        actor, role, site = asked
        if not switch.on and role not in POLICY_WRITERS:
            raise Forbidden("an officer may stop a policy and not let it go again")
        book.order(site, policy, "kill", switch.on, actor=actor, note=switch.note)
        return summary(book, site, policy)

    return api


def summary(book: PolicyBook, site: Site, policy: str) -> dict[str, Any]:
    """`{policy, zone, state, killed, version, draft}`. Raises `UnknownPolicy`."""
    if policy not in site.policies:
        raise UnknownPolicy("the site declares no such policy")
    found = book.effective(site, policy)
    waiting = [one.version for one in book.store.versions(site.name, policy) if one.state == DRAFT]
    return {
        "policy": policy,
        "zone": found.policy.zone,
        "state": found.standing.state,
        "killed": found.standing.kill,
        "version": found.version,
        "draft": max(waiting, default=None),
    }


def detail(book: PolicyBook, site: Site, policy: str) -> dict[str, Any]:
    """The summary with `versions`, `events` and `controls`, each newest first."""
    return summary(book, site, policy) | {
        "versions": [one.to_json() for one in book.store.versions(site.name, policy)],
        "events": book.store.events(site.name, policy),
        "controls": book.controls.history(site.name, policy),
    }
