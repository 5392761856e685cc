"""Receipts: what a person was told is recorded, signed, so that they can prove it later. Any changed character fails.

A receipt is a flattened JWS (RFC 7515) with `alg: EdDSA` (RFC 8037) over canonical JSON. Its `typ` keeps it apart from everything else
that the same key signs. It holds no identifier and no pseudonym.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consent.errors import ReceiptInvalid
from tacit.core.evidence import canonical
from tacit.core.rootkey import RootKey

TYPE = "tacit-receipt+json"

Receipt = dict[str, str]
"""`{"protected", "payload", "signature"}`, each base64url without padding."""


class Receipts:
    """Signs and checks the receipts of one installation."""

    def __init__(self, root: RootKey) -> None:
        self._key = root.signing_key()
        self._public = self._key.public_key()
        header = {"alg": "EdDSA", "kid": thumbprint(self._public), "typ": TYPE}
        self._protected = _encode(canonical(header))

    @property
    def public_key(self) -> Ed25519PublicKey:
        """What others check receipts with."""
        return self._public

    def sign(self, payload: Mapping[str, Any]) -> Receipt:
        """The receipt that says `payload`."""
        body = _encode(canonical(payload))
        signature = self._key.sign(f"{self._protected}.{body}".encode())
        return {"payload": body, "protected": self._protected, "signature": _encode(signature)}

    def verify(self, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """What a receipt of this installation says. Raises `ReceiptInvalid`."""
        return verify(receipt, self._public)


def verify(receipt: Mapping[str, Any], public_key: Ed25519PublicKey) -> dict[str, Any]:
    """What a receipt says, checked with nothing but the public key. Raises `ReceiptInvalid`."""
    if set(receipt) != {"payload", "protected", "signature"} or not all(isinstance(part, str) for part in receipt.values()):
        raise ReceiptInvalid("it does not have exactly the members payload, protected and signature")
    try:
        header = json.loads(_decode(receipt["protected"]))
        signature = _decode(receipt["signature"])
        public_key.verify(signature, f"{receipt['protected']}.{receipt['payload']}".encode())
        payload = json.loads(_decode(receipt["payload"]))
    except InvalidSignature:
        raise ReceiptInvalid("its signature does not fit") from None
    except (ValueError, RecursionError):
        raise ReceiptInvalid("it cannot be read") from None
    if not isinstance(header, dict) or header.get("alg") != "EdDSA" or header.get("typ") != TYPE or not isinstance(payload, dict):
        raise ReceiptInvalid("it was signed as something else")
    return payload


def thumbprint(public_key: Ed25519PublicKey) -> str:
    """The key's id: its JWK thumbprint (RFC 7638, with the members of RFC 8037 appendix A.3)."""
    x = _encode(public_key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return _encode(hashlib.sha256(canonical({"crv": "Ed25519", "kty": "OKP", "x": x})).digest())


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        content = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if _encode(content) != text:  # unused bits of the last character would otherwise be free to change
        raise ValueError("not the canonical base64url")
    return content
