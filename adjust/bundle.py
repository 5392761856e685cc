"""The signed bundle: canonical JSON (RFC 8785) in a flattened JWS (RFC 7515, EdDSA). Every decision of a site is taken from it.

Weights are 16-bit cumulative: an arm's probability is its step divided by 65535, so that every reader in every language agrees exactly. Cells
whose weights equal the policy's default are left out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from adjust.errors import BundleInvalid
from tacit.core.clock import iso
from tacit.core.declaration import Policy
from tacit.core.evidence import canonical

FULL = 65_535
TYPE = "tacit-bundle+json"


def cumulative(weights: Sequence[float]) -> list[int]:
    """Probabilities as 16-bit cumulative weights; the last is always 65535 and no step is negative."""
    total, running = sum(weights), 0.0
    steps: list[int] = []
    for weight in weights:
        running += max(weight, 0.0)
        steps.append(min(FULL, round(FULL * running / total)) if total > 0 else round(FULL * (len(steps) + 1) / len(weights)))
    steps[-1] = FULL
    return steps


def policy_entry(policy: Policy, default: Sequence[float], cells: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """One policy's part of the payload."""
    usual = cumulative(default)
    return {
        "zone": policy.zone,
        "arms": {name: dict(parameters) for name, parameters in policy.arms.items()},
        "trigger": policy.trigger,
        "context": {d.name: list(d.values) for d in policy.context},
        "weights": {cell: steps for cell, weights in sorted(cells.items()) if (steps := cumulative(weights)) != usual},
        "default": usual,
        "holdout": policy.holdout,
        "explore": policy.explore,
    }


def payload(
    site: str, version: int, published_ms: int, releases: Sequence[str], policies: Mapping[str, Mapping[str, Any]], salt: str
) -> dict[str, Any]:
    """The whole payload."""
    return {
        "site": site,
        "version": version,
        "published_at": iso(published_ms),
        "releases": list(releases),
        "policies": dict(policies),
        "salt": salt,
    }


def sign(content: Mapping[str, Any], key: Ed25519PrivateKey) -> str:
    """The flattened JWS of a payload."""
    protected = _encode(canonical({"alg": "EdDSA", "typ": TYPE, "kid": key_id(key.public_key())}))
    body = _encode(canonical(content))
    signature = _encode(key.sign(f"{protected}.{body}".encode()))
    return json.dumps({"protected": protected, "payload": body, "signature": signature})


def verify(jws: str, key: Ed25519PublicKey) -> dict[str, Any]:
    """The payload of a bundle whose signature holds. Raises `BundleInvalid` for anything else."""
    try:
        parts = json.loads(jws)
        protected = json.loads(_decode(parts["protected"]))
        if protected.get("alg") != "EdDSA" or protected.get("typ") != TYPE:
            raise BundleInvalid("it is not a signed bundle")
        key.verify(_decode(parts["signature"]), f"{parts['protected']}.{parts['payload']}".encode())
        return dict(json.loads(_decode(parts["payload"])))
    except (InvalidSignature, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleInvalid("the signature does not hold") from error


def jwks(key: Ed25519PublicKey) -> dict[str, Any]:
    """The public key as a JSON Web Key Set (RFC 7517, RFC 8037)."""
    return {
        "keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key_id(key), "x": _encode(key.public_bytes_raw())}]
    }


def key_id(key: Ed25519PublicKey) -> str:
    """RFC 7638 thumbprint."""
    import hashlib

    return _encode(hashlib.sha256(canonical({"crv": "Ed25519", "kty": "OKP", "x": _encode(key.public_bytes_raw())})).digest())


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
