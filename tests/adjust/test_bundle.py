"""Bundles: exact weights, a signature over every byte, an order that survives canonical JSON."""

from __future__ import annotations

import itertools
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from adjust.bundle import ONE, Bundle, cumulative, jwks, policy_entry, salt_of, verify
from adjust.errors import BundleInvalid
from tacit.core import jws
from tacit.core.rootkey import RootKey
from tests.adjust.support import ARMS, ROOT, policy

PUBLIC = ROOT.signing_key().public_key()


def _signed() -> str:
    entry = policy_entry(policy(), {"mobile|morning": [0.5, 0.25, 0.25], "other|other": [1 / 3] * 3}, [1 / 3] * 3, windows=4)
    return Bundle("newsroom", 3, 1_000, salt_of("newsroom", 0), ["rel_1"], {"headline": entry}).sign(ROOT)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=200).filter(lambda w: sum(w) > 1e-3))
def test_weights_quantise_to_sixteen_bits_exactly(weights: list[float]) -> None:
    found = cumulative(weights)
    assert found[-1] == ONE
    assert all(0 <= low <= high <= ONE for low, high in itertools.pairwise(found))
    parts = [high - low for low, high in zip([0, *found], found, strict=False)]
    assert all(abs(part - w / sum(weights) * ONE) < 1 + 1e-6 for part, w in zip(parts, weights, strict=True))


def test_a_cell_with_the_default_weights_is_left_out() -> None:
    entry = verify(_signed(), PUBLIC)["policies"]["headline"]
    assert list(entry["weights"]) == ["mobile|morning"]
    assert entry["default"] == [21845, 43690, 65535]


def test_the_declared_order_survives() -> None:
    entry = verify(_signed(), PUBLIC)["policies"]["headline"]
    assert list(entry["arms"]) == entry["order"]["arms"] == list(ARMS) != sorted(ARMS)
    assert list(entry["context"]) == ["device", "daypart"]


def test_any_changed_character_fails() -> None:
    signed = _signed()
    for place in range(0, len(signed), 7):
        swapped = "A" if signed[place] != "A" else "B"
        with pytest.raises(BundleInvalid):
            verify(signed[:place] + swapped + signed[place + 1 :], PUBLIC)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"payload": 1, "protected": 2, "signature": 3}', "{" * 10_000])
def test_what_is_no_bundle_is_refused(text: str) -> None:
    with pytest.raises(BundleInvalid):
        verify(text, PUBLIC)


def test_another_installation_s_key_does_not_fit() -> None:
    with pytest.raises(BundleInvalid):
        verify(_signed(), RootKey(bytes(32)).signing_key().public_key())


def test_the_published_key_checks_the_bundle() -> None:
    from base64 import urlsafe_b64decode

    key = jwks(ROOT)["keys"][0]
    public = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(key["x"] + "="))
    assert verify(_signed(), public)["version"] == 3
    assert key["kid"] == jws.thumbprint(public)
    protected = json.loads(urlsafe_b64decode(json.loads(_signed())["protected"] + "=="))
    assert protected == {"alg": "EdDSA", "kid": key["kid"], "typ": "tacit-bundle+json"}


def test_the_salt_is_one_per_epoch() -> None:
    assert salt_of("newsroom", 0) != salt_of("newsroom", 86_400_000)
    assert salt_of("newsroom", 0) == salt_of("newsroom", 0) != salt_of("other", 0)
