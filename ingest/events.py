"""A request's body to events, one by one: a bad event costs itself and nothing else.

The strict form is tried on a whole body at once. Only where something in it does not fit is each event read alone, which also finds out
what is wrong with which. Codes and positions are answered, never a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from tacit.core.errors import InvalidRequest, RequestTooLarge

BODY_LIMIT = 500 * 1024
EVENT_LIMIT = 32 * 1024
"""Segment's own limits for a batch and for one event."""


class Event(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One event as it is sent. `at` carries its zone as it was written."""

    id: str
    type: str
    subject: str
    at: datetime
    id_type: str = "user"
    properties: dict[str, Any] = {}


class _LooseEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """ISO 8601 allows more forms of a time than RFC 3339 does."""

    id: str
    type: str
    subject: str
    at: str
    id_type: str = "user"
    properties: dict[str, Any] = {}


class _Batch(msgspec.Struct):
    events: list[Event]


class _RawBatch(msgspec.Struct):
    events: list[msgspec.Raw]


_batch = msgspec.json.Decoder(_Batch)
_raw_batch = msgspec.json.Decoder(_RawBatch)
_event = msgspec.json.Decoder(Event)
_loose = msgspec.json.Decoder(_LooseEvent)


def parse(body: bytes) -> list[Event | str]:
    """Each event, or the code of what is wrong with it, in order. Raises `InvalidRequest`, `RequestTooLarge`."""
    if len(body) > BODY_LIMIT:
        raise RequestTooLarge(f"a batch has at most {BODY_LIMIT // 1024} KiB")
    if len(body) <= EVENT_LIMIT:
        try:
            return list(_batch.decode(body).events)
        except (ValueError, RecursionError):
            pass
    return list(_one_by_one(body))


def _one_by_one(body: bytes) -> Iterator[Event | str]:
    try:
        raws = _raw_batch.decode(body).events
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "the body is not a JSON object with a list of events", errors=[{"pointer": "/events", "detail": "a list is needed"}]
        ) from None
    for raw in raws:
        if len(memoryview(raw)) > EVENT_LIMIT:
            yield "event_too_large"
            continue
        try:
            yield _event.decode(raw)
        except (ValueError, RecursionError):
            yield _read_loosely(raw)


def _read_loosely(raw: msgspec.Raw) -> Event | str:
    try:
        found = _loose.decode(raw)
    except msgspec.ValidationError as error:
        return "unknown_field" if str(error).startswith("Object contains unknown field") else "malformed"
    except (ValueError, RecursionError):
        return "malformed"
    try:
        at = datetime.fromisoformat(found.at)
    except ValueError:
        return "malformed"
    return Event(found.id, found.type, found.subject, at, found.id_type, found.properties)
