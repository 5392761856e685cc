"""Evidence for a data protection impact assessment (Art. 35 GDPR): what was promised, planned, spent, audited, destroyed.

It assesses nothing. Everything in it is public in the sense of the promise: configuration, ledger, released audits, the evidence log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audit.log import Log
from audit.store import AuditStore
from privacy.budget import BudgetView
from privacy.plans import PlanStore
from tacit.core.clock import iso
from tacit.core.declaration import Site
from tacit.core.errors import Problem
from tacit.core.evidence import canonical

EPOCHS, PAGE = 1_000, 1_000
DESTROYED = "key.destroyed"
OF_RECORDS = (DESTROYED, "subject_key.destroyed", "retention.run", "rights.finished", "consent.exported")


def pack(
    site: Site,
    *,
    budget: BudgetView,
    plans: PlanStore,
    audits: AuditStore,
    evidence: Log,
    record_of_processing: dict[str, Any],
    now_ms: int,
) -> dict[str, Any]:
    """The pack of one site, part by part; each part is also one file of `write`."""
    return {
        "about.json": {
            "site": site.name,
            "made_at": iso(now_ms),
            "evidence_size": evidence.size(),
            "evidence_intact": evidence.verify() is None,
        },
        "parameters.json": {
            "epsilon": str(site.privacy.epsilon),
            "delta": str(site.privacy.delta),
            "epoch_ms": site.privacy.epoch_ms,
            "window_ms": site.privacy.window_ms,
            "measures": [measure.definition | {"id": measure.id} for measure in site.measures],
        },
        "plan.json": plans.latest(site.name),
        "ledger.json": [epoch.to_json() for epoch in budget.epochs(site.name, limit=EPOCHS)],
        "audits.json": _audits(audits, site.name),
        "destructions.json": [entry for kind in OF_RECORDS for entry in _entries(evidence, site.name, kind)],
        "ropa.json": record_of_processing,
    }


def write(parts: dict[str, Any], folder: Path) -> list[str]:
    """Write the pack and `manifest.json` with each file's SHA-256. Returns the names. Raises `Problem` where the folder is not empty."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Problem(f"{folder} is not empty", next_step="Name an empty folder; nothing was written.")
        contents = {name: json.dumps(part, indent=2, ensure_ascii=False, sort_keys=True).encode() + b"\n" for name, part in parts.items()}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        contents["manifest.json"] = canonical({"sha256": hashes}) + b"\n"
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise Problem(f"{folder} cannot be written", next_step="Choose another place.") from error
    return list(contents)


def _audits(audits: AuditStore, site: str) -> dict[str, Any]:
    scans, _ = audits.scans(site, limit=PAGE)
    findings, _ = audits.findings(site, limit=PAGE)
    return {"scans": [scan.to_json() for scan in scans], "findings": [finding.to_json() for finding in findings]}


def _entries(evidence: Log, site: str, kind: str) -> Iterator[dict[str, Any]]:
    after: int | None = None
    while True:
        found, after = evidence.list(site, kind=kind, limit=PAGE, after=after)
        yield from (entry.to_json() for entry in found)
        if after is None:
            return
