"""The SQL of erasure: a person's records become a tally that links to nobody, and their commitments are cut loose.

Every function works inside the caller's transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from consent import subjects_store
from consent.models import State
from consent.officer_tables import webhook_outbox
from consent.records import commitment
from consent.rights_tables import erased_records, loose_commitments
from consent.tables import consent_receipts, consent_records, consent_state, idempotency
from consent.webhooks_store import PENDING
from tacit.core.clock import iso
from tacit.core.evidence import canonical

DAY_MS = 86_400_000
_TALLIED = ("purpose", "state", "reason", "method", "notice", "jurisdiction", "rule_version")


def erase(connection: Connection, site: str, pseudonym: bytes, *, person_mac: bytes) -> list[str]:
    """Delete all records of a person with their receipts and the answers kept for repeats; the ids of the receipts.

    With a record goes its nonce, so that its commitment in the evidence log fits nothing any more. A commitment that the log does not
    have yet stays by itself until it has. What was decided under which notice, and on which day, is counted without a person.
    """
    here = (consent_records.c.site == site, consent_records.c.pseudonym == pseudonym)
    rows = connection.execute(select(consent_records).where(*here).order_by(consent_records.c.seq)).all()
    waiting = [{"site": site, "commitment": commitment(dict(row._mapping))} for row in rows if row.evidence_index is None]
    if waiting:
        connection.execute(insert(loose_commitments), sorted(waiting, key=lambda one: one["commitment"]))
    for row in rows:
        _tally(connection, site, row)
    receipts = sorted({row.receipt_id for row in rows})
    subjects_store.permit(connection, site, pseudonym)
    connection.execute(delete(consent_records).where(*here))
    subjects_store.take_back(connection, site, pseudonym)
    for receipt_id in receipts:
        connection.execute(delete(consent_receipts).where(consent_receipts.c.receipt_id == receipt_id))
    connection.execute(delete(idempotency).where(idempotency.c.site == site, idempotency.c.person == person_mac))
    return receipts


def bury(connection: Connection, site: str, pseudonym: bytes) -> None:
    """Leave of every state that it refuses: withdrawn, without a record, a hold, a time, a cause or a place."""
    here = (consent_state.c.site == site, consent_state.c.pseudonym == pseudonym)
    nothing = {"seq": 0, **dict.fromkeys(("expires_ms", "objected_ms", "restricted_ms", "cause", "jurisdiction"))}
    connection.execute(update(consent_state).where(*here).values(state=State.WITHDRAWN.value, **nothing))


def forget_messages(connection: Connection, site: str, receipts: Sequence[str]) -> int:
    """Delete webhook messages about these receipts that were delivered or given up; how many are still to be delivered."""
    left = 0
    for receipt_id in receipts:
        about = (webhook_outbox.c.site == site, webhook_outbox.c.body.contains(f'"receipt_id":"{receipt_id}"', autoescape=True))
        connection.execute(delete(webhook_outbox).where(*about, webhook_outbox.c.state != PENDING))
        left += len(connection.execute(select(webhook_outbox.c.seq).where(*about)).all())
    return left


def left_of(connection: Connection, site: str, pseudonyms: Sequence[bytes]) -> int:
    """How many records of a person there are, and states that would admit: none after erasure."""
    records = select(consent_records.c.seq).where(consent_records.c.site == site, consent_records.c.pseudonym.in_(pseudonyms))
    states = select(consent_state.c.seq).where(
        consent_state.c.site == site, consent_state.c.pseudonym.in_(pseudonyms), consent_state.c.state != State.WITHDRAWN.value
    )
    return len(connection.execute(records).all()) + len(connection.execute(states).all())


def loose(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """Commitments without a record that the evidence log does not have yet."""
    return connection.execute(select(loose_commitments).order_by(loose_commitments.c.seq).limit(limit)).all()


def drop_loose(connection: Connection, seqs: Sequence[int]) -> None:
    """Forget commitments that are in the evidence log."""
    if seqs:
        connection.execute(delete(loose_commitments).where(loose_commitments.c.seq.in_(seqs)))


def tally(connection: Connection, site: str) -> list[dict[str, Any]]:
    """What was decided under which notice on which day, of erased records."""
    rows = connection.execute(select(erased_records).where(erased_records.c.site == site).order_by(erased_records.c.key))
    return [{**json.loads(row.facts), "number": row.number} for row in rows]


def _tally(connection: Connection, site: str, row: Row[Any]) -> None:
    facts = {name: row._mapping[name] for name in _TALLIED}
    facts["day"] = iso(row.at_ms - row.at_ms % DAY_MS)[:10]
    content = canonical(facts)
    key = hashlib.sha256(content).hexdigest()
    here = (erased_records.c.site == site, erased_records.c.key == key)
    if not connection.execute(update(erased_records).where(*here).values(number=erased_records.c.number + 1)).rowcount:
        connection.execute(insert(erased_records).values(site=site, key=key, facts=content.decode(), number=1))
