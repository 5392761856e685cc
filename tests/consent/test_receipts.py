"""A receipt proves what was recorded, to anybody with the public key, and nothing once a character of it has changed."""

from __future__ import annotations

import base64
import json
import string

import pytest

from consent.errors import ReceiptInvalid
from consent.receipts import Receipts, verify
from tacit.core.evidence import canonical
from tacit.core.rootkey import RootKey
from tests.consent.support import CANARY, NOTICE, SITE, Room, asking


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def test_a_receipt_says_what_was_recorded_and_not_of_whom(here: Room) -> None:
    receipt = here.service.record(SITE, asking(measurement=True))
    said = verify(receipt, here.receipts.public_key)
    assert said["notice"] == NOTICE.to_json() | {"registered": False}
    assert said["receipt_id"].startswith("rcpt_")
    assert said["decisions"][0]["basis"] == "GDPR Art. 6(1)(a)"
    assert CANARY not in json.dumps(said)
    assert here.subjects.pseudonym(SITE, "user", CANARY).hex() not in json.dumps(said)
    assert json.loads(base64.urlsafe_b64decode(receipt["protected"] + "=="))["typ"] == "tacit-receipt+json"


def test_any_changed_character_fails(here: Room) -> None:
    receipt = here.service.record(SITE, asking(measurement=True))
    alphabet = string.ascii_letters + string.digits + "-_=.+/ "
    for member, text in receipt.items():
        for position in range(len(text)):
            # The last character has unused bits: every other value of it is tried.
            others = alphabet if position == len(text) - 1 else alphabet[(alphabet.index(text[position]) + 1) % 64]
            for other in others:
                if other != text[position]:
                    changed = {**receipt, member: text[:position] + other + text[position + 1 :]}
                    with pytest.raises(ReceiptInvalid):
                        here.receipts.verify(changed)
        for changed_text in (text[:-1], text + "A", text + "=", "", text + "\n"):
            with pytest.raises(ReceiptInvalid):
                here.receipts.verify({**receipt, member: changed_text})


def test_members_missing_added_or_of_another_kind_fail(here: Room) -> None:
    receipt = here.receipts.sign({"a": 1})
    for changed in ({}, {**receipt, "header": "x"}, {k: v for k, v in receipt.items() if k != "payload"}, {**receipt, "payload": 1}):
        with pytest.raises(ReceiptInvalid):
            here.receipts.verify(changed)


def test_another_installation_s_receipt_fails(here: Room) -> None:
    with pytest.raises(ReceiptInvalid):
        here.receipts.verify(Receipts(RootKey(b"y" * 32)).sign({"a": 1}))


@pytest.mark.parametrize("header", [{"alg": "EdDSA", "typ": "tacit-bundle+json"}, {"alg": "none", "typ": "tacit-receipt+json"}, ["x"], 1])
def test_something_else_signed_with_the_same_key_is_no_receipt(here: Room, header: object) -> None:
    protected, payload = _encode(canonical(header)), _encode(canonical({"a": 1}))
    signature = RootKey(b"r" * 32).signing_key().sign(f"{protected}.{payload}".encode())
    with pytest.raises(ReceiptInvalid):
        here.receipts.verify({"protected": protected, "payload": payload, "signature": _encode(signature)})
