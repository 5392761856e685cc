"""What each purpose means in law, as data with a version: every record says under which version of these rules it was made.

A change here that alters what a person agrees to needs a new `RULE_VERSION`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tacit.core.declaration import FAIRNESS_AUDIT, MEASUREMENT, PERSONALISATION

RULE_VERSION = "2026-11"

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Terms:
    """The legal text of one purpose and for how long a grant of it holds."""

    title: str
    basis: str
    description: str
    expiry_days: int

    def expires_ms(self, granted_ms: int) -> int:
        """When a grant given at `granted_ms` lapses."""
        return granted_ms + self.expiry_days * _DAY_MS


# Six months: how long the CNIL's recommendation on trackers of 17 September 2020 calls good practice for keeping a choice.
TERMS: Mapping[str, Terms] = MappingProxyType(
    {
        MEASUREMENT: Terms(
            title="Measurement",
            basis="GDPR Art. 6(1)(a)",
            description="Count visits and actions as statistics with noise. What you did is destroyed when it has been counted.",
            expiry_days=180,
        ),
        PERSONALISATION: Terms(
            title="Personalisation",
            basis="GDPR Art. 6(1)(a)",
            description=(
                "Learn from statistics with noise which variants of the content work, and adjust the content. No profile of you is kept."
            ),
            expiry_days=180,
        ),
        FAIRNESS_AUDIT: Terms(
            title="Fairness audit",
            basis="GDPR Art. 9(2)(a)",
            description=(
                "Use the group you state, such as an age band, to check that adjusted content treats groups alike. "
                "Needs your explicit consent and changes nothing of what you are shown."
            ),
            expiry_days=180,
        ),
    }
)
"""By purpose; the keys are exactly the declaration's purposes."""
