"""A request's body to events, one by one: a bad event costs itself and nothing else.

The strict form is tried on a whole body at once. Only where something in it does not fit is each event read alone, which also finds out
what is wrong with which; and only where an event is no JSON at all are the events told apart by brackets, commas and quotation marks.
Codes and positions are answered, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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

# What separates events, whatever stands inside them. Each byte is looked at once: the quantifiers give nothing back, and a string that
# does not end goes on to the end of the body.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{]++|[\]}]++|,', re.DOTALL)
_EVENTS = re.compile(rb'"events"[ \t\r\n]*+:[ \t\r\n]*+\[')
_COMMA, _QUOTE = b',"'
_OPENERS, _OBJECT = b"[{", ord("{")


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
    raws: Sequence[msgspec.Raw | bytes] | None
    try:
        raws = _raw_batch.decode(body).events
    except (ValueError, RecursionError):
        raws = _split(body)
    if raws is None:
        raise InvalidRequest(
            "the body is not a JSON object with a list of events", errors=[{"pointer": "/events", "detail": "a list is needed"}]
        )
    for raw in raws:
        content = memoryview(raw)
        if len(content) > EVENT_LIMIT:
            yield "event_too_large"
            continue
        if content[0] != _OBJECT:
            yield "malformed"
            continue
        try:
            yield _event.decode(raw)
        except msgspec.ValidationError as error:
            yield _read_loosely(raw) if "`$.at`" in str(error) else _code(error)
        except (ValueError, RecursionError):
            yield "malformed"


def _split(body: bytes) -> list[bytes] | None:
    """The events of a batch of which some are no JSON; nothing where the rest of the body is none either. Linear in the body's length."""
    depth, start = 0, -1
    for token in _TOKENS.finditer(body):
        first = body[token.start()]
        if first == _QUOTE:
            opened = _EVENTS.match(body, token.start()) if depth == 1 else None
            if opened is not None:
                start = opened.end()
                break
        elif first != _COMMA:
            depth += (token.end() - token.start()) * (1 if first in _OPENERS else -1)
    found = None if start < 0 else _elements(body, start)
    if found is None:
        return None
    events, end = found
    try:
        around = _raw_batch.decode(body[:start] + b",".join([b"null"] * len(events)) + body[end:]).events
    except (ValueError, RecursionError):
        return None
    return events if len(around) == len(events) else None


def _elements(body: bytes, start: int) -> tuple[list[bytes], int] | None:
    """The elements of the array that opens before `start`, and where its closing bracket stands."""
    found: list[bytes] = []
    at, depth = start, 0
    for token in _TOKENS.finditer(body, start):
        first, length = body[token.start()], token.end() - token.start()
        if first == _COMMA:
            if depth == 0:
                found.append(body[at : token.start()].strip())
                at = token.end()
                if not found[-1]:
                    return None
        elif first in _OPENERS:
            depth += length
        elif first != _QUOTE:
            if length > depth:
                end = token.start() + depth
                last = body[at:end].strip()
                if found and not last:
                    return None
                return [*found, last] if last else [], end
            depth -= length
    return None


def _read_loosely(raw: msgspec.Raw | bytes) -> Event | str:
    try:
        found = _loose.decode(raw)
    except msgspec.ValidationError as error:
        return _code(error)
    try:
        at = datetime.fromisoformat(found.at)
    except ValueError:
        return "malformed"
    return Event(found.id, found.type, found.subject, at, found.id_type, found.properties)


def _code(error: msgspec.ValidationError) -> str:
    return "unknown_field" if str(error).startswith("Object contains unknown field") else "malformed"
