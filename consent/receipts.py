"""Receipts: what a person was told is recorded, signed, so that they can prove it later. It holds no identifier and no pseudonym."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent.errors import ReceiptInvalid
from tacit.core import jws
from tacit.core.rootkey import RootKey

TYPE = "tacit-receipt+json"

Receipt = jws.Signed


class Receipts:
    """Signs and checks the receipts of one installation."""

    def __init__(self, root: RootKey) -> None:
        self._key = root.signing_key()
        self._public = self._key.public_key()

    @property
    def public_key(self) -> Ed25519PublicKey:
        """What others check receipts with."""
        return self._public

    def sign(self, payload: Mapping[str, Any]) -> Receipt:
        """The receipt that says `payload`."""
        return jws.sign(payload, TYPE, self._key)

    def verify(self, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """What a receipt of this installation says. Raises `ReceiptInvalid`."""
        return verify(receipt, self._public)


def verify(receipt: Mapping[str, Any], public_key: Ed25519PublicKey) -> dict[str, Any]:
    """What a receipt says, checked with nothing but the public key. Raises `ReceiptInvalid`."""
    try:
        return jws.verify(receipt, TYPE, public_key)
    except jws.SignatureInvalid as error:
        raise ReceiptInvalid(str(error)) from None
