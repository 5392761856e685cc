"""The two GPP sections that are TCF strings: Europe's, which is read by `tcf`, and Canada's, which has express and implied consent.

Canada: https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform/tree/main/Sections/Canada. Its vendors stand behind a 16-bit
highest ID, as a bit field or as Fibonacci-coded ranges, whichever is shorter. Older libraries wrote 16-bit ranges there, and a section that
is not in its shortest form can be read in both ways: it is refused, so that nothing has to be guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consent.signals.bits import Bits, Budget, fibonacci_bits, positions
from consent.signals.errors import Code, SignalInvalid
from consent.signals.tcf import PUBLISHER_TC, VENDORS_ALLOWED, VENDORS_DISCLOSED, TcString
from consent.signals.tcf import VERSION as EUROPE_VERSION
from consent.signals.tcf_parts import PURPOSES, PublisherTC, Restriction, letters, publisher_tc, restrictions, segments
from consent.signals.vendors import Range, VendorSet, fibonacci_ranges, vendor_section
from tacit.core.clock import iso

CANADA_VERSION = 1
_HEAD = (6, 36, 36, 12, 12, 6, 12, 12, 6, 1, 12, 24, 24)


@dataclass(frozen=True, slots=True)
class CanadianTc:
    """A decoded `tcfcav1` section; an absent segment is None."""

    created_ms: int
    last_updated_ms: int
    cmp_id: int
    cmp_version: int
    consent_screen: int
    consent_language: str
    vendor_list_version: int
    policy_version: int
    use_non_standard_stacks: bool
    special_feature_express_consent: tuple[int, ...]
    purposes_express_consent: tuple[int, ...]
    purposes_implied_consent: tuple[int, ...]
    vendor_express_consent: VendorSet
    vendor_implied_consent: VendorSet
    restrictions: tuple[Restriction, ...]
    publisher_tc: PublisherTC | None
    disclosed_vendors: VendorSet | None

    def to_json(self) -> dict[str, Any]:
        """With the section specification's names; fields of an absent segment are null."""
        publisher = self.publisher_tc
        return {
            "Version": CANADA_VERSION,
            "Created": iso(self.created_ms),
            "LastUpdated": iso(self.last_updated_ms),
            "CmpId": self.cmp_id,
            "CmpVersion": self.cmp_version,
            "ConsentScreen": self.consent_screen,
            "ConsentLanguage": self.consent_language,
            "VendorListVersion": self.vendor_list_version,
            "TcfPolicyVersion": self.policy_version,
            "UseNonStandardStacks": self.use_non_standard_stacks,
            "SpecialFeatureExpressConsent": self.special_feature_express_consent,
            "PurposesExpressConsent": self.purposes_express_consent,
            "PurposesImpliedConsent": self.purposes_implied_consent,
            "VendorExpressConsent": self.vendor_express_consent.ranges,
            "VendorImpliedConsent": self.vendor_implied_consent.ranges,
            "PubRestrictions": restrictions_json(self.restrictions),
            "PubPurposesSegmentType": PUBLISHER_TC if publisher else None,
            "PubPurposesExpressConsent": publisher.consents if publisher else None,
            "PubPurposesImpliedConsent": publisher.legitimate_interests if publisher else None,
            "NumCustomPurposes": publisher.custom_purposes if publisher else None,
            "CustomPurposesExpressConsent": publisher.custom_consents if publisher else None,
            "CustomPurposesImpliedConsent": publisher.custom_legitimate_interests if publisher else None,
            "DisclosedVendorsSegmentType": VENDORS_DISCLOSED if self.disclosed_vendors is not None else None,
            "DisclosedVendors": ranges_json(self.disclosed_vendors),
        }


