"""All SQL of the consent tables except the gate's one query. Every function works inside the caller's transaction.

Records are inserted and never altered, but for the index their commitment got in the evidence log and the pseudonym they stand under.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, delete, insert, select, update

from consent.models import Cause, State
from consent.tables import consent_receipts, consent_records, consent_state, idempotency
from tacit.core.evidence import canonical

KEY_LIFETIME_MS = 86_400_000
"""For how long an idempotency key is remembered."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """An idempotency key and the request sent with it, as keyed hashes."""

    key_mac: bytes
    request_mac: bytes
    person: bytes | None = None


EFFECTIVE = case(
    (consent_state.c.objected_ms.is_not(None), State.OBJECTED.value),
    (consent_state.c.restricted_ms.is_not(None), State.RESTRICTED.value),
    else_=consent_state.c.state,
)
"""The state that the gate sees."""


def locked_states(connection: Connection, site: str, pseudonym: bytes, purposes: Sequence[str]) -> dict[str, str]:
    """States of a person as the gate sees them, locked until the transaction ends so that the last record is the one that rules."""
    rows = connection.execute(
        select(consent_state.c.purpose, EFFECTIVE.label("state"))
        .where(consent_state.c.site == site, consent_state.c.pseudonym == pseudonym, consent_state.c.purpose.in_(purposes))
        .order_by(consent_state.c.purpose)
        .with_for_update()
    )
    return {row.purpose: row.state for row in rows}


def add(connection: Connection, row: Mapping[str, Any]) -> int:
    """Add a record that changes no state; its number."""
    return int(connection.execute(insert(consent_records).values(**row)).inserted_primary_key[0])  # type: ignore[index]


def append(connection: Connection, rows: Sequence[dict[str, Any]], *, known: Collection[str]) -> None:
    """Add records of one person, each of another purpose, and make them the current states. `known` are the purposes that the person has a
    state for already. A few statements for all of them: a withdrawal under load pays for each.
    """
    added = connection.execute(insert(consent_records).returning(consent_records.c.purpose, consent_records.c.seq), rows)
    seqs = {row.purpose: row.seq for row in added}
    fresh = []
    for row in rows:
        by_other = row["state"] == State.REFUSED and row["reason"] != Cause.CHOICE
        current = {"state": row["state"], "seq": seqs[row["purpose"]], "expires_ms": row["expires_ms"], "jurisdiction": row["jurisdiction"]}
        current["cause"] = row["reason"] if by_other else None
        key = {"site": row["site"], "pseudonym": row["pseudonym"], "purpose": row["purpose"]}
        if row["purpose"] not in known:
            fresh.append(key | current)
            continue
        if row["notice"] is None:  # a withdrawal names no place of its own: where the person was stays known
            del current["jurisdiction"]
        matches = (consent_state.c[name] == value for name, value in key.items())
        connection.execute(update(consent_state).where(*matches).values(**current))
    if fresh:
        connection.execute(insert(consent_state), fresh)


def current(connection: Connection, site: str, pseudonyms: Sequence[bytes]) -> dict[str, Row[Any]]:
    """What stands for a person by purpose, with when it was said (`at_ms`, None once the record is deleted). `effective` is the state, or
    the objection or restriction that stands over it.
    """
    rows = connection.execute(
        select(consent_state, EFFECTIVE.label("effective"), consent_records.c.at_ms)
        .outerjoin(consent_records, consent_records.c.seq == consent_state.c.seq)
        .where(consent_state.c.site == site, consent_state.c.pseudonym.in_(pseudonyms))
    )
    return {row.purpose: row for row in rows}


def history(
    connection: Connection, site: str, pseudonyms: Sequence[bytes], *, purposes: Sequence[str], start: int, limit: int
) -> Sequence[Row[Any]]:
    """A person's records, oldest first, from the `start`th on."""
    return connection.execute(
        select(consent_records)
        .where(consent_records.c.site == site, consent_records.c.pseudonym.in_(pseudonyms), consent_records.c.purpose.in_(purposes))
        .order_by(consent_records.c.seq)
        .offset(start)
        .limit(limit)
    ).all()


def keep_receipt(connection: Connection, site: str, payload: Mapping[str, Any], *, until_ms: int) -> None:
    """Keep what a receipt says, so that it can be answered again word for word."""
    content = canonical(dict(payload)).decode()
    connection.execute(insert(consent_receipts).values(receipt_id=payload["receipt_id"], site=site, payload=content, until_ms=until_ms))


def receipt(connection: Connection, site: str, pseudonyms: Sequence[bytes], receipt_id: str) -> tuple[dict[str, Any], Sequence[Row[Any]]]:
    """What a person's receipt says, and its records. Both are empty where the person has no such receipt."""
    here = (consent_records.c.site == site, consent_records.c.pseudonym.in_(pseudonyms), consent_records.c.receipt_id == receipt_id)
    rows = connection.execute(select(consent_records).where(*here).order_by(consent_records.c.seq)).all()
    kept = select(consent_receipts.c.payload).where(consent_receipts.c.site == site, consent_receipts.c.receipt_id == receipt_id)
    content = connection.scalar(kept) if rows else None
    return (json.loads(content), rows) if content is not None else ({}, ())


def unevidenced(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """Records whose commitment is not in the evidence log yet, oldest first."""
    query = select(consent_records).where(consent_records.c.evidence_index.is_(None)).order_by(consent_records.c.seq)
    return connection.execute(query.limit(limit)).all()


def set_evidence(connection: Connection, indices: Mapping[int, int]) -> None:
    """Note where commitments stand in the evidence log. A record that has its place keeps it."""
    if indices:
        connection.execute(
            update(consent_records)
            .where(consent_records.c.seq == bindparam("record"), consent_records.c.evidence_index.is_(None))
            .values(evidence_index=bindparam("place")),
            [{"record": seq, "place": index} for seq, index in indices.items()],
        )


def answered(connection: Connection, site: str, repeat: Repeat, *, now_ms: int) -> tuple[bytes, dict[str, str]] | None:
    """The request that came with this key before, as its hash, and its answer. Forgets keys that are too old."""
    connection.execute(delete(idempotency).where(idempotency.c.created_ms <= now_ms - KEY_LIFETIME_MS))
    row = connection.execute(
        select(idempotency.c.request_mac, idempotency.c.response).where(idempotency.c.site == site, idempotency.c.key_mac == repeat.key_mac)
    ).first()
    return None if row is None else (row.request_mac, json.loads(row.response))


def remember(connection: Connection, site: str, repeat: Repeat, response: Mapping[str, str], *, now_ms: int) -> None:
    """Keep the answer for whoever repeats the request."""
    connection.execute(
        insert(idempotency).values(
            site=site,
            key_mac=repeat.key_mac,
            request_mac=repeat.request_mac,
            response=canonical(dict(response)).decode(),
            created_ms=now_ms,
            person=repeat.person,
        )
    )
