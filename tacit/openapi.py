"""Adds the two plain ASGI endpoints to the OpenAPI document, where FastAPI cannot see them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

_PROBLEM = {"description": "RFC 9457 problem", "content": {"application/problem+json": {"schema": {"type": "object"}}}}
_KEY: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}]


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


_EVENT = {
    "type": "object",
    "required": ["id", "type", "subject", "at"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 128},
        "type": {"type": "string"},
        "subject": {"type": "string", "minLength": 1, "maxLength": 256},
        "id_type": {"type": "string", "default": "user"},
        "at": {"type": "string", "format": "date-time"},
        "properties": {"type": "object"},
    },
}
_VERDICT = {
    "type": "object",
    "properties": {
        "accepted": {"type": "integer"},
        "refused": {"type": "object", "additionalProperties": {"type": "integer"}},
        "rejected": {
            "type": "array",
            "items": {"type": "object", "properties": {"index": {"type": "integer"}, "code": {"type": "string"}}},
        },
    },
}
_QUESTION = {
    "type": "object",
    "properties": {
        "zone": {"type": "string"},
        "policy": {"type": "string"},
        "context": {"type": "object", "additionalProperties": {"type": "string"}},
        "unit": {"type": "string", "maxLength": 256},
        "site": {"type": "string"},
    },
}
_DECISION = {
    "type": "object",
    "properties": {
        "policy": {"type": "string"},
        "arm": {"type": "string"},
        "parameters": {"type": "object"},
        "propensity": {"type": "number"},
        "cell": {"type": "string"},
        "reason": {"type": "string"},
        "bundle": {"type": "integer"},
    },
}

_PATHS = {
    "/v1/events": ("ingest", "Send events", {"type": "object", "properties": {"events": {"type": "array", "items": _EVENT}}}, _VERDICT),
    "/v1/adjust": ("adjust", "Ask for a decision", _QUESTION, _DECISION),
}


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` list every path of the service."""
    generated = app.openapi

    def complete() -> dict[str, Any]:
        document = generated()
        for path, (tag, summary, question, answer) in _PATHS.items():
            document["paths"][path] = {
                "post": {
                    "tags": [tag],
                    "summary": summary,
                    "security": _KEY,
                    "requestBody": {"required": True} | _json(question),
                    "responses": {"200": {"description": "Answered"} | _json(answer)}
                    | dict.fromkeys(("400", "401", "403", "404", "413", "422", "503"), _PROBLEM),
                }
            }
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["bearer"] = {"type": "http", "scheme": "bearer"}
        schemes["key"] = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        return document

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