def decode_canada(text: str, budget: Budget) -> CanadianTc:
    """The section's content. Raises `SignalInvalid`."""
    encoded, *others = text.split(".", 3)
    bits = Bits(encoded, budget)
    if bits.uint(6) != CANADA_VERSION:
        raise SignalInvalid(Code.UNKNOWN_VERSION, "the section is not in version 1 of its format")
    bits.at = 0
    head = bits.fields(_HEAD)
    express, implied = _vendors(bits), _vendors(bits)
    restricted = restrictions(bits, _vendors)
    bits.finish(triples=False)
    found = segments(others, {VENDORS_DISCLOSED: _vendors, PUBLISHER_TC: publisher_tc}, bits.budget, triples=False)
    return CanadianTc(
        head[1] * 100,
        head[2] * 100,
        head[3],
        head[4],
        head[5],
        letters(head[6]),
        head[7],
        head[8],
        head[9] == 1,
        positions(head[10], 12),
        positions(head[11], PURPOSES),
        positions(head[12], PURPOSES),
        express,
        implied,
        restricted,
        found.get(PUBLISHER_TC),
        found.get(VENDORS_DISCLOSED),
    )


def europe_json(string: TcString) -> dict[str, Any]:
    """A TCF string with the names of the `tcfeuv2` section; fields of an absent segment are null."""
    publisher, allowed, disclosed = string.publisher_tc, string.vendors_allowed, string.vendors_disclosed
    return {
        "Version": EUROPE_VERSION,
        "Created": iso(string.created_ms),
        "LastUpdated": iso(string.last_updated_ms),
        "CmpId": string.cmp_id,
        "CmpVersion": string.cmp_version,
        "ConsentScreen": string.consent_screen,
        "ConsentLanguage": string.consent_language,
        "VendorListVersion": string.vendor_list_version,
        "PolicyVersion": string.policy_version,
        "IsServiceSpecific": string.is_service_specific,
        "UseNonStandardStacks": string.use_non_standard_texts,
        "SpecialFeatureOptins": string.special_feature_opt_ins,
        "PurposeConsents": string.purpose_consents,
        "PurposeLegitimateInterests": string.purpose_legitimate_interests,
        "PurposeOneTreatment": string.purpose_one_treatment,
        "PublisherCountryCode": string.publisher_country_code,
        "VendorConsents": string.vendor_consents.ranges,
        "VendorLegitimateInterests": string.vendor_legitimate_interests.ranges,
        "PublisherRestrictions": restrictions_json(string.publisher_restrictions),
        "PublisherPurposesSegmentType": PUBLISHER_TC if publisher else None,
        "PublisherConsents": publisher.consents if publisher else None,
        "PublisherLegitimateInterests": publisher.legitimate_interests if publisher else None,
        "NumCustomPurposes": publisher.custom_purposes if publisher else None,
        "PublisherCustomConsents": publisher.custom_consents if publisher else None,
        "PublisherCustomLegitimateInterests": publisher.custom_legitimate_interests if publisher else None,
        "VendorsAllowedSegmentType": VENDORS_ALLOWED if allowed is not None else None,
        "VendorsAllowed": ranges_json(allowed),
        "VendorsDisclosedSegmentType": VENDORS_DISCLOSED if disclosed is not None else None,
        "VendorsDisclosed": ranges_json(disclosed),
    }


def restrictions_json(restrictions: tuple[Restriction, ...]) -> list[dict[str, Any]]:
    """Restrictions with the names that GPP has for them: purpose, type, vendors."""
    return [{"key": one.purpose, "type": one.kind, "ids": one.vendors.ranges} for one in restrictions]


def ranges_json(vendors: VendorSet | None) -> tuple[tuple[int, int], ...] | None:
    """The ranges of a segment's vendors, or null where the segment is absent."""
    return vendors.ranges if vendors is not None else None


def _vendors(bits: Bits) -> VendorSet:
    start = bits.at
    highest, ranged = bits.fields((16, 1))
    bits.at = start
    vendors = vendor_section(bits, read=fibonacci_ranges)
    last = vendors.ranges[-1][1] if vendors.ranges else 0
    shortest = _ranges_bits(vendors.ranges)
    if highest != last or ranged != (shortest <= last) or bits.at - start != 17 + min(shortest, last):
        raise SignalInvalid(Code.BAD_RANGE, "vendors are not written in their shortest form")
    return vendors


def _ranges_bits(ranges: tuple[Range, ...]) -> int:
    """How long these ranges are in Fibonacci coding."""
    length, before = 12, 0
    for first, last in ranges:
        length += 1 + fibonacci_bits(first - before) + (fibonacci_bits(last - first) if last > first else 0)
        before = last
    return length
