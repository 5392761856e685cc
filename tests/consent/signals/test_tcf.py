"""TCF strings: what valid ones hold, which are refused and why, and which no longer count."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.signals import tcf
from consent.signals.errors import SignalInvalid
from consent.signals.validity import validity
from tests.consent.signals.encoder import (
    DAY_MS,
    PADDINGS,
    Tc,
    base64url,
    bits_of,
    disclosed,
    entries,
    flags,
    merged,
    random_ranges,
    random_tc,
    random_vendors,
    uint,
)

EXAMPLE = "CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA"
"""Of the specification of TCF 2.3."""

EMPTY = uint(0, 17)
NOW_MS = 1_795_478_400_000


def plain(text: str) -> Any:
    return json.loads(json.dumps(tcf.decode(text).to_json()))


def code(text: str) -> str:
    with pytest.raises(SignalInvalid) as refused:
        tcf.decode(text)
    assert len(text) < 9 or text not in refused.value.diagnostics()
    return refused.value.code


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_valid_string_is_decoded_to_what_was_encoded(random: Random) -> None:
    made = random_tc(random)
    assert plain(made.text()) == made.expected()


def test_the_specifications_example_is_read() -> None:
    decoded = plain(EXAMPLE)
    assert decoded["created"] == decoded["lastUpdated"] == "2025-06-03T00:00:00.000Z"
    assert (decoded["cmpId"], decoded["vendorListVersion"], decoded["publisherCountryCode"]) == (880, 48, "DE")
    assert decoded["vendorConsents"] == [[1, 4]]
    assert decoded["vendorsDisclosed"] == [[1, 5], [100, 100], [404, 404]]
    assert decoded["segments"] == ["core", "vendorsDisclosed", "publisherTC"]
    assert list(decoded) == [
        *("version", "created", "lastUpdated", "cmpId", "cmpVersion", "consentScreen", "consentLanguage", "vendorListVersion"),
        *("policyVersion", "isServiceSpecific", "useNonStandardTexts", "specialFeatureOptIns", "purposeConsents"),
        *("purposeLegitimateInterests", "purposeOneTreatment", "publisherCountryCode", "vendorConsents", "vendorLegitimateInterests"),
        *("publisherRestrictions", "vendorsDisclosed", "vendorsAllowed", "publisherTC", "segments"),
    ]


def test_an_absent_segment_is_null_and_an_empty_one_is_an_empty_set() -> None:
    assert [plain(Tc().text())[name] for name in ("vendorsDisclosed", "vendorsAllowed", "publisherTC")] == [None, None, None]
    assert plain(Tc(others=[("vendorsDisclosed", "001" + EMPTY)]).text())["vendorsDisclosed"] == []


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_set_holds_the_same_vendors_as_its_ranges(random: Random) -> None:
    bits, ranges = random_vendors(random)
    held = tcf.decode(Tc(vendor_consents=bits).text()).vendor_consents
    assert [list(one) for one in held.ranges] == ranges
    for number in {1, 65_535} | {edge for first, last in ranges for edge in (first - 1, first, last, last + 1)}:
        assert (number in held) == any(first <= number <= last for first, last in ranges)
    assert held == tcf.decode(Tc(vendor_consents=bits).text()).vendor_consents


def test_the_same_vendors_are_equal_however_they_are_encoded() -> None:
    as_field = Tc(vendor_consents=uint(30, 16) + "0" + flags([1, 2, 3, 9], 30))
    as_ranges = Tc(vendor_consents=uint(9, 16) + "1" + entries([(9, 9), (2, 3), (1, 2)]))
    fields = [tcf.decode(made.text()).vendor_consents for made in (as_field, as_ranges)]
    assert fields[0] == fields[1]
    assert hash(fields[0]) == hash(fields[1])


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("width", range(1, 26))
def test_the_padding_of_every_encoder_is_accepted_and_one_more_character_is_not(padding: int, width: int) -> None:
    bits = Tc(vendor_consents=uint(width, 16) + "0" + "1" * width).core()
    text = base64url(bits, padding)
    assert plain(text)["vendorConsents"] == [[1, width]]
    longest = base64url(bits, 24)
    assert code(longest + "A") == "trailing_data"
    assert code(longest + "AAAA") == "trailing_data"
    if len(bits) % 6:
        spoilt = base64url(bits + "0" * (-len(bits) % 6 - 1) + "1", 6)
        assert code(spoilt) == "bad_padding"


def refusals() -> dict[str, tuple[str, str]]:
    """By name: a string and the code it must be refused with."""
    core = Tc().core()
    ranged = uint(9, 16) + "1"
    other = base64url("001" + EMPTY)
    return {
        "nothing": ("", "empty"),
        "a dot": (".", "empty"),
        "a dot at the end": (f"{base64url(core)}.", "empty"),
        "an empty segment": (f"{base64url(core)}..{other}", "empty"),
        "white space": (f" {base64url(core)}", "bad_alphabet"),
        "a line break": (f"{base64url(core)}\n", "bad_alphabet"),
        "standard base64": (base64url(core)[:-1] + "+", "bad_alphabet"),
        "an equals sign": (f"{base64url(core)}=", "bad_alphabet"),
        "four characters of no alphabet": (base64url(core)[:8] + "    " + base64url(core)[8:], "bad_alphabet"),
        "four characters of no alphabet instead": (base64url(core)[:8] + "!!!!" + base64url(core)[12:], "bad_alphabet"),
        "not ASCII": (base64url(core)[:-1] + "é", "bad_alphabet"),
        "a surrogate": (base64url(core)[:-1] + "\ud800", "bad_alphabet"),
        "too large": ("C" * 65_537, "too_large"),
        "version 1": (Tc(version=1).text(), "unknown_version"),
        "version 3": (Tc(version=3).text(), "unknown_version"),
        "a GPP string": ("DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA", "bad_alphabet"),
        "platform 0": (Tc(cmp=0).text(), "bad_value"),
        "platform 1": (Tc(cmp=1).text(), "bad_value"),
        "a language that is no letters": (Tc(language="E[").text(), "bad_value"),
        "a country that is no letters": (Tc(country="_E").text(), "bad_value"),
        "no restrictions at all": (base64url(core[:-12], 6), "truncated"),
        "a bit field that is cut off": (base64url(core[:213] + uint(65_535, 16) + "0" + "1" * 30, 6), "truncated"),
        "entries that are missing": (base64url(core[:213] + ranged + entries([(1, 2)])[:12], 6), "truncated"),
        "an entry that is cut off": (base64url(core[:213] + ranged + entries([(1, 2)])[:33], 6), "truncated"),
        "vendor 0": (Tc(vendor_consents=ranged + entries([(0, 0)])).text(), "bad_range"),
        "a range from 0": (Tc(vendor_consents=ranged + entries([(0, 5)])).text(), "bad_range"),
        "a range backwards": (Tc(vendor_consents=ranged + entries([(5, 4)])).text(), "bad_range"),
        "a vendor above the highest": (Tc(vendor_consents=ranged + entries([(10, 10)])).text(), "bad_range"),
        "a range above the highest": (Tc(vendor_interests=ranged + entries([(3, 10)])).text(), "bad_range"),
        "all vendors twice": (Tc(vendor_consents=uint(65_535, 16) + "1" + entries([(1, 65_535)] * 2)).text(), "bad_range"),
        "a restriction's range backwards": (Tc(restrictions=[(1, 0, [(9, 3)])]).text(), "bad_range"),
        "purpose 0 restricted": (Tc(restrictions=[(0, 0, [(1, 1)])]).text(), "bad_value"),
        "purpose 25 restricted": (Tc(restrictions=[(25, 0, [(1, 1)])]).text(), "bad_value"),
        "restriction type 3": (Tc(restrictions=[(2, 3, [(1, 1)])]).text(), "bad_value"),
        "a restriction twice": (Tc(restrictions=[(2, 1, [(1, 1)]), (2, 1, [(2, 2)])]).text(), "duplicate_restriction"),
        "another core behind the core": (f"{base64url(core)}.{base64url(core)}", "unknown_segment"),
        "segment type 4": (f"{base64url(core)}.{base64url('100' + EMPTY)}", "unknown_segment"),
        "the core in second place": (f"{other}.{base64url(core)}", "unknown_version"),
        "a segment twice": (f"{base64url(core)}.{other}.{other}", "duplicate_segment"),
        "more behind a segment": (f"{base64url(core)}.{other}AAAA", "trailing_data"),
        "a segment's padding": (f"{base64url(core)}.{base64url('001' + EMPTY + '1')}", "bad_padding"),
        "five segments": (".".join([base64url(core), *[other] * 4]), "duplicate_segment"),
        "a segment of one bit too few": (f"{base64url(core)}.{base64url('001' + uint(5, 16) + '0', 6)}", "truncated"),
        "custom purposes cut off": (f"{base64url(core)}.{base64url('011' + '0' * 48 + uint(63, 6) + '0' * 63, 6)}", "truncated"),
    }


@pytest.mark.parametrize("name", refusals())
def test_what_does_not_follow_the_format_is_refused_with_its_code(name: str) -> None:
    text, expected = refusals()[name]
    assert code(text) == expected


def test_ranges_may_overlap_as_long_as_they_do_not_cover_more_than_there_is() -> None:
    assert plain(Tc(vendor_consents=uint(20, 16) + "1" + entries([(5, 9), (1, 7), (10, 10), (20, 20)])).text())["vendorConsents"] == [
        [1, 10],
        [20, 20],
    ]


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_merged_ranges_are_sorted_and_apart(random: Random) -> None:
    ranges = random_ranges(random, 500)
    made = Tc(vendor_consents=uint(65_535, 16) + "1" + entries(ranges))
    assert plain(made.text())["vendorConsents"] == merged(ranges)


MARCH_2026_MS, FEBRUARY_2026_MS = 1_772_323_200_000, 1_772_236_800_000
OCTOBER_2023_MS = 1_696_118_400_000


def doubts(made: Tc, *, any_cmp: bool = False) -> list[str]:
    made.updated_ms = max(made.created_ms, made.updated_ms)
    return list(validity(tcf.decode(made.text(), any_cmp=any_cmp), now_ms=NOW_MS).reasons)


@pytest.mark.parametrize(
    ("made", "reasons"),
    [
        (Tc(created_ms=FEBRUARY_2026_MS), []),
        (Tc(created_ms=MARCH_2026_MS - 100), []),
        (Tc(created_ms=MARCH_2026_MS), ["vendors_disclosed_missing"]),
        (Tc(created_ms=MARCH_2026_MS, others=[disclosed()]), []),
        (Tc(created_ms=MARCH_2026_MS, others=[disclosed([])]), []),
        (Tc(created_ms=MARCH_2026_MS, others=[("vendorsAllowed", "010" + EMPTY)]), ["vendors_disclosed_missing"]),
        (Tc(created_ms=OCTOBER_2023_MS - DAY_MS, policy=2), []),
        (Tc(created_ms=OCTOBER_2023_MS, policy=3), ["policy_outdated"]),
        (Tc(created_ms=OCTOBER_2023_MS, policy=4), []),
        (Tc(policy=5), []),
        (Tc(policy=6), ["policy_unknown"]),
        (Tc(policy=1), ["policy_unknown"]),
        (Tc(service_specific=False), ["global_scope"]),
        (Tc(created_ms=NOW_MS + DAY_MS, others=[disclosed()]), []),
        (Tc(created_ms=NOW_MS + DAY_MS + 100, others=[disclosed()]), ["created_in_future"]),
    ],
)
def test_a_string_counts_or_every_reason_is_given(made: Tc, reasons: list[str]) -> None:
    assert doubts(made) == reasons


def test_a_string_that_was_updated_before_it_was_created_does_not_count() -> None:
    string = tcf.decode(Tc(created_ms=10 * DAY_MS, updated_ms=9 * DAY_MS).text())
    assert list(validity(string, now_ms=NOW_MS).reasons) == ["updated_before_created"]


def test_a_string_of_no_platform_is_read_within_gpp_but_does_not_count() -> None:
    assert doubts(Tc(cmp=0), any_cmp=True) == ["cmp_unassigned"]
    assert doubts(Tc(cmp=1), any_cmp=True) == ["cmp_unassigned"]


def test_the_longest_string_is_64_kibibytes() -> None:
    made = Tc(vendor_consents=uint(65_535, 16) + "0" + "1" * 65_535)
    assert plain(made.text())["vendorConsents"] == [[1, 65_535]]
    assert len(bits_of(made.text())) % 24 == 0
