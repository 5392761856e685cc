"""Structured logs that cannot contain an identifier.

A line has a fixed event name, numbers, and words from a closed vocabulary (declared names and our own codes). Anything else is
written as `[withheld]`; an exception is written as its type and the place in the code, never as its message. Libraries' own log
lines are reduced the same way, because their messages may quote a request.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from typing import Any

from tacit.core.clock import iso
from tacit.core.declaration import Declaration

WITHHELD = "[withheld]"
_words: set[str] = set()


def allow(words: Iterable[str]) -> None:
    """Add words that a log line may contain: names from the configuration and codes from our source, nothing from a request."""
    _words.update(words)


def allow_declared(declaration: Declaration) -> None:
    """Add every name a declaration has."""
    for site in declaration.sites.values():
        allow([site.name, *site.policies, *site.audits, *(m.name for m in site.measures)])


class Log:
    """A named logger whose lines are made of events and allowed words."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"tacit.{name}")

    def info(self, event: str, **fields: object) -> None:
        """Something expected happened."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something an operator should look at."""
        self._write(logging.WARNING, event, fields)

    def fault(self, event: str, error: BaseException | None = None, **fields: object) -> None:
        """Something failed; `error` is reduced to its type and place."""
        self._write(logging.ERROR, event, fields, error)

    def _write(self, level: int, event: str, fields: dict[str, object], error: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={"tacit_fields": {k: _safe(v) for k, v in fields.items()}, "tacit_error": error})


class SafeFormatter(logging.Formatter):
    """One JSON object a line, from our records and from anybody's."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; no argument or message of a foreign record is in it."""
        line: dict[str, Any] = {"at": iso(int(record.created * 1000)), "level": record.levelname.lower(), "logger": record.name}
        fields = getattr(record, "tacit_fields", None)
        if fields is None:
            line |= {"event": "library", "place": f"{record.module}:{record.lineno}"}
        else:
            line |= {"event": record.msg, **fields}
        error = getattr(record, "tacit_error", None) or (record.exc_info[1] if record.exc_info else None)
        if error is not None:
            line |= {"error": type(error).__name__, "places": _places(error)}
        return json.dumps(line)


def configure(level: int = logging.INFO) -> None:
    """Send all logging of this process through `SafeFormatter` to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter())
    handler.addFilter(_worth_a_line)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tacit").setLevel(level)
    logging.captureWarnings(True)


def _worth_a_line(record: logging.LogRecord) -> bool:
    """Ours at any level; of libraries, some of which set their own level, only warnings: other lines would say nothing but a place."""
    return record.levelno >= logging.WARNING or record.name.split(".")[0] == "tacit"


def _safe(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(v) for v in value]
    return str(value) if str(value) in _words else WITHHELD


def _places(error: BaseException) -> list[str]:
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places[-8:]
