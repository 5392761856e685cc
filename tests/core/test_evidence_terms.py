"""The key `evidence` of tacit.yaml: what it says, and what is refused with the path of its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.core import configuration
from tacit.core.errors import ConfigurationInvalid
from tacit.core.evidence_terms import AnchorTerms, EvidenceTerms
from tests.audit.evidence import WATCHER
from tests.conftest import NEWSROOM

WITNESS = str(WATCHER.verifier)


def terms(text: str) -> EvidenceTerms:
    return configuration.parse(f"evidence: {text}\n{NEWSROOM}").evidence


def test_without_the_key_nothing_is_public_and_nothing_is_anchored() -> None:
    assert configuration.parse(NEWSROOM).evidence == EvidenceTerms(origin=None, public=False, witnesses=(), anchor=None)


def test_all_of_it_is_read() -> None:
    anchor = "{every: 6h, folder: /mnt/a, mail: [a@example.org], webhook: 'https://example.org/x'}"
    found = terms(f"{{origin: example.org/log, public: true, witnesses: ['{WITNESS}'], anchor: {anchor}}}")
    assert found.anchor == AnchorTerms(6 * 3_600_000, Path("/mnt/a"), ("a@example.org",), "https://example.org/x")
    assert (found.origin, found.public, found.witnesses) == ("example.org/log", True, (WITNESS,))
    assert terms("{anchor: {folder: a}}").anchor == AnchorTerms(86_400_000, Path("a"))
    assert terms("{anchor: {webhook: 'http://127.0.0.1:9/x'}}").anchor is not None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{origin: 'two words'}", "evidence.origin"),
        ("{origin: 'a+b'}", "evidence.origin"),
        ("{origin: ''}", "evidence.origin"),
        ("{public: perhaps}", "evidence.public"),
        (f"{{witnesses: ['{WITNESS[:-4]}AAA=']}}", "evidence.witnesses.0"),
        ("{witnesses: ['PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW']}", "evidence.witnesses.0"),
        ("{anchor: {}}", "evidence.anchor"),
        ("{anchor: {every: 1d}}", "evidence.anchor"),
        ("{anchor: {every: often, folder: a}}", "evidence.anchor.every"),
        ("{anchor: {webhook: 'http://example.org/'}}", "evidence.anchor.webhook"),
        ("{anchor: {webhook: 'https://user:word@example.org/'}}", "evidence.anchor.webhook"),
        ("{anchor: {webhook: 'https://[::1/'}}", "evidence.anchor.webhook"),
        ("{anchor: {mail: []}}", "evidence.anchor"),
        ("{anchor: {mail: ['a@b, c@d']}}", "evidence.anchor.mail.0"),
        ('{anchor: {mail: ["a@b\\nBcc: c@d"]}}', "evidence.anchor.mail.0"),
        ("{anchor: {mail: {to: a@b}}}", "evidence.anchor.mail"),
        ("{signed: true}", "evidence.signed"),
    ],
)
def test_a_fault_is_named_by_its_path(text: str, path: str) -> None:
    with pytest.raises(ConfigurationInvalid) as found:
        terms(text)
    assert [fault["path"] for fault in found.value.errors] == [path]
