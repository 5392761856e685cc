"""Digests are compared as bytes; that is the same as the arithmetic of the specification at every border."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import example, given
from hypothesis import strategies as st

from adjust.draws import BEYOND, ONE, SPAN, part, steps


@given(st.integers(0, ONE), st.integers(-1, 1))
@example(ONE, 0)
@example(0, 0)
def test_an_arm_s_border_is_where_the_arithmetic_has_it(cumulative: int, beside: int) -> None:
    x = min(max(-(-cumulative * SPAN // ONE) + beside, 0), SPAN - 1)
    digest = x.to_bytes(4, "big") + bytes(28)
    assert (bisect_right(steps([cumulative, ONE]), digest) == 0) is (x * ONE // SPAN < cumulative)


@given(st.floats(0, 1), st.integers(-1, 1))
@example(1.0, 0)
@example(0.0, 0)
def test_a_share_s_border_is_where_the_arithmetic_has_it(share: float, beside: int) -> None:
    x = min(max(int(share * SPAN) + beside, 0), SPAN - 1)
    assert (x.to_bytes(4, "big") + bytes(28) < part(share)) is (x < int(share * SPAN))
    assert (x.to_bytes(4, "big") + b"\xff" * 28 < part(share)) is (x < int(share * SPAN))


def test_everybody_is_below_one() -> None:
    assert b"\xff" * 32 < part(1.0) == BEYOND
