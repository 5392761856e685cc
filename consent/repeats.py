"""Idempotency: a request that comes again under its key gets its first answer. Only keyed hashes of the key and the request are kept."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from consent import store
from consent.errors import IdempotencyConflict
from consent.subjects import Subjects
from tacit.core.evidence import canonical


def repeat(subjects: Subjects, site: str, key: str | None, asked: Mapping[str, Any], *, person: bytes) -> store.Repeat | None:
    """The key and the request as hashes; None without a key. Not to be called inside a transaction: a site's first one makes its key."""
    if key is None:
        return None
    request = canonical({**asked, "who": person.hex()})
    print_of = subjects.fingerprint
    return store.Repeat(print_of(site, b"key " + key.encode()), print_of(site, request), print_of(site, b"person " + person))


def replayed(connection: Connection, site: str, asked: store.Repeat | None, *, now_ms: int) -> dict[str, str] | None:
    """The answer to the same request under the same key, if there was one. Raises `IdempotencyConflict`."""
    found = store.answered(connection, site, asked, now_ms=now_ms) if asked is not None else None
    if asked is None or found is None:
        return None
    request_mac, response = found
    if not hmac.compare_digest(request_mac, asked.request_mac):
        raise IdempotencyConflict
    return response
