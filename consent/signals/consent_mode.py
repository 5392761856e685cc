"""Google Consent Mode v2: its states from our purposes, and what its states say about our purposes.

https://developers.google.com/tag-platform/security/concepts/consent-mode. `TABLE` is the whole mapping. Advertising, for which Tacit never
asks, is denied outwards and says nothing inwards; `functionality_storage` and `security_storage` are no purposes of ours either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from consent.signals.errors import Code, SignalInvalid
from consent.signals.mapping import SILENCE, Effect, Effects
from tacit.core.declaration import MEASUREMENT, PERSONALISATION

GRANTED, DENIED = "granted", "denied"

TABLE: Mapping[str, str | None] = MappingProxyType(
    {
        "ad_storage": None,
        "ad_user_data": None,
        "ad_personalization": None,
        "analytics_storage": MEASUREMENT,
        "personalization_storage": PERSONALISATION,
    }
)
"""The purpose behind each state that we answer for; None where it is always denied."""

OTHERS = frozenset({"functionality_storage", "security_storage"})


def states(purposes: Mapping[str, bool]) -> dict[str, str]:
    """Consent Mode's states for what a person allows; a purpose that is not named is denied.

    >>> states({"measurement": True})["analytics_storage"], states({})["analytics_storage"]
    ('granted', 'denied')
    """
    return {state: GRANTED if purpose is not None and purposes.get(purpose) is True else DENIED for state, purpose in TABLE.items()}


def read(states: Mapping[str, object]) -> Effects:
    """What states that a page has set mean for our purposes; one that is not set is silent.

    Raises `SignalInvalid` where a state or its value is not one of Consent Mode's.
    """
    effects = dict(SILENCE)
    for state, value in states.items():
        if (state not in TABLE and state not in OTHERS) or value not in (GRANTED, DENIED):
            raise SignalInvalid(Code.BAD_VALUE, "a state or its value is not one of Google Consent Mode")
        purpose = TABLE.get(state)
        if purpose is not None:
            effects[purpose] = Effect.GRANTS if value == GRANTED else Effect.REMOVES
    return effects
