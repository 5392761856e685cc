"""The OpenAPI document: what FastAPI knows of the routes, completed by what it cannot see.

Every path that needs a key says so, failures are RFC 9457 problems everywhere, and which failures an operation has follows from what it
takes: a key, parameters, a body. A path that needs no key says `openapi_extra=PUBLIC`; whatever else an operation can answer, it declares
itself in `responses`. Two plain ASGI endpoints, of which FastAPI knows nothing, are described in `tacit/openapi_fast.py`.
"""

from __future__ import annotations

import copy
from typing import Any

from fastapi import FastAPI

from tacit.openapi_fast import PATHS

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `errors` lists where something is wrong, and never what was sent.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "next_step": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}}},
        },
    },
}
_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_WHY = {
    "400": "It cannot be read",
    "401": "No valid key",
    "403": "The key may not do that",
    "404": "There is no such thing, or no such site",
    "409": "It conflicts with what is there",
    "413": "Too large",
    "422": "Not as expected",
    "503": "The storage is unavailable; nothing was done",
}
_METHODS = frozenset({"get", "put", "post", "delete", "patch"})
_OF_FASTAPI = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` list every path of the service with everything that it answers."""
    generated = app.openapi
    made: list[dict[str, Any]] = []

    def complete() -> dict[str, Any]:
        if not made:
            made.append(_completed(generated()))
        return made[0]

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    kept = {name: schema for name, schema in components.get("schemas", {}).items() if name not in _OF_FASTAPI}
    components["schemas"] = kept | {"Problem": _PROBLEM}
    document["security"] = [{"bearer": []}, {"key": []}]
    document["paths"] |= copy.deepcopy(PATHS)
    for item in document["paths"].values():
        for method, operation in item.items():
            if method in _METHODS:
                operation["responses"] = _answers(method, operation)
    return document


def _answers(method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """The operation's responses with the failures that follow from what it takes, all of them problems."""
    parameters, body = operation.get("parameters", []), "requestBody" in operation
    possible: set[str] = set()
    if operation.get("security") != []:
        possible |= {"401", "403", "404", "503"} | ({"409"} if method != "get" else set())
    if parameters or body:
        possible |= {"400", "422"}
    if body:
        possible |= {"413"}
    if any(parameter["in"] == "path" for parameter in parameters):
        possible |= {"404"}
    responses = {status: answer for status, answer in operation["responses"].items() if not _is_of_fastapi(answer)}
    for status in sorted(possible):
        responses.setdefault(status, {"description": _WHY[status]})
    failures = {status: answer | {"content": _CONTENT} for status, answer in responses.items() if status > "4" and "content" not in answer}
    return responses | failures


def _is_of_fastapi(answer: dict[str, Any]) -> bool:
    """Whether it is the description of FastAPI's own error body, which this service never sends."""
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).endswith("/HTTPValidationError")
