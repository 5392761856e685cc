"""What `tacit signals decode` prints for a line and `POST /v1/signals/decode` answers: the decoded signal, or why it is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from consent.signals import gpp, tcf
from consent.signals.bits import MAX_CHARACTERS
from consent.signals.errors import Code, SignalInvalid
from consent.signals.validity import validity
from tacit.core.clock import Clock

MAX_REQUEST = MAX_CHARACTERS + 1024
"""Bytes of the longest request or line that is read."""


def lines(stream: BinaryIO, clock: Clock) -> Iterator[dict[str, Any]]:
    """One answer for each line, also for those that cannot be read; of a line that is too long, no more is held than may be read."""
    while content := stream.readline(MAX_REQUEST + 2):
        rest = content
        while len(rest) == MAX_REQUEST + 2 and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_REQUEST + 2)
        try:
            asked = read_request(content.rstrip(b"\r\n"))
        except SignalInvalid as problem:
            yield refused(problem)
        else:
            yield answer(asked, now_ms=clock.now_ms())


def read_request(content: bytes) -> dict[str, str]:
    """`{"tcf": "…"}` or `{"gpp": "…"}` from JSON in UTF-8. Raises `SignalInvalid` for anything else."""
    if len(content) > MAX_REQUEST:
        raise SignalInvalid(Code.TOO_LARGE, f"a request has at most {MAX_REQUEST} bytes")
    try:
        asked = json.loads(content.decode(), object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError):
        raise SignalInvalid(Code.BAD_REQUEST, "this is not JSON, or a key stands twice") from None
    if not (isinstance(asked, dict) and len(asked) == 1 and asked.keys() <= {"tcf", "gpp"} and isinstance(next(iter(asked.values())), str)):
        raise SignalInvalid(Code.BAD_REQUEST, 'this is not {"tcf": "…"} or {"gpp": "…"}')
    return asked


def answer(asked: dict[str, str], *, now_ms: int) -> dict[str, Any]:
    """`{"ok": true, …}` with the signal's content and the verdict on a TCF string beside it, or `{"ok": false, "code", "detail"}`."""
    try:
        return _decoded(asked, now_ms=now_ms)
    except SignalInvalid as problem:
        return refused(problem)


def refused(problem: SignalInvalid) -> dict[str, Any]:
    """Why nothing was decoded."""
    return {"ok": False, "code": problem.code.value, "detail": problem.detail}


def _decoded(asked: dict[str, str], *, now_ms: int) -> dict[str, Any]:
    if "tcf" in asked:
        string = tcf.decode(asked["tcf"])
        return {"ok": True, "tcf": string.to_json(), "valid": validity(string, now_ms=now_ms).to_json()}
    found = gpp.decode(asked["gpp"])
    verdict = {"tcfeuv2": validity(found.europe, now_ms=now_ms).to_json()} if found.europe is not None else {}
    return {"ok": True, "gpp": found.to_json(), "valid": verdict}


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found
