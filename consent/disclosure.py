"""What a person is told besides their own data (Art. 15(1) GDPR), from the declaration, so that it cannot say something else.

Categories, logic, retention and recipients of each purpose, and what cannot be told, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from consent.purposes import RULE_VERSION, TERMS
from tacit.core.declaration import BOOKKEEPING, Measure, Site

DAY_MS = 86_400_000

LOGIC = (
    "Events are counted into statistics with noise when their window closes. Variants of content are chosen by rules and weights learnt "
    "from these statistics alone, the same for everybody in a context; no profile of a person exists, and no decision with legal or "
    "similarly significant effect is made (Art. 22 GDPR)."
)
RELEASED = (
    "Released figures are sums over people with random noise, under a differential privacy budget of epsilon {epsilon} and delta {delta} "
    "for each person and epoch. Nobody, this service included, can tell from them whether a person was counted, and the rows and keys "
    "behind them are destroyed: a person's part can neither be shown, nor taken out, nor moved (Art. 11 GDPR, recital 26)."
)
NOT_SHOWN = (
    "Rows of windows that have closed: destroyed with the window's key.",
    "Rows of epochs whose key is gone: nobody can tell any more whose they were.",
    "Marks that say in which windows of the running epoch a person was counted: under the epoch's own pseudonym, which bound what one "
    "person adds; destroyed with the epoch's key.",
    "Texts of undeclared values in open windows: they lie sealed without a person and go with the window.",
    "What an older lookup key named, once that key is destroyed: the evidence log says when it was.",
)


def disclosure(site: Site) -> dict[str, Any]:
    """What holds for everybody on a site: `categories`, `logic`, `retention`, `recipients`, `source`, `rights`, `released`, `not_shown`."""
    privacy = site.privacy
    by_purpose: dict[str, list[Measure]] = {}
    for measure in site.measures:
        by_purpose.setdefault(measure.purpose, []).append(measure)
    return {
        "rule_version": RULE_VERSION,
        "controller": site.controller,
        "purposes": [
            {
                "purpose": purpose,
                "description": TERMS[purpose].description,
                "basis": TERMS[purpose].basis,
                "categories": _categories(by_purpose[purpose]),
                "measures": [measure.name for measure in by_purpose[purpose]],
            }
            for purpose in TERMS
            if purpose in by_purpose
        ],
        "bookkeeping": {
            "description": "Choices, notices and requests are recorded to show that they were made and are honoured.",
            "basis": "GDPR Art. 6(1)(c) with Art. 7(1), 12 and 30",
            "measures": [measure.name for measure in by_purpose.get(BOOKKEEPING, [])],
        },
        "logic": LOGIC,
        "retention": {
            "staged_rows": f"until their window of {_span(privacy.window_ms)} has closed",
            "pseudonyms_of_staged_rows": f"until their epoch of {_span(privacy.epoch_ms)} has ended",
            "consent_records": f"{site.retention.records_ms // DAY_MS} days after a grant has lapsed or another choice was made",
            "rights_requests": f"{site.retention.records_ms // DAY_MS} days after they were finished",
        },
        "recipients": "None. Raw data reaches nobody; officers can export consent records without identifiers, which stands in the log.",
        "source": "The person's browser or app, on this site.",
        "transfers": "Stated by the controller.",
        "rights": ["access", "erase", "export", "object", "restrict", "complaint to a supervisory authority"],
        "released": RELEASED.format(epsilon=privacy.epsilon, delta=privacy.delta),
        "not_shown": list(NOT_SHOWN),
    }


def _categories(measures: Iterable[Measure]) -> list[str]:
    found: dict[str, None] = {"keyed pseudonym": None}
    for measure in measures:
        found |= dict.fromkeys([f"event {measure.event}", *(dimension.name for dimension in measure.dimensions)])
        if measure.value:
            found[measure.value.field] = None
        if measure.keys:
            found[measure.keys.field] = None
    return list(found)


def _span(ms: int) -> str:
    for unit, size in (("day", DAY_MS), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000)):
        if ms % size == 0:
            return f"{ms // size} {unit}{'s' if ms != size else ''}"
    return f"{ms} ms"
