"""IAB GPP strings: a Fibonacci-coded header that lists the sections, then the sections, each read by its own specification.

https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform/blob/main/Core/Consent%20String%20Specification.md
A section that we do not know is refused with the whole string. An optional segment that is absent says nothing: its fields are None, never
False.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.signals import tcf
from consent.signals.bits import MAX_CHARACTERS, Bits, Budget
from consent.signals.errors import Code, SignalInvalid
from consent.signals.gpp_tables import NAMES, TCF_CANADA, TCF_EUROPE, UNITED_STATES, US_PRIVACY, Field, Layout
from consent.signals.gpp_tcf import CanadianTc, decode_canada, europe_json
from consent.signals.tcf import TcString
from consent.signals.vendors import fibonacci_ranges

HEADER_TYPE, HEADER_VERSION = 3, 1

Value = int | bool | str | tuple[int, ...] | None
Fields = Mapping[str, Value]

# https://github.com/InteractiveAdvertisingBureau/USPrivacy/blob/master/CCPA/US%20Privacy%20String.md
_US_PRIVACY = re.compile("1([YN-])([YN-])([YN-])")


@dataclass(frozen=True, slots=True)
class Gpp:
    """A decoded string. `states` has the fields of `uspv1`, `usnat` and each state by section name; the others are None where absent."""

    section_ids: tuple[int, ...]
    europe: TcString | None
    canada: CanadianTc | None
    states: Mapping[str, Fields]

    def to_json(self) -> dict[str, Any]:
        """As `tacit signals decode` prints it."""
        sections: dict[str, Any] = {}
        for number in self.section_ids:
            name = NAMES[number]
            if number == TCF_EUROPE and self.europe is not None:
                sections[name] = europe_json(self.europe)
            elif number == TCF_CANADA and self.canada is not None:
                sections[name] = self.canada.to_json()
            else:
                sections[name] = dict(self.states[name])
        return {
            "header": {"Id": HEADER_TYPE, "Version": HEADER_VERSION, "SectionIds": self.section_ids},
            "sectionIds": self.section_ids,
            "sections": sections,
        }


def decode(text: str) -> Gpp:
    """The string's content. Raises `SignalInvalid`."""
    if len(text) > MAX_CHARACTERS:
        raise SignalInvalid(Code.TOO_LARGE, f"a signal has at most {MAX_CHARACTERS} characters")
    header, *encoded = text.split("~", len(NAMES) + 1)
    section_ids = _header(header)
    if len(encoded) != len(section_ids):
        raise SignalInvalid(Code.SECTION_COUNT, "the header announces another number of sections than there are")
    europe, canada, states = None, None, {}
    budget = Budget()
    for number, section in zip(section_ids, encoded, strict=True):
        if number == TCF_EUROPE:
            europe = tcf.decode(section, any_cmp=True, budget=budget)
        elif number == TCF_CANADA:
            canada = decode_canada(section, budget)
        elif number == US_PRIVACY:
            states[NAMES[number]] = _us_privacy(section)
        else:
            states[NAMES[number]] = _state(UNITED_STATES[number], section)
    return Gpp(section_ids, europe, canada, states)


def _header(encoded: str) -> tuple[int, ...]:
    bits = Bits(encoded)
    if bits.uint(6) != HEADER_TYPE:
        raise SignalInvalid(Code.UNKNOWN_VERSION, "the string does not begin with a GPP header")
    if bits.uint(6) != HEADER_VERSION:
        raise SignalInvalid(Code.UNKNOWN_VERSION, "the string is not in version 1 of the GPP format")
    found: list[int] = []
    for entry in fibonacci_ranges(bits):
        for number in range(entry >> 16, (entry & 0xFFFF) + 1):
            if number not in NAMES:
                raise SignalInvalid(Code.UNKNOWN_SECTION, "the header lists a section that is not known")
            found.append(number)
    bits.finish(triples=False)
    return tuple(found)


def _us_privacy(section: str) -> Fields:
    match = _US_PRIVACY.fullmatch(section)
    if match is None:
        raise SignalInvalid(Code.BAD_VALUE, "the US Privacy string is not 1 and three of Y, N and -")
    return {"Version": 1, "Notice": match[1], "OptOutSale": match[2], "LspaCovered": match[3]}


def _state(layout: Layout, section: str) -> Fields:
    core, *others = section.split(".", 2)
    bits = Bits(core)
    version = bits.uint(6)
    if version not in layout.cores:
        raise SignalInvalid(Code.UNKNOWN_VERSION, "the section is in a version that is not known")
    found: dict[str, Value] = {layout.version_name: version}
    _read(bits, layout.cores[version], found)
    if others and not layout.optional:
        raise SignalInvalid(Code.UNKNOWN_SEGMENT, "this section has no second segment")
    if len(others) > 1:
        raise SignalInvalid(Code.DUPLICATE_SEGMENT, "this section has one optional segment only")
    if others:
        _read(Bits(others[0]), layout.optional, found)
    else:
        found.update(dict.fromkeys(field.name for field in layout.optional))
    return found


def _read(bits: Bits, fields: tuple[Field, ...], found: dict[str, Value]) -> None:
    for field in fields:
        values = bits.fields((field.bits,) * (field.count or 1))
        if not all(field.low <= value <= field.high for value in values):
            raise SignalInvalid(Code.BAD_VALUE, "a field has a value that its specification does not define")
        if field.count is not None:
            found[field.name] = tuple(values)
        else:
            found[field.name] = values[0] == 1 if field.bits == 1 else values[0]
    bits.finish(triples=False)
