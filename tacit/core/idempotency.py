"""`Idempotency-Key` on writes to the released vault: a request that is sent again gets the first answer and does nothing twice.

The answer is stored in the transaction that makes the change, so there is never one without the other.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, String, Table, Text, delete, insert, select
from sqlalchemy.exc import IntegrityError

from tacit.core.db import released_metadata
from tacit.core.errors import Conflict
from tacit.core.evidence import canonical

KEPT_MS = 7 * 86_400_000

answers = Table(
    "idempotent_answers",
    released_metadata,
    Column("caller", String(64), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)


class KeyReused(Conflict):
    """An idempotency key that the caller has used for something else within the last week."""

    type = "idempotency-key-reused"
    title = "The idempotency key was used for another request"
    default_next_step = "Use a fresh key for each request, and the same one only to send that request again."


def earlier(connection: Connection, caller: str, key: str, request: Any) -> dict[str, Any] | None:
    """The answer that this caller's request got before; None for a new key. Raises `KeyReused`."""
    row = connection.execute(select(answers).where(answers.c.caller == caller, answers.c.key == key)).first()
    if row is None:
        return None
    if row.request != _hash(request):
        raise KeyReused
    found: dict[str, Any] = json.loads(row.answer)
    return found


def keep(connection: Connection, caller: str, key: str, request: Any, answer: dict[str, Any], *, now_ms: int) -> None:
    """Keep an answer for a week. Raises `KeyReused` if another request with this key was faster; the caller's transaction ends with it."""
    connection.execute(delete(answers).where(answers.c.at_ms < now_ms - KEPT_MS))
    values = {"request": _hash(request), "answer": canonical(answer).decode(), "at_ms": now_ms}
    try:
        connection.execute(insert(answers).values(caller=caller, key=key, **values))
    except IntegrityError:
        raise KeyReused from None


def _hash(request: Any) -> str:
    return hashlib.sha256(canonical(request)).hexdigest()
