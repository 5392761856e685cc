"""Webhooks over HTTP, for officers and administrators."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from consent.api import Authorise
from consent.outbox import Event
from consent.webhooks import PAGE, Webhooks
from tacit.core.access import Role
from tacit.core.outgoing import URL

MAY_MANAGE = frozenset({Role.OFFICER, Role.ADMIN})


class WebhookBody(BaseModel):
    """`PUT /v1/webhooks/{name}`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: Annotated[str, Field(strict=True, min_length=1, max_length=2000, json_schema_extra={"pattern": URL})]
    events: Annotated[list[Event], Field(min_length=1, max_length=16)]
    rotate_secret: Annotated[bool, Field(strict=True)] = False


def router(webhooks: Webhooks, authorise: Authorise) -> APIRouter:
    """The paths below `/v1/webhooks`."""
    api = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

    def permitted(request: Request, response: Response, site: Annotated[str | None, Query(description="for admin keys")] = None) -> str:
        response.headers["Cache-Control"] = "no-store"
        return authorise(dict(request.headers), MAY_MANAGE, site)[1]

    site_name = Annotated[str, Depends(permitted)]
    webhook_name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]

    @api.get("", summary="All webhooks of a site")
    def listed(site: site_name) -> dict[str, Any]:
        return webhooks.list(site)

    @api.put("/{name}", summary="Make or change a webhook", response_description="With `secret` when a new one was made: it is shown once")
    def put(name: webhook_name, body: WebhookBody, site: site_name) -> dict[str, Any]:
        return webhooks.put(site, name, url=body.url, events=body.events, rotate_secret=body.rotate_secret)

    @api.get("/{name}", summary="One webhook")
    def get(name: webhook_name, site: site_name) -> dict[str, Any]:
        return webhooks.get(site, name)

    @api.delete("/{name}", status_code=204, summary="Remove a webhook with its unsent messages")
    def delete(name: webhook_name, site: site_name) -> None:
        webhooks.delete(site, name)

    @api.get("/{name}/messages", summary="What was sent, waits or is dead")
    def messages(
        name: webhook_name,
        site: site_name,
        state: Literal["pending", "delivered", "dead"] | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
        cursor: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    ) -> dict[str, Any]:
        return webhooks.messages(site, name, state=state, limit=limit, after=cursor)

    @api.post("/{name}/retry", summary="Send dead messages once more")
    def retry(name: webhook_name, site: site_name) -> dict[str, int]:
        return {"messages": webhooks.retry(site, name)}

    return api
