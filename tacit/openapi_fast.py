"""What the OpenAPI document says of the two plain ASGI endpoints, which FastAPI does not know."""

from __future__ import annotations

from typing import Any

from adjust.api import UNIT_LIMIT
from ingest.events import BODY_LIMIT, EVENT_LIMIT

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
_BATCH = {
    "type": "object",
    "required": ["events"],
    "properties": {
        "events": {
            "type": "array",
            "description": f"{BODY_LIMIT // 1024} KiB together, {EVENT_LIMIT // 1024} KiB each. What is no event is rejected alone.",
            "items": {"anyOf": [_EVENT, {}]},
        }
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
    "anyOf": [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("policy", "zone")],
    "properties": {
        "zone": {"type": ["string", "null"]},
        "policy": {"type": ["string", "null"]},
        "context": {"type": "object", "description": "Unknown keys are dropped; an unknown value counts as `other`."},
        "unit": {"type": ["string", "null"], "maxLength": UNIT_LIMIT},
        "site": {"type": ["string", "null"], "description": "for admin keys"},
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


def _path(tag: str, summary: str, question: dict[str, Any], answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "post": {
            "tags": [tag],
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": question}}},
            "responses": {"200": {"description": "Answered", "content": {"application/json": {"schema": answer}}}},
            **more,
        }
    }


_SITE = {"name": "site", "in": "query", "required": False, "description": "for admin keys", "schema": {"type": "string"}}

PATHS: dict[str, Any] = {
    "/v1/events": _path("ingest", "Send events", _BATCH, _VERDICT, parameters=[_SITE]),
    "/v1/adjust": _path("adjust", "Ask for a decision", _QUESTION, _DECISION),
}
"""By path, as in the document; failures are added like everywhere else."""
