"""A test's own encoder of TCF and GPP strings, and random contents for it. What it makes is valid but not always what a tidy platform would
write: ranges in any order, overlapping, single or double; bit fields longer than needed; each kind of padding that exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from consent.signals.gpp_tables import UNITED_STATES, Layout
from tacit.core.clock import iso

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PADDINGS = (6, 8, 24)
DAY_MS = 86_400_000

Range = tuple[int, int]


def base64url(bits: str, padding: int = 24) -> str:
    """Bits with zeros up to a multiple of `padding` and then of 6, as characters."""
    bits += "0" * (-len(bits) % padding)
    bits += "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def bits_of(encoded: str) -> str:
    """The other way round."""
    return "".join(format(ALPHABET.index(character), "06b") for character in encoded)


def uint(value: int, width: int) -> str:
    return format(value, f"0{width}b")


def flags(numbers: Iterable[int], width: int) -> str:
    held = set(numbers)
    return "".join("1" if number in held else "0" for number in range(1, width + 1))


def fibonacci(number: int) -> str:
    terms = [1, 2]
    while terms[-1] <= number:
        terms.append(terms[-1] + terms[-2])
    code = ""
    for term in reversed(terms[:-1]):
        code = ("1" if term <= number else "0") + code
        number -= term if term <= number else 0
    return code.rstrip("0") + "1"


def entries(ranges: Sequence[Range]) -> str:
    """TCF's range entries: a range of one ID is written as a single."""
    items = ("0" + uint(first, 16) if first == last else "1" + uint(first, 16) + uint(last, 16) for first, last in ranges)
    return uint(len(ranges), 12) + "".join(items)


def fibonacci_entries(ranges: Sequence[Range]) -> str:
    """GPP's range entries; the ranges are sorted and apart."""
    text, before = uint(len(ranges), 12), 0
    for first, last in ranges:
        text += ("0" if first == last else "1") + fibonacci(first - before) + (fibonacci(last - first) if first < last else "")
        before = last
    return text


def fibonacci_vendors(ranges: Sequence[Range]) -> str:
    """A Canadian vendor section in its shortest form; the ranges are sorted and apart."""
    highest = max((last for _, last in ranges), default=0)
    in_ranges, numbers = fibonacci_entries(ranges), [number for first, last in ranges for number in range(first, last + 1)]
    return uint(highest, 16) + ("1" + in_ranges if len(in_ranges) <= highest else "0" + flags(numbers, highest))


def merged(ranges: Iterable[Range]) -> list[list[int]]:
    """Sorted ranges without overlaps and neighbours; slow and obvious."""
    held = sorted({number for first, last in ranges for number in range(first, last + 1)})
    found: list[list[int]] = []
    for number in held:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


