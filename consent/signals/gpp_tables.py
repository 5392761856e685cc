"""The layouts of the GPP sections for the United States, as data: field names in their order, as the section specifications have them.

A field is a two-bit number from 0 to 2, where 0 says "not applicable"; `name*n` is a list of n of them. Before the first field of a core
segment stands its version in six bits. The tests compare every layout with the reference library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SPECIFICATION = "https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform/tree/main/Sections/"

TCF_EUROPE, TCF_CANADA, US_PRIVACY = 2, 5, 6


@dataclass(frozen=True, slots=True)
class Field:
    """`count` numbers of `bits` bits from `low` to `high`; a single one, not a list, where `count` is None."""

    name: str
    count: int | None = None
    low: int = 0
    high: int = 2
    bits: int = 2


@dataclass(frozen=True, slots=True)
class Layout:
    """One section: its core segment for each version, and the segment that may follow."""

    id: int
    name: str
    url: str
    version_name: str
    cores: Mapping[int, tuple[Field, ...]]
    optional: tuple[Field, ...] = ()


def _fields(names: str) -> tuple[Field, ...]:
    found = []
    for name in names.split():
        bare, _, count = name.partition("*")
        found.append(Field(bare, int(count) if count else None, low=1 if bare == "MspaCoveredTransaction" else 0))
    return tuple(found)


GPC = (Field("GpcSegmentType", low=1, high=1), Field("Gpc", high=1, bits=1))
_SENSITIVE = _fields("SensitiveDataProcessing*8")
_AGREEMENT = "MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode"
_SALE_AND_ADVERTISING = "SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut"

# ID, state, first notice, kinds of sensitive data, the children's field, consent to additional processing, GPC segment
_REGULAR = (
    (9, "VA", "Sharing", 8, "", False, False),
    (10, "CO", "Sharing", 7, "", False, True),
    (12, "CT", "Sharing", 8, "*3", False, True),
    (13, "FL", "Processing", 8, "*3", True, False),
    (14, "MT", "Sharing", 8, "*3", True, True),
    (15, "OR", "Processing", 11, "*3", True, True),
    (16, "TX", "Processing", 8, "", True, True),
    (17, "DE", "Processing", 9, "*5", True, True),
    (19, "NE", "Processing", 8, "", True, True),
    (20, "NH", "Processing", 8, "*3", True, True),
    (21, "NJ", "Processing", 10, "*5", True, True),
    (22, "TN", "Processing", 8, "", True, True),
    (23, "MN", "Processing", 8, "", True, True),
)

# ID, state, fields, GPC segment
_IRREGULAR = (
    (
        8,
        "CA",
        "SaleOptOutNotice SharingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut "
        "SensitiveDataProcessing*9 KnownChildSensitiveDataConsents*2 PersonalDataConsents",
        True,
    ),
    (
        11,
        "UT",
        "SharingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataProcessingOptOutNotice "
        "SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents",
        False,
    ),
    (
        18,
        "IA",
        "ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataOptOutNotice "
        "SaleOptOut TargetedAdvertisingOptOut SensitiveDataProcessing*8 KnownChildSensitiveDataConsents",
        True,
    ),
)

# Of 2025, without a version of their own: they begin with the version of the agreement. ID, state, the children's field, optional segment
_RECENT = (
    (24, "MD", "", GPC),
    (25, "IN", "KnownChildSensitiveDataConsents", _SENSITIVE),
    (26, "KY", "KnownChildSensitiveDataConsents", _SENSITIVE),
    (27, "RI", "KnownChildSensitiveDataConsents", _SENSITIVE),
)

_NATIONAL = (
    "SharingNotice SaleOptOutNotice SharingOptOutNotice TargetedAdvertisingOptOutNotice SensitiveDataProcessingOptOutNotice "
    "SensitiveDataLimitUseNotice SaleOptOut SharingOptOut TargetedAdvertisingOptOut "
    f"SensitiveDataProcessing*{{}} KnownChildSensitiveDataConsents*{{}} PersonalDataConsents {_AGREEMENT}"
)


def _state(number: int, code: str, fields: str, *, gpc: bool) -> Layout:
    cores = {1: _fields(f"{fields} {_AGREEMENT}")}
    return Layout(number, f"us{code.lower()}", f"{SPECIFICATION}US-States/{code}", "Version", cores, GPC if gpc else ())


def _regular(number: int, code: str, notice: str, kinds: int, children: str, additional: bool, gpc: bool) -> Layout:
    fields = f"{notice}Notice {_SALE_AND_ADVERTISING} SensitiveDataProcessing*{kinds} KnownChildSensitiveDataConsents{children}"
    return _state(number, code, f"{fields} AdditionalDataProcessingConsent" if additional else fields, gpc=gpc)


def _recent(number: int, code: str, children: str, optional: tuple[Field, ...]) -> Layout:
    text = f"MspaCoveredTransaction MspaMode ProcessingNotice {_SALE_AND_ADVERTISING} {children} AdditionalDataProcessingConsent"
    cores = dict.fromkeys((1, 2), _fields(text))
    return Layout(number, f"us{code.lower()}", f"{SPECIFICATION}US-States/{code}", "MspaVersion", cores, optional)


_ALL = (
    Layout(
        7,
        "usnat",
        f"{SPECIFICATION}US-National",
        "Version",
        {1: _fields(_NATIONAL.format(12, 2)), 2: _fields(_NATIONAL.format(16, 3))},
        GPC,
    ),
    *(_regular(*row) for row in _REGULAR),
    *(_state(number, code, fields, gpc=gpc) for number, code, fields, gpc in _IRREGULAR),
    *(_recent(*row) for row in _RECENT),
)

UNITED_STATES: Mapping[int, Layout] = MappingProxyType({layout.id: layout for layout in _ALL})
"""By section ID, 7 to 27."""

NAMES: Mapping[int, str] = MappingProxyType(
    {TCF_EUROPE: "tcfeuv2", TCF_CANADA: "tcfcav1", US_PRIVACY: "uspv1"} | {number: layout.name for number, layout in UNITED_STATES.items()}
)
"""Every section that is decoded, by ID. Others are refused: they may hold an opt-out that we could not read."""
