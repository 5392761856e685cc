"""Answers that people gave to another consent manager, brought in line by line from what its cookie says.

Strict: a service that a cookie does not mention says nothing, a line that cannot be read costs itself, and nothing that was said here is
overruled. `fairness_audit` cannot be brought in: it needs an explicit answer to its own question.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import unquote

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from consent.errors import AlreadyRecorded, GrantLapsed
from consent.models import STRICTEST, ConsentRequest
from consent.schemas import NoticeBody, Subject, Word
from consent.service import ConsentService
from tacit.core.clock import Clock, from_iso
from tacit.core.errors import InvalidRequest

LINE_LIMIT = 32 * 1024
CLOCK_SKEW_MS = 300_000

Name = Annotated[str, Field(min_length=1, max_length=100)]
PurposeName = Literal["measurement", "personalisation"]


class Kind(StrEnum):
    """Whose export it is."""

    KLARO = "klaro"
    COOKIECONSENT = "cookieconsent"


class ImportMapInvalid(InvalidRequest):
    """The map cannot be used; nothing was imported."""

    type = "import-map-invalid"
    title = "Import map is not valid"
    default_next_step = "See docs/cmp-adapters.md for an example."


class ImportMap(BaseModel):
    """Which services or categories of the other manager stand for which purpose, and the notice that people saw there."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    notice: NoticeBody
    jurisdiction: Word = STRICTEST
    purposes: Annotated[dict[PurposeName, Annotated[list[Name], Field(min_length=1)]], Field(min_length=1)]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    subject: Subject = Field(repr=False)
    id_type: Word = "user"
    cookie: str | dict[str, Any]
    at: str | None = None


class _LineRefused(ValueError):
    """`args[0]` is the stable code."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the lines."""

    recorded: int
    skipped: Mapping[str, int]
    """By reason: `known` (the person has a record here), `lapsed` (too old to hold)."""
    rejected: tuple[tuple[int, str], ...]
    """Number of the line and code."""

    def to_json(self) -> dict[str, Any]:
        """For the command line; no value of a line is in it."""
        return {
            "recorded": self.recorded,
            "skipped": dict(self.skipped),
            "rejected": [{"line": line, "code": code} for line, code in self.rejected],
        }


def read_map(text: str) -> ImportMap:
    """The map in a text of YAML. Raises `ImportMapInvalid`, which names places and no values."""
    try:
        return TypeAdapter(ImportMap).validate_python(yaml.safe_load(text))
    except yaml.YAMLError:
        raise ImportMapInvalid("it is not YAML") from None
    except ValidationError as error:
        places = sorted({".".join(str(part) for part in fault["loc"] if part != "[key]") or "the file" for fault in error.errors()})
        raise ImportMapInvalid(f"see {', '.join(places)}") from None


def bring_in(service: ConsentService, site: str, lines: Iterable[bytes], *, kind: Kind, how: ImportMap, clock: Clock) -> Outcome:
    """Bring in a file's lines. May be repeated: a second run adds nothing."""
    recorded, skipped = 0, Counter[str]()
    rejected: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            request, given_ms = _request(line, kind, how, now_ms=clock.now_ms())
            service.bring_in(site, request, given_ms=given_ms)
            recorded += 1
        except _LineRefused as refused:
            rejected.append((number, str(refused)))
        except AlreadyRecorded:
            skipped["known"] += 1
        except GrantLapsed:
            skipped["lapsed"] += 1
    return Outcome(recorded, skipped, tuple(rejected))


def _request(line: bytes, kind: Kind, how: ImportMap, *, now_ms: int) -> tuple[ConsentRequest, int]:
    if len(line) > LINE_LIMIT:
        raise _LineRefused("too_long")
    try:
        read = _Line.model_validate(_json(line))
    except ValidationError:
        raise _LineRefused("malformed") from None
    cookie = _cookie(read.cookie) if isinstance(read.cookie, str) else read.cookie
    if not isinstance(cookie, dict):
        raise _LineRefused("malformed_cookie")
    said = _READERS[kind](cookie)
    purposes = {purpose: answer for purpose, names in how.purposes.items() if (answer := _answer(names, said)) is not None}
    if not purposes:
        raise _LineRefused("nothing_mapped")
    given_ms = _moment(read.at if read.at is not None else cookie.get("lastConsentTimestamp", cookie.get("consentTimestamp")))
    if given_ms > now_ms + CLOCK_SKEW_MS:
        raise _LineRefused("in_the_future")
    asked = {str(purpose): granted for purpose, granted in purposes.items()}
    method = f"import.{kind.value}"
    return ConsentRequest(read.subject, asked, how.notice.value(), method, read.id_type, how.jurisdiction), given_ms


def _answer(names: Iterable[str], said: Callable[[str], bool | None]) -> bool | None:
    """Yes only where all services said yes, no where any said no, and nothing where one of them is not mentioned."""
    answers = [said(name) for name in names]
    if False in answers:
        return False
    return None if None in answers else True


def _klaro(cookie: dict[str, Any]) -> Callable[[str], bool | None]:
    if not all(isinstance(value, bool) for value in cookie.values()):
        raise _LineRefused("malformed_cookie")
    return cookie.get


def _cookieconsent(cookie: dict[str, Any]) -> Callable[[str], bool | None]:
    """A category that is not listed was offered and not accepted: the manager lists what was accepted."""
    accepted = cookie.get("categories")
    if not isinstance(accepted, list) or not all(isinstance(name, str) for name in accepted):
        raise _LineRefused("malformed_cookie")
    return lambda name: name in accepted


_READERS: Mapping[Kind, Callable[[dict[str, Any]], Callable[[str], bool | None]]] = {
    Kind.KLARO: _klaro,
    Kind.COOKIECONSENT: _cookieconsent,
}


def _cookie(text: str) -> Any:
    """A cookie's value as browsers store it: JSON with percent signs."""
    try:
        return _json(unquote(text, errors="strict").encode())
    except UnicodeError:
        raise _LineRefused("malformed") from None


def _json(content: bytes) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError):
        raise _LineRefused("malformed") from None


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _moment(text: object) -> int:
    if text is None:
        raise _LineRefused("no_time")
    try:
        return from_iso(str(text))
    except (ValueError, OverflowError):
        raise _LineRefused("bad_time") from None