@dataclass
class Tc:
    """The content of a TCF string, made of the plainest values; `text` encodes it and `expected` says what decoding must give."""

    created_ms: int = 20_000 * DAY_MS
    updated_ms: int = 20_000 * DAY_MS
    cmp: int = 31
    cmp_version: int = 1
    screen: int = 2
    language: str = "EN"
    list_version: int = 48
    policy: int = 4
    service_specific: bool = True
    non_standard: bool = False
    features: list[int] = field(default_factory=list)
    consents: list[int] = field(default_factory=list)
    interests: list[int] = field(default_factory=list)
    one_treatment: bool = False
    country: str = "DE"
    vendor_consents: str = uint(0, 17)
    vendor_interests: str = uint(0, 17)
    restrictions: list[tuple[int, int, list[Range]]] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)
    paddings: list[int] = field(default_factory=lambda: [24])
    version: int = 2
    sets: dict[str, Any] = field(default_factory=dict)

    def core(self) -> str:
        """The core's bits."""
        letters = [uint(ord(letter) - 65, 6) for letter in self.language + self.country]
        return (
            uint(self.version, 6)
            + uint(self.created_ms // 100, 36)
            + uint(self.updated_ms // 100, 36)
            + uint(self.cmp, 12)
            + uint(self.cmp_version, 12)
            + uint(self.screen, 6)
            + "".join(letters[:2])
            + uint(self.list_version, 12)
            + uint(self.policy, 6)
            + uint(self.service_specific, 1)
            + uint(self.non_standard, 1)
            + flags(self.features, 12)
            + flags(self.consents, 24)
            + flags(self.interests, 24)
            + uint(self.one_treatment, 1)
            + "".join(letters[2:])
            + self.vendor_consents
            + self.vendor_interests
            + uint(len(self.restrictions), 12)
            + "".join(uint(purpose, 6) + uint(kind, 2) + entries(ranges) for purpose, kind, ranges in self.restrictions)
        )

    def text(self) -> str:
        """The string."""
        segments = [self.core(), *(bits for _, bits in self.others)]
        paddings = self.paddings * len(segments)
        return ".".join(base64url(bits, padding) for bits, padding in zip(segments, paddings, strict=False))

    def expected(self) -> dict[str, Any]:
        """The decoded form."""
        return {
            "version": 2,
            "created": iso(self.created_ms),
            "lastUpdated": iso(self.updated_ms),
            "cmpId": self.cmp,
            "cmpVersion": self.cmp_version,
            "consentScreen": self.screen,
            "consentLanguage": self.language,
            "vendorListVersion": self.list_version,
            "policyVersion": self.policy,
            "isServiceSpecific": self.service_specific,
            "useNonStandardTexts": self.non_standard,
            "specialFeatureOptIns": sorted(self.features),
            "purposeConsents": sorted(self.consents),
            "purposeLegitimateInterests": sorted(self.interests),
            "purposeOneTreatment": self.one_treatment,
            "publisherCountryCode": self.country,
            "vendorConsents": self.sets.get("vendorConsents", []),
            "vendorLegitimateInterests": self.sets.get("vendorLegitimateInterests", []),
            "publisherRestrictions": [
                {"purposeId": purpose, "restrictionType": kind, "vendors": merged(ranges)}
                for purpose, kind, ranges in sorted(self.restrictions)
            ],
            "vendorsDisclosed": self.sets.get("vendorsDisclosed"),
            "vendorsAllowed": self.sets.get("vendorsAllowed"),
            "publisherTC": self.sets.get("publisherTC"),
            "segments": ["core", *(name for name, _ in self.others)],
        }


def disclosed(vendors: Sequence[Range] = ((1, 9),)) -> tuple[str, str]:
    """A segment for `Tc.others`; put the ranges into `sets` where the expectation matters."""
    return "vendorsDisclosed", "001" + uint(vendors[-1][1] if vendors else 0, 16) + "1" + entries(vendors)


def random_tc(random: Random) -> Tc:
    """A valid string's content."""
    made = Tc(
        created_ms=random.choice([random.randrange(2**36) * 100, random.randrange(22_000) * DAY_MS]),
        updated_ms=random.choice([random.randrange(2**36) * 100, random.randrange(22_000) * DAY_MS]),
        cmp=random.randrange(2, 4096),
        cmp_version=random.randrange(4096),
        screen=random.randrange(64),
        language=_letters(random),
        list_version=random.randrange(4096),
        policy=random.choice([2, 3, 4, 5, random.randrange(64)]),
        service_specific=random.random() < 0.7,
        non_standard=random.random() < 0.3,
        features=_some(random, 12),
        consents=_some(random, 24),
        interests=_some(random, 24),
        one_treatment=random.random() < 0.3,
        country=_letters(random),
        paddings=[random.choice(PADDINGS)],
    )
    made.vendor_consents, made.sets["vendorConsents"] = random_vendors(random)
    made.vendor_interests, made.sets["vendorLegitimateInterests"] = random_vendors(random)
    pairs = random.sample([(purpose, kind) for purpose in range(1, 25) for kind in range(3)], random.choice([0, 0, 1, 3]))
    made.restrictions = [(*pair, random_ranges(random, 2_000) or [(7, 7)]) for pair in pairs]
    for name in random.sample(["vendorsDisclosed", "vendorsAllowed", "publisherTC"], random.choice([0, 1, 2, 3])):
        if name == "publisherTC":
            bits, made.sets[name] = _random_publisher(random)
            made.others.append((name, "011" + bits))
        else:
            bits, made.sets[name] = random_vendors(random)
            made.others.append((name, ("001" if name == "vendorsDisclosed" else "010") + bits))
    return made


def random_vendors(random: Random) -> tuple[str, list[list[int]]]:
    """A vendor section's bits and the ranges it holds."""
    if random.random() < 0.5:
        width = random.choice([0, 1, 17, 300, random.randrange(1_400)])
        density = random.choice([0.0, 0.02, 0.5, 0.98, 1.0])
        held = [number for number in range(1, width + 1) if random.random() < density]
        return uint(width, 16) + "0" + flags(held, width), merged((number, number) for number in held)
    ranges = random_ranges(random, random.choice([50, 1_500, 65_535]))
    highest = max((last for _, last in ranges), default=0)
    return uint(random.choice([highest, min(65_535, highest + 7)]), 16) + "1" + entries(ranges), merged(ranges)


def random_ranges(random: Random, highest: int) -> list[Range]:
    """Ranges in any order that may overlap, but do not cover more IDs than there are."""
    found = []
    for _ in range(random.choice([0, 1, 2, 9, 40])):
        first = random.randrange(1, highest + 1)
        found.append((first, min(highest, first + random.choice([0, 0, 1, 5, 300]))))
    return found


def random_gpp(random: Random, *, tcf: bool = True) -> str:
    """A GPP string with some sections, each with the padding of one encoder or another."""
    numbers = sorted(random.sample([2, 5, 6, *UNITED_STATES] if tcf else [6, *UNITED_STATES], random.choice([0, 1, 1, 2, 5])))
    return gpp_string({number: random_section(random, number) for number in numbers}, padding=random.choice([6, 8]))


def gpp_string(sections: dict[int, str], *, padding: int = 8) -> str:
    """Header and sections."""
    header = uint(3, 6) + uint(1, 6) + fibonacci_entries([(first, last) for first, last in merged((n, n) for n in sections)])
    return "~".join([base64url(header, padding), *sections.values()])


def random_section(random: Random, number: int) -> str:
    """One section's text."""
    if number == 2:
        return random_tc(random).text()
    if number == 5:
        return _random_canada(random)
    if number == 6:
        return "1" + "".join(random.choice("YN-") for _ in range(3))
    return random_state(random, UNITED_STATES[number])


def random_state(random: Random, layout: Layout, *, optional: bool | None = None) -> str:
    """A section of the United States; with its optional segment or without, or as chance has it."""
    version = random.choice(list(layout.cores))
    segments = [uint(version, 6) + _random_fields(random, layout.cores[version])]
    if layout.optional and (random.random() < 0.6 if optional is None else optional):
        segments.append(_random_fields(random, layout.optional))
    padding = random.choice([6, 8])
    return ".".join(base64url(bits, padding) for bits in segments)


def core_bits(layout: Layout, version: int, **values: int) -> str:
    """A core segment with these values; every other field has its least."""
    fields = (uint(values.get(one.name, one.low), one.bits) for one in layout.cores[version] for _ in range(one.count or 1))
    return uint(version, 6) + "".join(fields)


def state(layout: Layout, *, version: int | None = None, optional: str | None = None, **values: int) -> str:
    """A GPP string with one section of the United States; `optional` is the bits of its second segment."""
    segments = [core_bits(layout, version or min(layout.cores), **values), *([optional] if optional is not None else [])]
    return gpp_string({layout.id: ".".join(base64url(bits, 8) for bits in segments)})


def _random_fields(random: Random, fields: Iterable[Any]) -> str:
    return "".join(uint(random.randint(one.low, one.high), one.bits) for one in fields for _ in range(one.count or 1))


def _random_canada(random: Random) -> str:
    head = uint(1, 6) + "".join(uint(random.randrange(2**width), width) for width in (36, 36, 12, 12, 6))
    head += "".join(uint(random.randrange(26), 6) for _ in range(2))
    head += "".join(uint(random.randrange(2**width), width) for width in (12, 6, 1, 12, 24, 24))
    pairs = random.sample([(purpose, kind) for purpose in range(1, 25) for kind in range(3)], random.choice([0, 1, 3]))
    restrictions = "".join(uint(purpose, 6) + uint(kind, 2) + _random_fibonacci_vendors(random) for purpose, kind in pairs)
    segments = [head + _random_fibonacci_vendors(random) + _random_fibonacci_vendors(random) + uint(len(pairs), 12) + restrictions]
    if random.random() < 0.5:
        segments.append("011" + _random_publisher(random)[0])
    if random.random() < 0.5:
        segments.append("001" + _random_fibonacci_vendors(random))
    return ".".join(base64url(bits, random.choice([6, 8])) for bits in segments)


def _random_fibonacci_vendors(random: Random) -> str:
    if random.random() < 0.5:
        ranges = merged((number, number) for number in _some(random, random.choice([0, 1, 17, 300])))
    else:
        ranges = merged(random_ranges(random, random.choice([50, 1_500, 65_535])))
    return fibonacci_vendors([(first, last) for first, last in ranges])


def _random_publisher(random: Random) -> tuple[str, dict[str, Any]]:
    custom = random.choice([0, 0, 1, 9, 63])
    kept = [_some(random, width) for width in (24, 24, custom, custom)]
    names = ["publisherConsents", "publisherLegitimateInterests", "publisherCustomConsents", "publisherCustomLegitimateInterests"]
    bits = flags(kept[0], 24) + flags(kept[1], 24) + uint(custom, 6) + flags(kept[2], custom) + flags(kept[3], custom)
    return bits, dict(zip(names, kept, strict=True)) | {"numCustomPurposes": custom}


def _letters(random: Random) -> str:
    return "".join(chr(65 + random.randrange(26)) for _ in range(2))


def _some(random: Random, highest: int) -> list[int]:
    density = random.choice([0.0, 0.1, 0.5, 1.0])
    return [number for number in range(1, highest + 1) if random.random() < density]
