"""What a room needs of the evidence log: to append. The log itself is in `audit/`; the joining happens in `tacit.wiring`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import rfc8785
from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `body` holds hashes, names and numbers that may be public; never anything of a person."""

    kind: str
    site: str
    body: Mapping[str, Any] = field(default_factory=dict)


class EvidenceLog(Protocol):
    """Append-only and ordered."""

    def append(self, entries: Sequence[Entry], connection: Connection | None = None) -> list[int]:
        """Append all entries or none and return their indices. With `connection`, as part of that released-vault transaction."""
        ...


def canonical(value: Any) -> bytes:
    """Canonical JSON (RFC 8785), so that equal values always have equal bytes and equal hashes."""
    return rfc8785.dumps(value)
