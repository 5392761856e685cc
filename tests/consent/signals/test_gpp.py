"""GPP strings: the header, every section, and which strings are refused and why."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.signals import gpp
from consent.signals.errors import SignalInvalid
from consent.signals.gpp_tables import NAMES, UNITED_STATES, Layout
from tests.consent.signals.encoder import (
    Tc,
    base64url,
    bits_of,
    core_bits,
    disclosed,
    fibonacci,
    fibonacci_entries,
    fibonacci_vendors,
    gpp_string,
    random_gpp,
    random_section,
    random_state,
    state,
    uint,
)

NATIONAL = "CAAQAAAAAABA"
LAYOUTS = pytest.mark.parametrize("layout", UNITED_STATES.values(), ids=lambda layout: layout.name)


def plain(text: str) -> Any:
    return json.loads(json.dumps(gpp.decode(text).to_json()))


def code(text: str) -> str:
    with pytest.raises(SignalInvalid) as refused:
        gpp.decode(text)
    assert len(text) < 9 or text not in refused.value.diagnostics()
    return refused.value.code


@pytest.mark.parametrize(
    ("header", "numbers"),
    [("DBABM", [2]), ("DBABMA", [2]), ("DBACNY", [2, 6]), ("DBACNYA", [2, 6]), ("DBABjw", [5, 6]), ("DBAA", [])],
)
def test_the_specifications_headers_are_read(header: str, numbers: list[int]) -> None:
    texts = {2: Tc().text(), 5: random_section(Random(), 5), 6: "1YNN"}
    decoded = plain("~".join([header, *(texts[number] for number in numbers)]))
    assert decoded["header"] == {"Id": 3, "Version": 1, "SectionIds": numbers}
    assert decoded["sectionIds"] == numbers
    assert list(decoded["sections"]) == [NAMES[number] for number in numbers]


def test_the_specifications_string_with_europe_and_us_privacy_is_read() -> None:
    decoded = plain("DBACNYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN")
    assert decoded["sections"]["uspv1"] == {"Version": 1, "Notice": "Y", "OptOutSale": "N", "LspaCovered": "N"}
    assert decoded["sections"]["tcfeuv2"]["CmpId"] == 31


@pytest.mark.parametrize("number", [1, 2, 3, 4, 54, 55, 88, 89, 4_180, 46_367, 46_368, 65_535])
def test_fibonacci_coded_numbers_are_read(number: int) -> None:
    bits = uint(1, 6) + "0" * 193 + fibonacci_vendors([(number, number)]) + uint(0, 29)
    section = base64url(bits, 8)
    assert plain(gpp_string({5: section}))["sections"]["tcfcav1"]["VendorExpressConsent"] == [[number, number]]


def test_every_section_of_the_specification_is_in_the_tables() -> None:
    assert sorted(NAMES) == [2, *range(5, 28)]
    assert {layout.name for layout in UNITED_STATES.values() if layout.version_name == "MspaVersion"} == {"usmd", "usin", "usky", "usri"}
    assert {layout.name for layout in UNITED_STATES.values() if not layout.optional} == {"usva", "usut", "usfl"}
    assert all(layout.url.startswith("https://github.com/InteractiveAdvertisingBureau/") for layout in UNITED_STATES.values())


@LAYOUTS
def test_an_absent_optional_segment_is_null_and_never_false(layout: Layout) -> None:
    fields = plain(gpp_string({layout.id: random_state(Random(), layout, optional=False)}))["sections"][layout.name]
    assert [fields[one.name] for one in layout.optional] == [None] * len(layout.optional)
    if layout.optional:
        present = plain(gpp_string({layout.id: random_state(Random(), layout, optional=True)}))["sections"][layout.name]
        assert None not in present.values()


@pytest.mark.parametrize("gpc", [False, True])
def test_a_gpc_segment_says_what_it_says(gpc: bool) -> None:
    assert plain(state(UNITED_STATES[7], optional="01" + uint(gpc, 1)))["sections"]["usnat"]["Gpc"] is gpc


def test_the_national_section_is_read_in_both_versions() -> None:
    lengths = {}
    for version in (1, 2):
        fields = plain(state(UNITED_STATES[7], version=version))["sections"]["usnat"]
        lengths[version] = (len(fields["SensitiveDataProcessing"]), len(fields["KnownChildSensitiveDataConsents"]))
    assert lengths == {1: (12, 2), 2: (16, 3)}


@LAYOUTS
def test_a_value_that_is_not_defined_is_refused(layout: Layout) -> None:
    for version, fields in layout.cores.items():
        for one in fields:
            assert code(state(layout, version=version, **{one.name: 3})) == "bad_value"
    assert code(state(layout, MspaCoveredTransaction=0)) == "bad_value"


@LAYOUTS
def test_an_unknown_version_of_a_section_is_refused(layout: Layout) -> None:
    known = core_bits(layout, min(layout.cores))
    for version in (0, 3, 63):
        assert code(gpp_string({layout.id: base64url(uint(version, 6) + known[6:], 8)})) == "unknown_version"


@LAYOUTS
def test_segments_that_do_not_belong_are_refused(layout: Layout) -> None:
    text = gpp_string({layout.id: random_state(Random(), layout, optional=bool(layout.optional))})
    if layout.optional:
        assert code(f"{text}.{text.rsplit('.', 1)[1]}") == "duplicate_segment"
    else:
        assert code(f"{text}.YA") == "unknown_segment"


@LAYOUTS
def test_a_section_may_end_at_the_character_or_the_byte_only(layout: Layout) -> None:
    bits = core_bits(layout, min(layout.cores))
    for padding in (6, 8):
        assert plain(gpp_string({layout.id: base64url(bits, padding)}))["sectionIds"] == [layout.id]
    assert code(gpp_string({layout.id: base64url(bits, 8) + "A"})) == "trailing_data"
    assert code(gpp_string({layout.id: base64url(bits, 8) + "A" * 60_000})) == "trailing_data"
    assert code(gpp_string({layout.id: base64url(bits[:-2], 6)[: (len(bits) - 1) // 6]})) == "truncated"
    if len(bits) % 6:
        assert code(gpp_string({layout.id: base64url(bits + "0" * (-len(bits) % 6 - 1) + "1", 6)})) == "bad_padding"


@pytest.mark.parametrize("section", ["1YN", "1YNNN", "1ynn", "1XNN", "2YNN", "1YN\n", " 1YNN", "1YNN ", "1YNN.1YNN", "", "YNN1"])
def test_a_us_privacy_string_is_exactly_a_1_and_three_signs(section: str) -> None:
    assert code(f"DBABTA~{section}") == "bad_value"


def header(count: int, items: str) -> str:
    return base64url(uint(3, 6) + uint(1, 6) + uint(count, 12) + items, 8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("~", "empty"),
        (f"DBABLA~{NATIONAL}~", "section_count"),
        (f"DBABLA~{NATIONAL}~{NATIONAL}", "section_count"),
        ("DBABLA", "section_count"),
        ("DBAA~", "section_count"),
        ("DBABLA~", "empty"),
        (Tc().text(), "unknown_version"),
        (f"DCABLA~{NATIONAL}", "unknown_version"),
        (f"EBABLA~{NATIONAL}", "unknown_version"),
        (f"DBABLAA~{NATIONAL}", "trailing_data"),
        (f"DBABLB~{NATIONAL}", "bad_padding"),
        (f"DBABLA.YA~{NATIONAL}", "bad_alphabet"),
        (f"DBABLA~{NATIONAL}=", "bad_alphabet"),
        (f"DB~{NATIONAL}", "truncated"),
        (header(1, "0" + fibonacci(1)) + "~CAAQ", "unknown_section"),
        (header(1, "0" + fibonacci(3)) + "~CAAQ", "unknown_section"),
        (header(1, "0" + fibonacci(28)) + "~CAAQ", "unknown_section"),
        (header(1, "1" + fibonacci(2) + fibonacci(2)) + "~CAAQ~CAAQ~CAAQ", "unknown_section"),
        (header(2, "0" + fibonacci(7)) + f"~{NATIONAL}~{NATIONAL}", "truncated"),
        (header(1, "0" + "0" * 40 + "11") + f"~{NATIONAL}", "bad_range"),
        (f"DBABLA~{NATIONAL}" + "A" * 65_536, "too_large"),
        (gpp_string({2: Tc(version=1).text()}), "unknown_version"),
        (gpp_string({2: Tc(restrictions=[(1, 3, [(1, 1)])]).text()}), "bad_value"),
    ],
)
def test_what_does_not_follow_the_format_is_refused_with_its_code(text: str, expected: str) -> None:
    assert code(text) == expected


CANADA = uint(1, 6) + "0" * 193


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (uint(2, 6) + "0" * 193 + uint(0, 46), "unknown_version"),
        (CANADA[:108] + "1" * 6 + CANADA[114:] + uint(0, 46), "bad_value"),
        (CANADA + uint(5, 16) + "1" + fibonacci_entries([(6, 6)]) + uint(0, 29), "bad_range"),
        (CANADA + uint(5, 16) + "1" + fibonacci_entries([(1, 6)]) + uint(0, 29), "bad_range"),
        (CANADA + uint(0, 34) + uint(1, 12) + uint(2, 6) + "11" + uint(0, 17), "bad_value"),
        (CANADA + uint(0, 34) + uint(2, 12) + (uint(2, 6) + "01" + uint(0, 17)) * 2, "duplicate_restriction"),
        (CANADA + uint(9, 16) + "1" + uint(1, 12) + "0" * 9, "truncated"),
        (CANADA + uint(5, 16) + "0" + "11010" + uint(0, 29), "bad_range"),
        (CANADA + uint(20, 16) + "0" + "0" * 19 + "1" + uint(0, 29), "bad_range"),  # as ranges it has 20 bits as well
        (CANADA + uint(5, 16) + "1" + fibonacci_entries([(5, 5)]) + uint(0, 29), "bad_range"),
        (CANADA + uint(99, 16) + "0" + "0" * 98 + "1" + uint(0, 29), "bad_range"),
        (CANADA + uint(99, 16) + "1" + fibonacci_entries([(97, 97), (98, 99)]) + uint(0, 29), "bad_range"),
        (CANADA + uint(99, 16) + "1" + fibonacci_entries([(97, 98)]) + uint(0, 29), "bad_range"),
    ],
)
def test_a_canadian_section_is_read_as_strictly(bits: str, expected: str) -> None:
    assert code(gpp_string({5: base64url(bits, 8)})) == expected


def test_a_canadian_section_may_have_each_segment_once() -> None:
    core, publisher, vendors = (base64url(bits, 8) for bits in (CANADA + uint(0, 46), "011" + uint(0, 54), "001" + uint(0, 17)))
    fields = plain(gpp_string({5: f"{core}.{vendors}.{publisher}"}))["sections"]["tcfcav1"]
    assert (fields["DisclosedVendors"], fields["NumCustomPurposes"], fields["DisclosedVendorsSegmentType"]) == ([], 0, 1)
    fields = plain(gpp_string({5: core}))["sections"]["tcfcav1"]
    assert (fields["DisclosedVendors"], fields["NumCustomPurposes"], fields["DisclosedVendorsSegmentType"]) == (None, None, None)
    assert code(gpp_string({5: f"{core}.{publisher}.{publisher}"})) == "duplicate_segment"
    assert code(gpp_string({5: f"{core}.{base64url('010' + uint(0, 17), 8)}"})) == "unknown_segment"
    assert code(gpp_string({5: f"{core}.{vendors}A"})) == "trailing_data"


def test_europes_section_has_the_names_of_its_specification_and_our_shapes() -> None:
    made = Tc(consents=[1, 3], others=[disclosed([(2, 4)])], restrictions=[(2, 1, [(5, 9)])])
    fields = plain(gpp_string({2: made.text()}))["sections"]["tcfeuv2"]
    assert fields["PurposeConsents"] == [1, 3]
    assert fields["PublisherRestrictions"] == [{"key": 2, "type": 1, "ids": [[5, 9]]}]
    assert (fields["VendorsDisclosed"], fields["VendorsAllowed"], fields["PublisherConsents"]) == ([[2, 4]], None, None)


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_valid_string_is_read_and_its_header_lists_its_sections(random: Random) -> None:
    text = random_gpp(random)
    decoded = plain(text)
    assert decoded["sectionIds"] == decoded["header"]["SectionIds"] == sorted(decoded["sectionIds"])
    assert len(decoded["sections"]) == text.count("~")
    assert bits_of(text.split("~")[0]).startswith("000011000001")
