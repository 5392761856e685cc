from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import repeats
from privacy.repeats import repeated


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 9) | st.integers(0, 2**64 - 1), max_size=60))
def test_exactly_the_hashes_that_occur_twice_are_named(values: list[int]) -> None:
    hashes = np.array(values, dtype=np.uint64)
    assert {int(v) for v in hashes[repeated(hashes)]} == {v for v in values if values.count(v) > 1}


@pytest.mark.parametrize("spread", [2**64, 2**40, 2**20, 1])
@pytest.mark.parametrize("copies", [0, 1, 3000])
def test_the_same_among_so_many_that_slots_are_shared(spread: int, copies: int) -> None:
    """Whether hashes fill all 64 bits or, against what they promise, only the last."""
    random = np.random.default_rng()
    hashes = random.integers(0, spread, 3 * repeats.FEW, dtype=np.uint64)
    hashes = np.concatenate([hashes, hashes[:copies], hashes[:copies]])
    random.shuffle(hashes)
    values, counts = np.unique(hashes, return_counts=True)
    assert np.array_equal(np.unique(hashes[repeated(hashes)]), values[counts > 1])
