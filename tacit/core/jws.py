"""Signed JSON: flattened JWS (RFC 7515) with `alg: EdDSA` (RFC 8037) over canonical JSON (RFC 8785). Any changed character fails.

One key signs everything of an installation; `typ` keeps the kinds apart, so that a receipt can never pass as a bundle.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tacit.core.evidence import canonical

Signed = dict[str, str]
"""`{"payload", "protected", "signature"}`, each base64url without padding."""

_PARTS = {"payload", "protected", "signature"}


class SignatureInvalid(ValueError):
    """It was not signed by this key as this kind of thing; the message says which and holds nothing of the content."""


def sign(payload: Mapping[str, Any], kind: str, key: Ed25519PrivateKey) -> Signed:
    """`payload` signed as a `kind`, the JWS header's `typ`."""
    protected = _encode(canonical({"alg": "EdDSA", "kid": thumbprint(key.public_key()), "typ": kind}))
    body = _encode(canonical(payload))
    return {"payload": body, "protected": protected, "signature": _encode(key.sign(f"{protected}.{body}".encode()))}


def verify(signed: object, kind: str, key: Ed25519PublicKey) -> dict[str, Any]:
    """What was signed as a `kind`, checked with nothing but the public key. Raises `SignatureInvalid`."""
    if not isinstance(signed, Mapping) or set(signed) != _PARTS or not all(isinstance(part, str) for part in signed.values()):
        raise SignatureInvalid("it does not have exactly the members payload, protected and signature")
    try:
        header = json.loads(_decode(signed["protected"]))
        key.verify(_decode(signed["signature"]), f"{signed['protected']}.{signed['payload']}".encode())
        payload = json.loads(_decode(signed["payload"]))
    except InvalidSignature:
        raise SignatureInvalid("its signature does not fit") from None
    except (ValueError, RecursionError):
        raise SignatureInvalid("it cannot be read") from None
    if not isinstance(header, dict) or header.get("alg") != "EdDSA" or header.get("typ") != kind or not isinstance(payload, dict):
        raise SignatureInvalid("it was signed as something else")
    return payload


def jwk(key: Ed25519PublicKey) -> dict[str, str]:
    """The public key's required JWK members (RFC 8037)."""
    return {"crv": "Ed25519", "kty": "OKP", "x": _encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}


def thumbprint(key: Ed25519PublicKey) -> str:
    """The key's id: its JWK thumbprint (RFC 7638)."""
    return _encode(hashlib.sha256(canonical(jwk(key))).digest())


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
