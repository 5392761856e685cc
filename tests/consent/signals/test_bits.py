"""The reader: nothing is read past the end, and every number is what its bits say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.signals.bits import Bits, fibonacci, fibonacci_bits, positions
from consent.signals.errors import SignalInvalid
from consent.signals.vendors import fibonacci_ranges, fixed_ranges
from tests.consent.signals import encoder
from tests.consent.signals.encoder import base64url, bits_of, entries, fibonacci_entries


@given(st.text("01", min_size=1, max_size=200), st.integers(1, 40))
def test_fields_are_read_in_order_and_never_past_the_end(text: str, width: int) -> None:
    bits = Bits(base64url(text, 6))
    padded = bits_of(base64url(text, 6))
    assert (bits.length, bits.text) == (len(padded), padded)
    for at in range(0, len(padded) - width + 1, width):
        assert bits.uint(width) == int(padded[at : at + width], 2)
    with pytest.raises(SignalInvalid) as refused:
        bits.uint(width)
    assert refused.value.code == "truncated"


@given(st.lists(st.integers(1, 36), min_size=1, max_size=12), st.data())
def test_several_fields_are_read_at_once(widths: list[int], data: st.DataObject) -> None:
    values = [data.draw(st.integers(0, 2**width - 1)) for width in widths]
    text = "".join(encoder.uint(value, width) for value, width in zip(values, widths, strict=True))
    assert Bits(base64url(text, 6)).fields(widths) == values


@given(st.sets(st.integers(1, 24)))
def test_positions_are_the_set_bits_from_the_left(numbers: set[int]) -> None:
    assert positions(int(encoder.flags(numbers, 24), 2), 24) == tuple(sorted(numbers))


@given(st.integers(1, 65_535), st.text("01", max_size=30))
def test_a_fibonacci_code_is_read_up_to_its_end(number: int, rest: str) -> None:
    code = encoder.fibonacci(number)
    assert fibonacci("0" + code + rest, 1) == (number, 1 + len(code))
    assert fibonacci_bits(number) == len(code)
    with pytest.raises(SignalInvalid) as refused:
        fibonacci(code[:-1], 0)
    assert refused.value.code == "truncated"


@pytest.mark.parametrize(("read", "bits"), [(fixed_ranges, entries([(3, 9)])), (fibonacci_ranges, fibonacci_entries([(3, 9)]))])
def test_a_range_may_reach_the_highest_number_and_not_pass_it(read, bits: str) -> None:
    assert read(Bits(base64url(bits, 6)), 9) == [3 << 16 | 9]
    with pytest.raises(SignalInvalid) as refused:
        read(Bits(base64url(bits, 6)), 8)
    assert refused.value.code == "bad_range"


def test_offsets_that_add_up_to_more_than_16_bits_are_refused() -> None:
    bits = encoder.uint(2, 12) + "0" + encoder.fibonacci(65_535) + "0" + encoder.fibonacci(65_535)
    with pytest.raises(SignalInvalid) as refused:
        fibonacci_ranges(Bits(base64url(bits, 6)))
    assert refused.value.code == "bad_range"
