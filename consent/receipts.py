"""Receipts: what a person was told is recorded, signed, so that they can prove it later.

They have the fields of ISO/IEC TS 27560 in the shape of the W3C's receipt profile for it (DPV, "Consent Records and Receipts"). A receipt
holds no identifier and no lookup pseudonym: what stands for the person differs from receipt to receipt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent.errors import ReceiptInvalid
from consent.models import Circumstances
from consent.purposes import RULE_SHA256, RULE_VERSION
from consent.signals import DECODER
from tacit.core import jws
from tacit.core.clock import iso
from tacit.core.rootkey import RootKey

TYPE = "tacit-receipt+json"
PROOF_TYPE = "tacit-rights+json"
SCHEMA = "tacit-receipt 2"
PROFILE = "dpv-27560:receipt-eu-gdpr"
WITHDRAW = "POST /v1/consents/withdraw"

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
        """The receipt that says `payload`. The same payload always has the same signature (Ed25519, RFC 8032)."""
        return jws.sign(payload, TYPE, self._key)

    def prove(self, payload: Mapping[str, Any]) -> Receipt:
        """The proof that says what was done about a rights request."""
        return jws.sign(payload, PROOF_TYPE, self._key)

    def verify(self, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """What a receipt of this installation says. Raises `ReceiptInvalid`."""
        return verify(receipt, self._public)


def verify(receipt: Mapping[str, Any], public_key: Ed25519PublicKey, *, kind: str = TYPE) -> dict[str, Any]:
    """What a receipt, or a proof, says, checked with nothing but the public key. Raises `ReceiptInvalid`."""
    try:
        return jws.verify(receipt, kind, public_key)
    except jws.SignatureInvalid as error:
        raise ReceiptInvalid(str(error)) from None


def payload(
    receipt_id: str,
    site: str,
    decisions: Sequence[Mapping[str, Any]],
    how: Circumstances,
    *,
    who: bytes,
    notice: Mapping[str, Any] | None,
    controller: Mapping[str, str] | None,
    now_ms: int,
) -> dict[str, Any]:
    """What a receipt says: who (for this receipt alone), when, what, on which notice and rules, how, and how to take it back.

    `notice` is the notice of `how` with whether its very text is registered.
    """
    circumstances = how.to_json()
    circumstances["signals"] = {**circumstances["signals"], "decoder": DECODER}
    return {
        "schema_version": SCHEMA,
        "profile": PROFILE,
        "receipt_id": receipt_id,
        "pii_principal_id": who.hex(),
        "site": site,
        "controller": dict(controller) if controller else None,
        "at": iso(now_ms),
        "decisions": list(decisions),
        "language": how.notice.locale if how.notice else None,
        "rule_version": RULE_VERSION,
        "rule_sha256": RULE_SHA256,
        "recipients": [],
        "withdraw": WITHDRAW,
        "evidence": {"log": "/v1/evidence/checkpoint", "by": "the commitment of each decision"},
        **circumstances,
        "notice": dict(notice) if notice else None,
    }
