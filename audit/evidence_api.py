"""`/v1/evidence/…`: heads, proofs, tiles and entries of the evidence log, and the door for witnesses. Reading appends nothing.

The key is given to everybody. Heads, proofs and tiles hold hashes and the number of entries, and that number counts consent records:
so they need a key of an app, an officer, an auditor or an admin, unless the declaration opens them (`evidence: {public: true}`).
Entries hold names and hashes, of the caller's own site only, and are for officers and auditors.
"""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse

from audit import notes, tiles
from audit.evidence_errors import NoteRefused
from audit.log import Log, Logged
from audit.notary import Notary, as_text
from tacit.core.access import PUBLIC, READERS, Caller, Role
from tacit.core.errors import InvalidRequest

Authorise = Callable[[Mapping[str, str], frozenset[Role], str | None], tuple[Caller, str]]

HASH_READERS = READERS | {Role.APP}
TEXT = "text/plain; charset=utf-8"
FOR_EVER = "max-age=31536000, immutable"
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
NOTE = {"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string", "maxLength": notes.LIMIT_BYTES}}}}}

SiteName = Annotated[str | None, Query(description="Needed with an admin key only.")]
Number = Annotated[int | None, Query(ge=0, le=1 << 62)]


def router(log: Log, notary: Notary, authorise: Authorise, *, public: bool) -> APIRouter:
    """The log's paths."""
    routes = APIRouter(prefix="/v1/evidence", tags=["evidence"])
    scope = "public" if public else "private"

    def admit(request: Request, site: str | None) -> None:
        if not public:
            authorise(dict(request.headers), HASH_READERS, site)

    @routes.get("/key", response_class=PlainTextResponse, openapi_extra=PUBLIC, summary="The verifier key: name+key id+base64")
    def show_key() -> Response:
        """For comparison only: a key that comes from where the log comes from proves nothing. Get it by another way."""
        return Response(f"{notary.key}\n", media_type=TEXT, headers={"cache-control": "public, max-age=300"})

    @routes.get("/checkpoint", response_class=PlainTextResponse, summary="The log's signed head, with the signatures of witnesses")
    def show_checkpoint(request: Request, site: SiteName = None, size: Number = None, witnessed: bool = False) -> Response:
        """A signed note: origin, size and root hash. `size` asks for an earlier head, `witnessed` for the newest one a witness signed."""
        admit(request, site)
        return Response(str(notary.checkpoint(size, witnessed=witnessed)), media_type=TEXT, headers={"cache-control": "no-cache"})

    @routes.get("/proof", summary="That an entry stands in the log")
    def show_proof(
        request: Request,
        index: Annotated[int, Query(ge=0, le=1 << 62)],
        site: SiteName = None,
        size: Number = None,
        form: Annotated[Literal["json", "text"], Query(alias="format")] = "json",
    ) -> Any:
        """RFC 6962 inclusion proof with the checkpoint it leads to; as `text` one file for c2sp.org/tlog-proof."""
        admit(request, site)
        proof = notary.inclusion(index, size)
        return Response(as_text(proof), media_type=TEXT) if form == "text" else proof

    @routes.get("/consistency", summary="That an earlier log is the beginning of a later one")
    def show_consistency(
        request: Request, since: Annotated[int, Query(alias="from", ge=0, le=1 << 62)], to: Number = None, site: SiteName = None
    ) -> dict[str, Any]:
        """RFC 6962 consistency proof with both checkpoints."""
        admit(request, site)
        return notary.consistency(since, to)

    @routes.get("/tile/{path:path}", response_class=Response, responses=BYTES, summary="A tile of the tree: up to 256 hashes")
    def show_tile(request: Request, path: str, site: SiteName = None) -> Response:
        """Named as c2sp.org/tlog-tiles says: `0/x001/234` or, for one that is not full, `0/x001/234.p/17`."""
        admit(request, site)
        content = log.tile(*tiles.parse(path))
        return Response(content, media_type="application/octet-stream", headers={"cache-control": f"{scope}, {FOR_EVER}"})

    @routes.get("/entries", summary="Entries of a site, oldest first")
    def list_entries(
        request: Request,
        site: SiteName = None,
        kind: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[str, Query(pattern=r"^[0-9]{0,18}$", description="`next` of the page before.")] = "",
    ) -> dict[str, Any]:
        """`content` is the leaf itself: the leaf hash is SHA-256 over a zero byte and these characters in UTF-8."""
        _, named = authorise(dict(request.headers), READERS, site)
        found, after = log.list(named, kind=kind, limit=limit, after=int(cursor) if cursor else None)
        return {"entries": [_shown(one) for one in found], "next": None if after is None else str(after)}

    @routes.post("/witness", openapi_extra=PUBLIC | NOTE, summary="Bring a witness's signature under a checkpoint")
    async def take_witness(request: Request) -> dict[str, Any]:
        """The body is a checkpoint of this log with the line of a configured witness; that signature is the right to bring it."""
        content = bytearray()
        async for piece in request.stream():
            content += piece
            if len(content) > notes.LIMIT_BYTES:
                raise NoteRefused("it is longer than 64 KiB")
        return {"witnesses": notary.cosign(bytes(content))}

    return routes


def _shown(entry: Logged) -> dict[str, Any]:
    try:
        return entry.to_json() | {"content": entry.content().decode()}
    except ValueError:
        raise InvalidRequest("an entry of this page cannot be read; `tacit evidence verify` says which") from None
