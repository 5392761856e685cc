"""`GET /v1/findings/{id}` and the steps that people take. Who may is asked before the body is looked at."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from audit.ports import change_from
from audit.service import Asking, Findings
from tacit.core.access import READERS, RESPONSIBLE, Caller, Role
from tacit.core.clock import from_iso
from tacit.core.errors import InvalidRequest

Authorise = Callable[[Mapping[str, str], frozenset[Role], str | None], tuple[Caller, str]]

Note = Annotated[str, Field(min_length=1, max_length=4000)]
Moment = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
SiteName = Annotated[str | None, Query(description="Needed with an admin key only.")]


class Body(BaseModel):
    """What every step may carry."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    note: Note | None = None
    version: Annotated[int, Field(ge=1)] | None = None


class AssignBody(Body):
    """`assignee` is a key's id; the caller's own if it is left out."""

    assignee: Annotated[str, Field(max_length=40)] | None = None
    due: Moment | None = None


class ReasonBody(Body):
    """A step that has to be explained."""

    note: Note


class AcceptBody(ReasonBody):
    """Until when the difference is accepted; ninety days if it is left out."""

    until: Moment | None = None


def _change(kind: str, **members: JsonDict) -> JsonDict:
    shape: JsonDict = {"kind": {"const": kind}, **members}
    return {"required": list(shape), "properties": shape, "additionalProperties": False}


_SHARE: JsonDict = {"type": "number", "minimum": 0, "maximum": 1}
_CHANGES = (
    _change("pause"),
    _change("cap", arm={"type": "string"}, most=_SHARE),
    _change("equalise", within=_SHARE),
    _change("constrain", limit=_SHARE),
    _change("roll_back", version={"type": "integer", "minimum": 1}),
)


class ChangeBody(Body):
    """A correction: `{"kind": "pause"}` and the like."""

    change: Annotated[dict[str, Any], Field(json_schema_extra={"oneOf": list(_CHANGES)})]


def router(findings: Findings, authorise: Authorise) -> APIRouter:
    """The paths below `/v1/findings/{id}`."""
    api = APIRouter(prefix="/v1/findings", tags=["audit"])

    def reader(request: Request, site: SiteName = None) -> str:
        return authorise(dict(request.headers), READERS, site)[1]

    def responsible(request: Request, site: SiteName = None) -> tuple[Caller, str]:
        return authorise(dict(request.headers), RESPONSIBLE, site)

    finding_id = Annotated[str, Path(alias="id", max_length=40)]
    who = Annotated[tuple[Caller, str], Depends(responsible)]

    def answer(response: Response, found: dict[str, Any]) -> dict[str, Any]:
        response.headers["ETag"] = f'"{found["version"]}"'
        response.headers["Cache-Control"] = "no-store"
        return found

    @api.get("/{id}", summary="One finding with its history")
    def show(finding: finding_id, site: Annotated[str, Depends(reader)], response: Response) -> dict[str, Any]:
        return answer(response, findings.get(site, finding))

    @api.post("/{id}/price", summary="What a correction would cost; nothing is changed")
    def price(finding: finding_id, asking: who, body: ChangeBody) -> dict[str, Any]:
        return findings.price(asking[1], finding, change_from(body.change)).to_json()

    @api.post("/{id}/assign", summary="Make somebody responsible")
    def assign(finding: finding_id, asking: who, request: Request, response: Response, body: AssignBody) -> dict[str, Any]:
        due_ms = moment_ms(body.due, "due")
        found = findings.assign(_asking(asking, request, body), finding, assignee=body.assignee, due_ms=due_ms, note=body.note)
        return answer(response, found)

    @api.post("/{id}/accept", summary="The difference stands, for a stated time, and why")
    def accept(finding: finding_id, asking: who, request: Request, response: Response, body: AcceptBody) -> dict[str, Any]:
        until_ms = moment_ms(body.until, "until")
        return answer(response, findings.accept(_asking(asking, request, body), finding, note=body.note, until_ms=until_ms))

    @api.post("/{id}/correct", summary="Have the policy changed; the next scan verifies")
    def correct(finding: finding_id, asking: who, request: Request, response: Response, body: ChangeBody) -> dict[str, Any]:
        change = change_from(body.change)
        return answer(response, findings.correct(_asking(asking, request, body), finding, change, note=body.note))

    @api.post("/{id}/dismiss", summary="It is no finding, and why")
    def dismiss(finding: finding_id, asking: who, request: Request, response: Response, body: ReasonBody) -> dict[str, Any]:
        return answer(response, findings.dismiss(_asking(asking, request, body), finding, note=body.note))

    @api.post("/{id}/comment", summary="Say something; the finding stays as it is")
    def comment(finding: finding_id, asking: who, request: Request, response: Response, body: ReasonBody) -> dict[str, Any]:
        return answer(response, findings.comment(_asking(asking, request, body), finding, note=body.note))

    @api.post("/{id}/sign", summary="Sign the decision off; two different keys have to")
    def sign(finding: finding_id, asking: who, request: Request, response: Response, body: Body | None = None) -> dict[str, Any]:
        given = body or Body()
        return answer(response, findings.sign(_asking(asking, request, given), finding, note=given.note))

    @api.post("/{id}/close", summary="End a finding that two people have signed")
    def close(finding: finding_id, asking: who, request: Request, response: Response, body: Body | None = None) -> dict[str, Any]:
        given = body or Body()
        return answer(response, findings.close(_asking(asking, request, given), finding, note=given.note))

    @api.post("/{id}/reopen", summary="Take a decision back, and why")
    def reopen(finding: finding_id, asking: who, request: Request, response: Response, body: ReasonBody) -> dict[str, Any]:
        return answer(response, findings.reopen(_asking(asking, request, body), finding, note=body.note))

    return api


def moment_ms(text: str | None, name: str) -> int | None:
    """The moment that a body names. Raises `InvalidRequest`."""
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError:
        raise InvalidRequest(f"`{name}` is an ISO 8601 time with a zone") from None


def _asking(who: tuple[Caller, str], request: Request, body: Body) -> Asking:
    """The version comes from the body or from `If-Match`; both is only right when they agree."""
    tag, key = request.headers.get("if-match"), request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= 128 and key.isascii() and key.isprintable()):
        raise InvalidRequest("`Idempotency-Key` has 1 to 128 plain characters")
    version = body.version
    if tag is not None and tag != "*":
        if (found := re.fullmatch(r'(?:W/)?"(\d{1,9})"', tag)) is None:
            raise InvalidRequest("`If-Match` is the `ETag` of the finding as it was read")
        if version is not None and version != int(found[1]):
            raise InvalidRequest("`If-Match` and `version` name different versions")
        version = int(found[1])
    return Asking(who[0], who[1], version, key)
