"""A rights request as others see it, with the field names of OpenDSR 2.0 where it has them; and the proof that it was finished."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row

from consent.ports import InclusionProofs
from consent.receipts import Receipts
from consent.rights_models import ARTICLE, OPENDSR_TYPE, Kind, Status
from tacit.core.clock import iso

API_VERSION = "2.0"
PROOF_SCHEMA = "tacit-rights 1"
_FINAL = (Status.COMPLETED, Status.REJECTED)


def row_of(row: Row[Any], *, now_ms: int) -> dict[str, Any]:
    """A request in a list: nothing in it is of a person."""
    finished = row.state in _FINAL
    return {
        "api_version": API_VERSION,
        "request_id": row.id,
        "request_type": OPENDSR_TYPE[Kind(row.kind)],
        "article": ARTICLE[Kind(row.kind)],
        "request_status": row.state,
        "reason": row.reason,
        "received_time": iso(row.received_ms),
        "expected_completion_time": iso(row.due_ms),
        "completed_time": iso(row.finished_ms) if row.finished_ms is not None else None,
        "overdue": not finished and row.due_ms < now_ms,
        "verification": {"level": row.level, "method": row.method},
        "evidence": {"index": row.evidence_index} if row.evidence_index is not None else None,
    }


def answer(row: Row[Any], signer: Receipts, log: InclusionProofs, *, now_ms: int) -> dict[str, Any]:
    """A request with its proof, which is null until it is finished, and the log's that the proof's hash stands there."""
    shown = row_of(row, now_ms=now_ms)
    if row.evidence_index is not None:
        shown["evidence"] = {"index": row.evidence_index, "inclusion": log.inclusion(row.evidence_index)}
    return {**shown, "proof": signer.prove(proof_of(row)) if row.finished_ms is not None else None}


def proof_of(row: Row[Any]) -> dict[str, Any]:
    """What is signed about a finished request: when it came, what was done, and when. The same row always gives the same proof."""
    return {
        "schema": PROOF_SCHEMA,
        "request_id": row.id,
        "site": row.site,
        "request_type": OPENDSR_TYPE[Kind(row.kind)],
        "request_status": row.state,
        "reason": row.reason,
        "received_time": iso(row.received_ms),
        "expected_completion_time": iso(row.due_ms),
        "completed_time": iso(row.finished_ms),
        "verification": {"level": row.level, "method": row.method},
        "done": json.loads(row.summary),
    }
