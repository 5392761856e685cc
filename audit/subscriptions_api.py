"""Who is told of findings, over HTTP. Mail addresses travel in bodies only."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from audit.findings_api import Authorise, SiteName
from audit.notifications import Channel, Notice
from audit.subscriptions import MAIL, Subscriptions
from tacit.core.access import RESPONSIBLE, Caller
from tacit.core.outgoing import URL


def _to(channel: str, pattern: str) -> JsonDict:
    return {"properties": {"channel": {"const": channel}, "address": {"pattern": pattern}}}


class SubscriptionBody(BaseModel):
    """`PUT /v1/subscriptions/{name}`: `address` is a URL for a webhook, one mail address for mail."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={"oneOf": [_to("webhook", URL), _to("mail", MAIL)]},
    )

    channel: Channel
    address: Annotated[str, Field(min_length=1, max_length=2000)]
    events: Annotated[list[Notice], Field(min_length=1, max_length=16)]
    rotate_secret: Annotated[bool, Field(strict=True)] = False


def router(subscriptions: Subscriptions, authorise: Authorise) -> APIRouter:
    """The paths below `/v1/subscriptions`."""
    api = APIRouter(prefix="/v1/subscriptions", tags=["audit"])

    def permitted(request: Request, response: Response, site: SiteName = None) -> tuple[Caller, str]:
        response.headers["Cache-Control"] = "no-store"
        return authorise(dict(request.headers), RESPONSIBLE, site)

    who = Annotated[tuple[Caller, str], Depends(permitted)]
    named = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]

    @api.get("", summary="Who is told of findings")
    def listed(asking: who) -> dict[str, Any]:
        return subscriptions.list(asking[1])

    @api.put("/{name}", summary="Tell somebody", response_description="With `secret` when a webhook got a new one: it is shown once")
    def put(name: named, asking: who, body: SubscriptionBody) -> dict[str, Any]:
        caller, site = asking
        return subscriptions.put(
            site,
            name,
            channel=body.channel,
            address=body.address,
            events=body.events,
            actor=caller.key_id,
            rotate_secret=body.rotate_secret,
        )

    @api.delete("/{name}", status_code=204, summary="Tell them no more")
    def delete(name: named, asking: who) -> None:
        subscriptions.delete(asking[1], name, actor=asking[0].key_id)

    return api
