"""An audit report as one canonical JSON document, from which the page and the PDF are made and nothing else.

The invariant: a report is a function of the stored scan, the releases it read, the findings as they stand and the preset. It holds no time
of its own making, so equal input gives equal bytes and an equal hash in the evidence log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.errors import NoSuchScan
from audit.findings import Finding
from audit.presets import preset_section
from audit.report_findings import finding_json
from audit.results import ScanResult
from audit.store import AuditStore, Scan
from privacy.models import Release
from privacy.releases import ReleaseStore
from tacit import __version__
from tacit.core.clock import from_iso
from tacit.core.declaration import Audit, Site
from tacit.core.evidence import Entry, EvidenceLog, canonical

SCHEMA = "tacit-report/1"

REASONS = {
    "no_other_group": "there is no other group to compare with",
    "below_noise": "its number of people could be noise alone",
    "too_few_expected": "too few people are expected in one of the two outcomes",
}
"""Why a comparison is not assessable, in words."""


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report."""

    content: dict[str, Any]

    @property
    def body(self) -> bytes:
        """Canonical JSON (RFC 8785)."""
        return canonical(self.content)

    @property
    def sha256(self) -> str:
        """Hash of `body`, as it stands in the evidence log."""
        return hashlib.sha256(self.body).hexdigest()


class Reports:
    """Makes reports of stored scans. Reading spends nothing; every report that is made is an entry of the evidence log."""

    def __init__(self, releases: ReleaseStore, store: AuditStore, evidence: EvidenceLog) -> None:
        self._releases, self._store, self._evidence = releases, store, evidence

    def make(self, site: Site, *, audit: str | None = None, scan: str | None = None, preset: str | None = None, by: str) -> Report:
        """The report of a scan, or of the newest one of an audit, recorded with its manifest. `by` is the asking key's id.

        Raises `NoSuchScan` and `UnknownPreset`.
        """
        found = self._scan(site, audit, scan)
        declared = site.audits.get(found.audit)
        if declared is None:
            raise NoSuchScan("the audit of that scan is not declared any more")
        findings = [f for f in self._store.findings(site.name, audit=found.audit, limit=1000)[0] if f.opened_ms <= found.at_ms]
        report = Report(content_of(found, declared, self._read(site, found), findings, preset=preset))
        body = {"scan": found.id, "preset": preset, "sha256": report.sha256, "manifest": report.content["manifest"], "by": by}
        self._evidence.append([Entry("report.made", site.name, body)])
        return report

    def _scan(self, site: Site, audit: str | None, scan: str | None) -> Scan:
        if scan is not None:
            found = self._store.scan(site.name, scan)
        else:
            if audit is None and len(site.audits) == 1:
                audit = next(iter(site.audits))
            found = next(iter(self._store.scans(site.name, audit=audit, limit=1)[0]), None)
        if found is None:
            raise NoSuchScan("no scan of that name is stored, or none has run yet")
        return found

    def _read(self, site: Site, scan: Scan) -> list[Release]:
        window = scan.result.get("window")
        if window is None:
            return []
        start_ms, end_ms = from_iso(window["start"]), from_iso(window["end"])
        found = self._releases.since(site.name, int(scan.result["measure_id"]), -1)
        return [r for r in found if r.usable is True and start_ms <= r.window.start_ms and r.window.end_ms <= end_ms]


def content_of(
    scan: Scan, audit: Audit, releases: Sequence[Release], findings: Sequence[Finding], *, preset: str | None = None
) -> dict[str, Any]:
    """The whole report. `releases` are those that the scan read."""
    result = scan.result
    thresholds = {"limit": audit.limit, "confidence": result["confidence"]}
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "site": scan.site,
        "audit": scan.audit,
        "policy": result["policy"],
        "preset": preset,
        "verdict": scan.verdict,
        "sentence": ScanResult(scan).sentence,
        "scan": scan.to_json() | {"sha256": hashlib.sha256(canonical(scan.result)).hexdigest()},
        "mechanism": _mechanism(releases),
        "limit": {
            "value": audit.limit,
            "origin": f"the site's own policy: audits.{audit.name}.limit in tacit.yaml. Not a limit of any law.",
        },
        "not_assessable": [
            {"subject": c["subject"], "reason": c["reason"], "because": REASONS.get(c["reason"], c["reason"])}
            for c in (*result["comparisons"], *result.get("odds", ()))
            if c["reason"] is not None
        ],
        "findings": [finding_json(one) for one in findings],
        "manifest": {
            "schema": SCHEMA,
            "code": {"tacit": __version__},
            "thresholds": thresholds,
            "releases": [{"id": r.id, "sha256": r.digest()} for r in sorted(releases, key=lambda r: (r.window.start_ms, r.id))],
        },
    }
    if preset is not None:
        content["preset_section"] = preset_section(preset, result)
    return content


def _mechanism(releases: Sequence[Release]) -> list[dict[str, Any]]:
    """The mechanisms behind the figures, each with how many releases it made."""
    kinds: dict[tuple[str, float, str], int] = {}
    for one in releases:
        kind = (one.mechanism.name, one.mechanism.scale, one.mechanism.over_time)
        kinds[kind] = kinds.get(kind, 0) + 1
    return [{"name": n, "scale": s, "over_time": o, "releases": count} for (n, s, o), count in sorted(kinds.items())]
