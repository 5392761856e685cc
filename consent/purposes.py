"""What each purpose means in law, as data with a version: every record says under which version of these rules it was made.

A change here, in the jurisdictions or in the meaning of signals needs a new `RULE_VERSION`; a test holds each version to its hash.
Nothing outside this file knows the article of a law: when the wording moves, a new version of a row follows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from consent.jurisdictions import CHECKED, JURISDICTIONS
from consent.signals.mapping import DEVICE, LIMITED_DATA, OPT_OUTS, PROFILES, STATISTICS
from tacit.core.declaration import FAIRNESS_AUDIT, MEASUREMENT, PERSONALISATION
from tacit.core.evidence import canonical

RULE_VERSION = "2026-11.2"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that must hold. `met_by` says who sees to it: the `person`, the `operator` with a statement, or Tacit's `construction`."""

    name: str
    text: str
    met_by: str

    def to_json(self) -> dict[str, str]:
        """As it is hashed and shown."""
        return {"name": self.name, "text": self.text, "met_by": self.met_by}


@dataclass(frozen=True, slots=True)
class Route:
    """A legal basis with its conditions. `in_force` is the date since which it can be used, None while an operator has to state it."""

    name: str
    basis: str
    conditions: tuple[Condition, ...]
    in_force: str | None

    def to_json(self) -> dict[str, Any]:
        """As it is hashed and shown."""
        conditions = [condition.to_json() for condition in self.conditions]
        return {"name": self.name, "basis": self.basis, "in_force": self.in_force, "conditions": conditions}


@dataclass(frozen=True, slots=True)
class Terms:
    """The legal text of one purpose. Purposes are independent: `parent` orders them for display and grants nothing."""

    title: str
    description: str
    parent: str | None
    routes: tuple[Route, ...]

    @property
    def basis(self) -> str:
        """The basis of the route that is always open, a person's own grant."""
        return self.routes[0].basis

    def to_json(self) -> dict[str, Any]:
        """As it is hashed and shown."""
        routes = [route.to_json() for route in self.routes]
        return {"title": self.title, "description": self.description, "parent": self.parent, "routes": routes}


_GDPR_DATE = "2018-05-25"
_CONSENT = Route(
    "consent",
    "GDPR Art. 6(1)(a)",
    (Condition("current_grant", "a current grant of this very purpose, freely given under a notice that still holds", "person"),),
    _GDPR_DATE,
)
_EXPLICIT = Route(
    "explicit_consent",
    "GDPR Art. 9(2)(a)",
    (
        Condition("current_grant", "a current grant of this very purpose, freely given under a notice that still holds", "person"),
        Condition("explicit", "an explicit answer to a question of its own; no signal of a browser or platform stands for it", "person"),
    ),
    _GDPR_DATE,
)

BIAS_DETECTION = Route(
    "bias_detection",
    "Regulation (EU) 2024/1689 (AI Act), Art. 10(5), being amended",
    (
        Condition("a", "other data, synthetic or anonymised data included, cannot serve to find and correct the bias", "operator"),
        Condition("b", "limits on re-use, state-of-the-art security, pseudonymisation", "construction"),
        Condition("c", "access is controlled and documented, and only authorised people have it", "operator"),
        Condition("d", "no other party receives or sees the data", "construction"),
        Condition("e", "the data is deleted once the bias is corrected or its time is over", "operator"),
        Condition("f", "the record of processing says why it was strictly necessary", "operator"),
    ),
    None,
)
"""Looking for bias without consent. `in_force` is None because the wording is moving: until an operator states law, date and necessity in
`tacit.yaml`, nobody is counted by this route."""

TERMS: Mapping[str, Terms] = MappingProxyType(
    {
        MEASUREMENT: Terms(
            title="Measurement",
            description="Count visits and actions as statistics with noise. What you did is destroyed when it has been counted.",
            parent=None,
            routes=(_CONSENT,),
        ),
        PERSONALISATION: Terms(
            title="Personalisation",
            description=(
                "Learn from statistics with noise which variants of the content work, and adjust the content. No profile of you is kept."
            ),
            parent=None,
            routes=(_CONSENT,),
        ),
        FAIRNESS_AUDIT: Terms(
            title="Fairness audit",
            description=(
                "Use the group you state, such as an age band, to check that adjusted content treats groups alike. "
                "Needs your explicit consent and changes nothing of what you are shown."
            ),
            parent=PERSONALISATION,
            routes=(_EXPLICIT, BIAS_DETECTION),
        ),
    }
)
"""By purpose; the keys are exactly the declaration's purposes."""


def rule_set() -> dict[str, Any]:
    """All rules of this version: purposes, jurisdictions and what signals mean."""
    return {
        "version": RULE_VERSION,
        "checked": CHECKED,
        "purposes": {name: terms.to_json() for name, terms in TERMS.items()},
        "jurisdictions": {code: place.to_json() for code, place in JURISDICTIONS.items()},
        "signals": {
            "tcf": {"device": [DEVICE], "measurement": sorted(STATISTICS), "personalisation": [sorted(PROFILES), [LIMITED_DATA]]},
            "gpp": {"opt_outs": list(OPT_OUTS)},
        },
    }


RULE_SHA256 = hashlib.sha256(canonical(rule_set())).hexdigest()
"""Hash of the canonical rule set (RFC 8785)."""
