"""The record of processing activities (Art. 30 GDPR), made from what is declared and what has run, so that it cannot say something else.

What only the operator knows (controller, representative, officer, transfers, recipients of its own) is left open and named as open.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from consent.purposes import RULE_VERSION, TERMS
from consent.rules import Rules
from tacit.core.clock import iso
from tacit.core.declaration import BOOKKEEPING, FAIRNESS_AUDIT, Declaration, Measure, Site
from tacit.core.schema import duration_text

OPEN = "to be stated by the operator"
COLUMNS = (
    "site",
    "activity",
    "purpose",
    "basis",
    "subjects",
    "categories",
    "recipients",
    "transfers",
    "erasure",
    "security",
    "measures",
    "last_run",
)

SECURITY = (
    "Identifiers become keyed pseudonyms before anything is stored; contributions are staged encrypted; the keys of a window and an epoch "
    "are destroyed when it ends; only statistics with noise are released, under a ledger; changes and destructions stand in an "
    "append-only log."
)


class Ran(Protocol):
    """When a measure was last released."""

    def __call__(self, site: str, measure: str, /) -> int | None:
        """Milliseconds, or None where nothing was released yet."""
        ...


def ropa(site: Site, *, ran: Ran, now_ms: int) -> dict[str, Any]:
    """The record of one site as JSON: one activity for each purpose that something is declared for, and the keeping of consent itself."""
    by_purpose: dict[str, list[Measure]] = {}
    for measure in site.measures:
        if measure.purpose != BOOKKEEPING:
            by_purpose.setdefault(measure.purpose, []).append(measure)
    activities = [_activity(site, purpose, measures, ran) for purpose, measures in by_purpose.items()]
    return {
        "site": site.name,
        "made_at": iso(now_ms),
        "rule_version": RULE_VERSION,
        "controller": f"{site.controller['name']}, {site.controller['contact']}" if site.controller else OPEN,
        "activities": [*activities, _consent_activity(site, ran)],
        "open": [
            "controller and its contact",
            "data protection officer",
            "recipients outside this service",
            "transfers to third countries",
        ],
    }


def as_csv(record: dict[str, Any]) -> str:
    """One line an activity."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(_flat(record))
    return text.getvalue()


def as_markdown(record: dict[str, Any]) -> str:
    """A page for people: a heading and a list an activity."""
    lines = [f"# Record of processing activities: {record['site']}", "", f"Made {record['made_at']} from the running configuration."]
    lines += [f"Controller: {record['controller']}.", ""]
    for row in _flat(record):
        lines += [f"## {row['activity']}", ""]
        lines += [f"- {name.replace('_', ' ')}: {row[name]}" for name in COLUMNS[2:]]
        lines.append("")
    lines += ["## Left open", "", *(f"- {one}" for one in record["open"]), ""]
    return "\n".join(lines)


def _activity(site: Site, purpose: str, measures: Sequence[Measure], ran: Ran) -> dict[str, Any]:
    terms = TERMS[purpose]
    return {
        "activity": terms.title,
        "purpose": terms.description,
        "basis": _basis(site, purpose),
        "subjects": _subjects(site, purpose),
        "categories": _categories(measures),
        "recipients": "none: raw data reaches nobody; statistics with noise are read by the operator",
        "transfers": OPEN,
        "erasure": f"staged rows when their window of {duration_text(site.privacy.window_ms)} has closed; "
        f"pseudonyms with the key of their epoch of {duration_text(site.privacy.epoch_ms)}",
        "security": SECURITY,
        "measures": [m.name for m in measures],
        "privacy": {"epsilon": str(site.privacy.epsilon), "delta": str(site.privacy.delta), "share": str(sum(m.share for m in measures))},
        "last_run": _last(ran(site.name, m.name) for m in measures),
    }


def _basis(site: Site, purpose: str) -> str:
    """The basis, and for the audit without consent the operator's reason: Art. 10(5)(f) of the AI Act wants it in this record."""
    necessity = site.terms.bias_detection
    if purpose != FAIRNESS_AUDIT or necessity is None:
        return TERMS[purpose].basis
    until = f"from {iso(necessity.in_force_ms)} to {iso(necessity.delete_by_ms)}"
    return f"{TERMS[purpose].basis}; {until} also {necessity.law}: {necessity.reason} Other data: {necessity.other_data}"


def _subjects(site: Site, purpose: str) -> str:
    presumed = Rules.declared(Declaration({site.name: site})).of(site.name)
    silent = presumed.opt_out_holds and purpose != FAIRNESS_AUDIT
    silent = silent or (purpose == FAIRNESS_AUDIT and presumed.necessity is not None)
    return "visitors who have granted this purpose" + (", and visitors without a record of it" if silent else "")


def _consent_activity(site: Site, ran: Ran) -> dict[str, Any]:
    figures = [m.name for m in site.measures if m.purpose == BOOKKEEPING]
    return {
        "activity": "Consent records",
        "purpose": "Show that consent was given, and honour refusals and withdrawals.",
        "basis": "GDPR Art. 6(1)(c) with Art. 7(1)",
        "subjects": "visitors who were asked",
        "categories": ["keyed pseudonym", "choices", "notice", "notices shown", "method", "signals", "jurisdiction", "age band"],
        "recipients": "officers, by an export that stands in the evidence log; webhooks, without pseudonym",
        "transfers": OPEN,
        "erasure": f"{site.retention.records_ms // 86_400_000} days after a grant has lapsed or another choice was made",
        "security": SECURITY,
        "measures": figures,
        "privacy": None,
        "last_run": _last(ran(site.name, name) for name in figures),
    }


def _categories(measures: Iterable[Measure]) -> list[str]:
    found: dict[str, None] = {"keyed pseudonym": None, "time": None}
    for measure in measures:
        found |= dict.fromkeys(([f"event {measure.event}"] if measure.event else []) + [d.name for d in measure.dimensions])
        if measure.value:
            found[measure.value.field] = None
        if measure.keys:
            found[measure.keys.field] = None
    return list(found)


def _last(moments: Iterable[int | None]) -> str | None:
    known = [moment for moment in moments if moment is not None]
    return iso(max(known)) if known else None


def _flat(record: dict[str, Any]) -> list[dict[str, str]]:
    rows = []
    for activity in record["activities"]:
        row = {"site": record["site"]} | {name: activity[name] for name in COLUMNS[1:]}
        rows.append({name: _text(value) for name, value in row.items()})
    return rows


def _text(value: Any) -> str:
    if value is None:
        return "not yet"
    return ", ".join(value) if isinstance(value, list) else str(value)
