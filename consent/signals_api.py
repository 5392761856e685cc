"""Signals over HTTP: the decoder for people who look into a string, and what this service says about Global Privacy Control."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from consent.api import Authorise
from consent.signals import answers, gpc
from consent.signals.errors import SignalInvalid
from tacit.core.access import CONSENT_KEEPERS, PUBLIC, READERS
from tacit.core.clock import Clock
from tacit.core.errors import InvalidRequest, RequestTooLarge

MAY_DECODE = CONSENT_KEEPERS | READERS

_REQUEST = {
    "oneOf": [
        {"type": "object", "required": [kind], "properties": {kind: {"type": "string"}}, "additionalProperties": False}
        for kind in ("tcf", "gpp")
    ]
}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}}}


def router(authorise: Authorise, clock: Clock) -> APIRouter:
    """`POST /v1/signals/decode` and `GET /.well-known/gpc.json`."""
    api = APIRouter(tags=["signals"])

    def permitted(request: Request, site: Annotated[str | None, Query(description="for admin keys")] = None) -> None:
        authorise(dict(request.headers), MAY_DECODE, site)

    @api.post("/v1/signals/decode", summary="Read a TCF or GPP string", dependencies=[Depends(permitted)], openapi_extra=_BODY)
    async def decode(request: Request) -> Response:
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > answers.MAX_REQUEST:
                raise RequestTooLarge(f"a request has at most {answers.MAX_REQUEST} bytes", next_step="Send one string.")
        try:
            asked = answers.read_request(bytes(content))
        except SignalInvalid as problem:
            raise InvalidRequest(problem.detail) from None
        answer = json.dumps(answers.answer(asked, now_ms=clock.now_ms()))
        return Response(answer, media_type="application/json", headers={"Cache-Control": "no-store"})

    @api.get(gpc.WELL_KNOWN, summary="Global Privacy Control is respected", openapi_extra=PUBLIC)
    def support(response: Response) -> dict[str, bool | str]:
        response.headers["Cache-Control"] = "public, max-age=86400"
        return gpc.support()

    return api
