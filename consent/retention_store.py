"""The SQL of retention: what is deleted for its age, and the proof of it. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from consent.models import State
from consent.officer_tables import retention_permits, retention_runs, webhook_outbox
from consent.rights_tables import rights_requests
from consent.store import KEY_LIFETIME_MS
from consent.tables import consent_receipts, consent_records, consent_state, idempotency
from consent.webhooks_store import PENDING


def delete_records(connection: Connection, site: str, before_ms: int, *, forget_lapsed: bool = True) -> int:
    """Delete records that ended before a moment: a grant when it lapsed, any other record when it was made. How many.

    What a person said last stays in force as one row without its record, but for a grant that lapsed: a refusal, an objection or a
    restriction is never forgotten. Neither is a lapsed grant without `forget_lapsed`, where something is presumed of strangers.
    A record whose commitment is not in evidence yet stays until it is.
    """
    ended = func.coalesce(consent_records.c.expires_ms, consent_records.c.at_ms) < before_ms
    connection.execute(delete(retention_permits).where(retention_permits.c.site == site))
    connection.execute(insert(retention_permits).values(site=site, before_ms=before_ms))
    found = connection.execute(
        delete(consent_records).where(consent_records.c.site == site, ended, consent_records.c.evidence_index.is_not(None))
    )
    connection.execute(delete(retention_permits).where(retention_permits.c.site == site))
    granted = consent_state.c.state.in_((State.GRANTED.value, State.STALE.value))
    lapsed = (consent_state.c.site == site, granted, consent_state.c.expires_ms < before_ms)
    free = (consent_state.c.objected_ms.is_(None), consent_state.c.restricted_ms.is_(None))
    if forget_lapsed:
        connection.execute(delete(consent_state).where(*lapsed, *free))
    connection.execute(delete(consent_receipts).where(consent_receipts.c.site == site, consent_receipts.c.until_ms < before_ms))
    return found.rowcount


def delete_requests(connection: Connection, site: str, before_ms: int) -> int:
    """Delete rights requests that were finished before a moment and are in evidence. How many."""
    old = (rights_requests.c.site == site, rights_requests.c.finished_ms < before_ms, rights_requests.c.evidence_index.is_not(None))
    return connection.execute(delete(rights_requests).where(*old)).rowcount


def delete_messages(connection: Connection, site: str, before_ms: int) -> int:
    """Delete messages that were delivered or given up before a moment. How many."""
    settled = (webhook_outbox.c.site == site, webhook_outbox.c.state != PENDING, webhook_outbox.c.settled_ms < before_ms)
    return connection.execute(delete(webhook_outbox).where(*settled)).rowcount


def delete_keys(connection: Connection, site: str, before_ms: int) -> int:
    """Delete idempotency keys from before a moment. How many."""
    old = (idempotency.c.site == site, idempotency.c.created_ms <= before_ms)
    return connection.execute(delete(idempotency).where(*old)).rowcount


def prove(connection: Connection, site: str, job: str, *, at_ms: int, before_ms: int, deleted: int) -> None:
    """Note that a job has run."""
    connection.execute(
        delete(retention_runs).where(retention_runs.c.site == site, retention_runs.c.job == job, retention_runs.c.at_ms == at_ms)
    )
    connection.execute(insert(retention_runs).values(site=site, job=job, at_ms=at_ms, before_ms=before_ms, deleted=deleted))


def runs(connection: Connection, site: str, job: str, *, limit: int) -> Sequence[Row[Any]]:
    """The latest runs of a job, newest first."""
    query = select(retention_runs).where(retention_runs.c.site == site, retention_runs.c.job == job)
    return connection.execute(query.order_by(retention_runs.c.at_ms.desc()).limit(limit)).all()


IDEMPOTENCY_MS = KEY_LIFETIME_MS
"""For how long an idempotency key is kept."""
