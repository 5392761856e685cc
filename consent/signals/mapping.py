"""What a signal means for our purposes. TCF can grant; GPP's opt-outs, Global Privacy Control and anything unreadable only remove.

The most restrictive signal wins (`combine`). Nothing that a platform sends can grant `fairness_audit`, which needs a person's own explicit
consent. A grant here is evidence for a choice, never the choice itself: without a recorded grant the gate admits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from consent.signals.gpp import Gpp
from consent.signals.gpp_tables import NAMES, US_PRIVACY
from consent.signals.tcf import TcString
from consent.signals.validity import POLICY_OF_2_2, validity
from tacit.core.declaration import FAIRNESS_AUDIT, MEASUREMENT, PERSONALISATION, PURPOSES


class Effect(StrEnum):
    """What a signal does to one purpose."""

    GRANTS = "grants"
    REMOVES = "removes"
    SILENT = "silent"


Effects = Mapping[str, Effect]

REMOVED: Effects = MappingProxyType(dict.fromkeys(PURPOSES, Effect.REMOVES))
"""Global Privacy Control, an opt-out of the same meaning, and every signal that cannot be read."""

SILENCE: Effects = MappingProxyType(dict.fromkeys(PURPOSES, Effect.SILENT))

DEVICE = 1
"""TCF purpose 1: store or access information on a device."""

STATISTICS = frozenset({8, 9})
"""TCF purposes 8, measure content performance, and 9, understand audiences through statistics. Measurement needs consent to both."""

PROFILES, LIMITED_DATA = frozenset({5, 6}), 11
"""TCF purposes 5 and 6, profiles for content, or 11, limited data to select content (since TCF 2.2): either is enough to personalise."""

OPT_OUTS = ("SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut")
"""GPP fields that say what Global Privacy Control says. 1 is opted out."""

CHILDREN, SENSITIVE = "KnownChildSensitiveDataConsents", "SensitiveDataProcessing"
"""GPP fields where 1 is no consent or opted out: of a known child, for everything; for sensitive data, for the fairness audit."""


def from_tcf(string: TcString, *, now_ms: int, device_id: bool) -> Effects:
    """A TCF string's effects. `device_id`: whether the subject is an identifier read from the device, which needs purpose 1 as well.

    Only consents count, no legitimate interest. A string that may not be relied on any more (`validity`) removes.
    """
    given = set(string.purpose_consents)
    if not validity(string, now_ms=now_ms).ok or (device_id and DEVICE not in given):
        return _tcf_effects(measurement=False, personalisation=False)
    limited = LIMITED_DATA in given and string.policy_version >= POLICY_OF_2_2
    return _tcf_effects(measurement=given >= STATISTICS, personalisation=given >= PROFILES or limited)


def from_gpp(string: Gpp, *, now_ms: int, device_id: bool) -> Effects:
    """The effects of all sections together. Only a TCF section can grant."""
    effects = [SILENCE]
    if string.europe is not None:
        effects.append(from_tcf(string.europe, now_ms=now_ms, device_id=device_id))
    if string.canada is not None:
        given = set(string.canada.purposes_express_consent)
        effects.append(_tcf_effects(measurement=given >= STATISTICS, personalisation=given >= PROFILES))
    for name, fields in string.states.items():
        opted_out = fields["OptOutSale"] == "Y" if name == NAMES[US_PRIVACY] else any(fields.get(field) == 1 for field in OPT_OUTS)
        if opted_out or fields.get("Gpc") is True or _refused(fields.get(CHILDREN)):
            return REMOVED
        if _refused(fields.get(SENSITIVE)):
            effects.append({**SILENCE, FAIRNESS_AUDIT: Effect.REMOVES})
    return combine(*effects)


def from_gpc(opted_out: bool) -> Effects:
    """Global Privacy Control removes everything, or says nothing."""
    return REMOVED if opted_out else SILENCE


def combine(*signals: Effects) -> Effects:
    """The most restrictive of several signals for each purpose: removal, then a grant, then silence."""
    said = {purpose: {effects[purpose] for effects in signals} for purpose in PURPOSES}
    return {
        purpose: next((effect for effect in (Effect.REMOVES, Effect.GRANTS) if effect in effects), Effect.SILENT)
        for purpose, effects in said.items()
    }


def _tcf_effects(*, measurement: bool, personalisation: bool) -> Effects:
    return {
        MEASUREMENT: Effect.GRANTS if measurement else Effect.REMOVES,
        PERSONALISATION: Effect.GRANTS if personalisation else Effect.REMOVES,
        FAIRNESS_AUDIT: Effect.SILENT,
    }


def _refused(value: object) -> bool:
    return 1 in value if isinstance(value, tuple) else value == 1
