"""Every failure a person may see. A `Problem` says what is wrong and what to do next, and never repeats rejected input.

HTTP status codes are not here: `tacit/app.py` holds one table for them.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Problem(Exception):
    """Base of all expected failures.

    `type` is the stable slug of the problem (rendered as `/problems/<type>`, RFC 9457), `title` its fixed short name,
    `detail` what happened this time, `next_step` what the reader can do about it.
    """

    type: ClassVar[str] = "problem"
    title: ClassVar[str] = "Something went wrong"
    default_next_step: ClassVar[str] = ""

    def __init__(self, detail: str = "", *, next_step: str | None = None, **members: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.next_step = self.default_next_step if next_step is None else next_step
        self.members = members

    def diagnostics(self) -> str:
        """Two lines for a terminal: `title: detail`, then the next step where there is one."""
        text = self.title if self.detail == self.title else f"{self.title}: {self.detail}"
        return f"{text}\n{self.next_step}" if self.next_step else text


class InvalidRequest(Problem):
    """The request cannot be read as what the path expects; `errors` lists JSON pointers and reasons, never values."""

    type = "invalid-request"
    title = "Invalid request"
    default_next_step = "See /openapi.json for the expected shape."


class RequestTooLarge(Problem):
    type = "request-too-large"
    title = "Request too large"
    default_next_step = "Send smaller batches."


class Unauthenticated(Problem):
    type = "unauthenticated"
    title = "No valid key"
    default_next_step = "Send `Authorization: Bearer <key>` or `X-API-Key`; create keys with `tacit keys create`."


class Forbidden(Problem):
    type = "forbidden"
    title = "This key may not do that"
    default_next_step = "Use a key with the role the path asks for."


class UnknownSite(Problem):
    type = "unknown-site"
    title = "Unknown site"
    default_next_step = "Use a site that tacit.yaml declares; an admin key names it with `site`."


class NotFound(Problem):
    type = "not-found"
    title = "Not found"


class UnknownKey(NotFound):
    type = "unknown-key"
    title = "Unknown key"
    default_next_step = "`tacit keys list` shows the ids of all keys."


class Conflict(Problem):
    type = "conflict"
    title = "Conflict"


class ConfigurationInvalid(Problem):
    """`tacit.yaml` is wrong; `errors` is a list of `{path, detail, remedy}`."""

    type = "configuration-invalid"
    title = "Configuration is not valid"
    default_next_step = "Correct the named keys and run `tacit config check FILE` again."

    def __init__(self, errors: list[dict[str, str]], *, source: str = "") -> None:
        lines = [f"{e['path']}: {e['detail']}" + (f" ({e['remedy']})" if e.get("remedy") else "") for e in errors]
        where = f" in {source}" if source else ""
        super().__init__(f"{len(errors)} fault{'s' if len(errors) != 1 else ''}{where}\n  " + "\n  ".join(lines), errors=errors)
        self.errors = errors


class StorageUnavailable(Problem):
    """The vault or the staging area cannot be written; nothing was accepted, and the same request may be sent again."""

    type = "storage-unavailable"
    title = "Storage is unavailable"
    default_next_step = "Nothing was stored. Retry later; check disk space and the database."


class Malformed(Problem):
    """The body is not what its content type says: not JSON, not UTF-8, not gzip."""

    type = "malformed"
    title = "The body cannot be read"
    default_next_step = "Send JSON in UTF-8; see /openapi.json for the expected shape."


class MethodNotAllowed(Problem):
    type = "method-not-allowed"
    title = "This path takes POST"
