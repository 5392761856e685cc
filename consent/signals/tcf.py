"""IAB Europe TCF strings, version 2 of the format (TCF 2.0 to 2.3), decoded to the last bit or refused.

Format: https://github.com/InteractiveAdvertisingBureau/GDPR-Transparency-and-Consent-Framework/blob/master/TCFv2/
IAB%20Tech%20Lab%20-%20Consent%20string%20and%20vendor%20list%20formats%20v2.md, "TC String Format". Whether a decoded string may still be
relied on is another question: `validity`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consent.signals.bits import MAX_CHARACTERS, Bits, Budget, positions
from consent.signals.errors import Code, SignalInvalid
from consent.signals.tcf_parts import PURPOSES, PublisherTC, Restriction, letters, publisher_tc, restrictions, segments
from consent.signals.vendors import VendorSet, fixed_ranges, vendor_section
from tacit.core.clock import iso

VERSION = 2
VENDORS_DISCLOSED, VENDORS_ALLOWED, PUBLISHER_TC = 1, 2, 3
SEGMENTS = {0: "core", VENDORS_DISCLOSED: "vendorsDisclosed", VENDORS_ALLOWED: "vendorsAllowed", PUBLISHER_TC: "publisherTC"}
"""The segments by their type. The core comes first, the others in any order."""

_READERS: Mapping[int, Callable[[Bits], Any]] = {
    VENDORS_DISCLOSED: vendor_section,
    VENDORS_ALLOWED: vendor_section,
    PUBLISHER_TC: publisher_tc,
}

_HEAD = (6, 36, 36, 12, 12, 6, 12, 12, 6, 1, 1, 12, 24, 24, 1, 12)
LEAST_CMP = 2  # the reference library refuses 0 and 1: no platform has these numbers


@dataclass(frozen=True, slots=True)
class TcString:
    """A decoded string. Times in milliseconds since 1970, purposes as sorted numbers; a segment that is absent is None."""

    created_ms: int
    last_updated_ms: int
    cmp_id: int
    cmp_version: int
    consent_screen: int
    consent_language: str
    vendor_list_version: int
    policy_version: int
    is_service_specific: bool
    use_non_standard_texts: bool
    special_feature_opt_ins: tuple[int, ...]
    purpose_consents: tuple[int, ...]
    purpose_legitimate_interests: tuple[int, ...]
    purpose_one_treatment: bool
    publisher_country_code: str
    vendor_consents: VendorSet
    vendor_legitimate_interests: VendorSet
    publisher_restrictions: tuple[Restriction, ...]
    vendors_disclosed: VendorSet | None
    vendors_allowed: VendorSet | None
    publisher_tc: PublisherTC | None
    segments: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As `tacit signals decode` prints it: vendor sets as sorted, merged ranges. This is where they are expanded."""
        return {
            "version": VERSION,
            "created": iso(self.created_ms),
            "lastUpdated": iso(self.last_updated_ms),
            "cmpId": self.cmp_id,
            "cmpVersion": self.cmp_version,
            "consentScreen": self.consent_screen,
            "consentLanguage": self.consent_language,
            "vendorListVersion": self.vendor_list_version,
            "policyVersion": self.policy_version,
            "isServiceSpecific": self.is_service_specific,
            "useNonStandardTexts": self.use_non_standard_texts,
            "specialFeatureOptIns": self.special_feature_opt_ins,
            "purposeConsents": self.purpose_consents,
            "purposeLegitimateInterests": self.purpose_legitimate_interests,
            "purposeOneTreatment": self.purpose_one_treatment,
            "publisherCountryCode": self.publisher_country_code,
            "vendorConsents": self.vendor_consents.ranges,
            "vendorLegitimateInterests": self.vendor_legitimate_interests.ranges,
            "publisherRestrictions": [
                {"purposeId": one.purpose, "restrictionType": one.kind, "vendors": one.vendors.ranges}
                for one in self.publisher_restrictions
                if one.vendors.ranges  # a record without vendors restricts nobody, and the reference library drops it
            ],
            "vendorsDisclosed": self.vendors_disclosed.ranges if self.vendors_disclosed is not None else None,
            "vendorsAllowed": self.vendors_allowed.ranges if self.vendors_allowed is not None else None,
            "publisherTC": _publisher_json(self.publisher_tc) if self.publisher_tc is not None else None,
            "segments": self.segments,
        }


def decode(text: str, *, any_cmp: bool = False, budget: Budget | None = None) -> TcString:
    """The string's content; vendor sets are checked but not expanded. Raises `SignalInvalid`.

    `any_cmp` accepts the platform numbers 0 and 1, which the reference library refuses in a TCF string and writes in a GPP string;
    `budget` is that of the GPP string around this one.
    """
    if len(text) > MAX_CHARACTERS:
        raise SignalInvalid(Code.TOO_LARGE, f"a signal has at most {MAX_CHARACTERS} characters")
    encoded, *others = text.split(".", len(SEGMENTS))
    bits = Bits(encoded, budget)
    if bits.uint(6) != VERSION:
        raise SignalInvalid(Code.UNKNOWN_VERSION, "the string is not in version 2 of the TCF format")
    bits.at = 0
    head = bits.fields(_HEAD)
    if head[3] < LEAST_CMP and not any_cmp:
        raise SignalInvalid(Code.BAD_VALUE, "no consent platform has this number")
    language, country = letters(head[6]), letters(head[15])
    consents, legitimate_interests = vendor_section(bits), vendor_section(bits)
    restricted = restrictions(bits, lambda rest: VendorSet(entries=fixed_ranges(rest)))
    bits.finish(triples=True)
    found = segments(others, _READERS, bits.budget, triples=True)
    return TcString(
        head[1] * 100,
        head[2] * 100,
        head[3],
        head[4],
        head[5],
        language,
        head[7],
        head[8],
        head[9] == 1,
        head[10] == 1,
        positions(head[11], 12),
        positions(head[12], PURPOSES),
        positions(head[13], PURPOSES),
        head[14] == 1,
        country,
        consents,
        legitimate_interests,
        restricted,
        found.get(VENDORS_DISCLOSED),
        found.get(VENDORS_ALLOWED),
        found.get(PUBLISHER_TC),
        tuple(SEGMENTS[kind] for kind in (0, *found)),
    )


def _publisher_json(publisher: PublisherTC) -> dict[str, Any]:
    return {
        "publisherConsents": publisher.consents,
        "publisherLegitimateInterests": publisher.legitimate_interests,
        "numCustomPurposes": publisher.custom_purposes,
        "publisherCustomConsents": publisher.custom_consents,
        "publisherCustomLegitimateInterests": publisher.custom_legitimate_interests,
    }
