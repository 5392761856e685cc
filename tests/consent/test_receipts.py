"""A receipt proves what was recorded, to anybody with the public key, and nothing once a character of it has changed."""

from __future__ import annotations

import base64
import json
import string
from dataclasses import replace

import pytest
from sqlalchemy import select

from consent.errors import ReceiptInvalid, ReceiptUnknown
from consent.models import Signals
from consent.receipts import Receipts, verify
from consent.records import commitment
from consent.signals import DECODER
from consent.tables import consent_records
from tacit.core.clock import from_iso
from tacit.core.db import reading
from tacit.core.evidence import canonical
from tacit.core.rootkey import RootKey
from tests.consent.support import CANARY, NOTICE, SITE, Room, asking, tcf


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


FIELDS_OF_27560 = {
    *("schema_version", "profile", "receipt_id", "pii_principal_id", "controller", "at", "client_at", "decisions", "language", "notice"),
    *("method", "jurisdiction", "signals", "rule_version", "rule_sha256", "recipients", "withdraw", "evidence", "age_band", "site"),
}


def test_a_receipt_has_the_fields_of_the_standard(here: Room) -> None:
    request = replace(asking(measurement=True), signals=Signals(tcf=tcf(8, 9), gpc=False), client_at_ms=here.clock.at_ms - 5)
    said = here.receipts.verify(here.service.record(SITE, request))
    assert set(said) == FIELDS_OF_27560
    assert said["profile"] == "dpv-27560:receipt-eu-gdpr"
    assert said["language"] == NOTICE.locale
    assert said["signals"] == {"tcf": tcf(8, 9), "gpp": None, "gpc": False, "decoder": DECODER}
    assert from_iso(said["at"]) - from_iso(said["client_at"]) == 5
    (decision,) = said["decisions"]
    assert {"purpose", "title", "description", "basis", "state", "reason", "expires_at", "commitment", "held"} == set(decision)


def test_two_receipts_of_a_person_have_nothing_in_common_that_tells_so(here: Room) -> None:
    first, second = (here.receipts.verify(here.service.record(SITE, asking(measurement=True))) for _ in range(2))
    assert first["pii_principal_id"] != second["pii_principal_id"]
    lookup = here.subjects.pseudonym(SITE, "user", CANARY).hex()
    assert not {first["pii_principal_id"], second["pii_principal_id"]} & {lookup, lookup[:32]}


def test_a_receipt_is_answered_again_word_for_word_with_its_place_in_evidence(here: Room) -> None:
    receipt = here.service.record(SITE, asking(measurement=True, personalisation=False))
    said = here.receipts.verify(receipt)
    again = here.service.receipt(SITE, "user", CANARY, said["receipt_id"])
    assert again["receipt"] == receipt
    assert [one["index"] for one in again["evidence"]] == [None, None]
    assert [one["commitment"] for one in again["evidence"]] == [one["commitment"] for one in said["decisions"]]
    here.service.set_evidence({seq: 40 + n for n, (seq, _) in enumerate(here.service.pending_evidence(10))})
    again = here.service.receipt(SITE, "user", CANARY, said["receipt_id"])
    assert [(one["purpose"], one["index"], one["inclusion"]) for one in again["evidence"]] == [
        ("measurement", 40, None),
        ("personalisation", 41, None),
    ]


@pytest.mark.parametrize(
    ("site", "id_type", "subject"), [("other", "user", CANARY), (SITE, "email", CANARY), (SITE, "user", "somebody else")]
)
def test_a_receipt_is_answered_to_its_own_person_only(here: Room, site: str, id_type: str, subject: str) -> None:
    said = here.receipts.verify(here.service.record(SITE, asking(measurement=True)))
    here.service.record(SITE, asking("somebody else"))
    with pytest.raises(ReceiptUnknown):
        here.service.receipt(site, id_type, subject, said["receipt_id"])


def test_a_commitment_covers_who_and_what_and_not_the_key_that_finds_the_person(here: Room) -> None:
    here.service.record(SITE, asking(measurement=True))
    with reading(here.engine) as connection:
        record = dict(connection.execute(select(consent_records)).one()._mapping)
    committed = commitment(record)
    assert commitment(record | {"pseudonym": b"x" * 32}) == committed
    for name in ("who", "state", "at_ms", "notice", "signals", "client_at_ms", "receipt_id", "rule_version", "expires_ms"):
        changed = b"x" * 16 if name == "who" else 1 if name.endswith("_ms") else "x"
        assert commitment(record | {name: changed}) != committed, name
    old = record | {"who": None}
    assert commitment(old | {"pseudonym": b"x" * 32}) != commitment(old), "records from before had the pseudonym in it"
