"""One record in its four forms: the row that is stored, the commitment in evidence, the line on a receipt, the entry of a history."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from consent.models import Change, Circumstances
from consent.purposes import RULE_VERSION, TERMS
from consent.tables import consent_records
from tacit.core.clock import iso
from tacit.core.evidence import canonical

NOT_COMMITTED = frozenset({"seq", "nonce", "evidence_index", "pseudonym"})
"""Columns that are no part of what a record says. The pseudonym changes with the lookup key; `who` stands for the person instead."""

_FACTS = tuple(column.name for column in consent_records.columns if column.name not in NOT_COMMITTED)
_BEFORE_WHO = (
    *("receipt_id", "site", "pseudonym", "purpose", "state", "reason", "method", "notice", "jurisdiction", "signals"),
    *("rule_version", "age_band", "at_ms", "expires_ms"),
)
"""What records without `who` were committed to, when lookup keys could not be replaced."""


def row(receipt_id: str, site: str, *, pseudonym: bytes, who: bytes, change: Change, how: Circumstances, now_ms: int) -> dict[str, Any]:
    """A new record, with a nonce of its own."""
    return {
        "receipt_id": receipt_id,
        "site": site,
        "pseudonym": pseudonym,
        "purpose": change.purpose,
        "state": change.state.value,
        "reason": change.cause.value,
        "method": how.method,
        "notice": canonical(how.notice.to_json()).decode() if how.notice else None,
        "jurisdiction": how.jurisdiction,
        "signals": canonical(how.signals.to_json() | ({"parental": True} if how.parental else {})).decode(),
        "rule_version": RULE_VERSION,
        "age_band": how.age_band,
        "at_ms": now_ms,
        "expires_ms": change.expires_ms,
        "nonce": secrets.token_bytes(16),
        "who": who,
        "client_at_ms": how.client_at_ms,
    }


def commitment(record: Mapping[str, Any]) -> str:
    """HMAC-SHA256 of the canonical record under its nonce, in hexadecimal: tells nothing, and fits no record once the nonce is gone."""
    facts = {name: record[name] for name in (_FACTS if record["who"] is not None else _BEFORE_WHO)}
    facts |= {name: bytes(value).hex() for name, value in facts.items() if isinstance(value, bytes | memoryview)}
    return hmac.digest(record["nonce"], canonical(facts), "sha256").hex()


def decision(change: Change, committed: str, *, held: str | None = None) -> dict[str, Any]:
    """What a receipt says about one purpose. With the commitment its holder finds the record in the evidence log.

    `held` is `objected` or `restricted` where the person's own request keeps the choice from taking effect.
    """
    terms = TERMS[change.purpose]
    return {
        "purpose": change.purpose,
        "title": terms.title,
        "description": terms.description,
        "basis": terms.basis,
        "held": held,
        "state": change.state.value,
        "reason": change.cause.value,
        "expires_at": iso(change.expires_ms) if change.expires_ms is not None else None,
        "commitment": committed,
    } | ({"details": list(change.details)} if change.details else {})


def shown(stored: Row[Any]) -> dict[str, Any]:
    """An entry of a history: everything but what stands for the person, the nonce and the record's number."""
    return {
        "receipt_id": stored.receipt_id,
        "at": iso(stored.at_ms),
        "client_at": iso(stored.client_at_ms) if stored.client_at_ms is not None else None,
        "purpose": stored.purpose,
        "state": stored.state,
        "reason": stored.reason,
        "method": stored.method,
        "notice": json.loads(stored.notice) if stored.notice else None,
        "jurisdiction": stored.jurisdiction,
        "signals": json.loads(stored.signals),
        "rule_version": stored.rule_version,
        "age_band": stored.age_band,
        "expires_at": iso(stored.expires_ms) if stored.expires_ms is not None else None,
        "evidence": {"index": stored.evidence_index} if stored.evidence_index is not None else None,
    }


def shown_served(stored: Row[Any]) -> dict[str, Any]:
    """A notice that was shown to the person, with when first and when last."""
    notice = {"id": stored.notice, "version": stored.version, "locale": stored.locale, "sha256": stored.sha256}
    return {"notice": notice, "first_at": iso(stored.first_ms), "last_at": iso(stored.last_ms)}
