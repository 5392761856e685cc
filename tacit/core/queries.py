"""Query parameters that the paths of several rooms share, so that each is documented and refused in the same way everywhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from tacit.core.clock import from_iso
from tacit.core.errors import InvalidRequest

Name = Annotated[str | None, Query(max_length=200, pattern=r"^[ -~]*$")]
"""The name of something declared: printable ASCII, so that no database is asked about a text that it cannot hold."""

Moment = Annotated[
    str | None, Query(max_length=40, json_schema_extra={"format": "date-time"}, description="ISO 8601 with a zone, in the years 1 to 9999.")
]


def milliseconds(text: str | None, name: str = "from") -> int | None:
    """A `Moment` of the parameter `name` since 1970. Raises `InvalidRequest`."""
    try:
        return None if text is None else from_iso(text.replace(" ", "+"))  # a `+` that was not escaped arrives as a space
    except (ValueError, OverflowError):
        fault = {"pointer": f"/query/{name}", "detail": "a time needs a zone, for example 2026-01-31T12:00:00Z"}
        raise InvalidRequest("a time cannot be read", errors=[fault]) from None
