"""Notes as c2sp.org writes them: what others signed is accepted, and any changed character is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import notes
from audit.evidence_errors import KeyRefused, NoteRefused
from audit.notes import Checkpoint, Signer, VerifierKey
from tests.audit.evidence import KEY, ORIGIN, WATCHER

GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The example in the documentation of golang.org/x/mod/sumdb/note."""
HEAD = Checkpoint(ORIGIN, 20852163, bytes(range(32)))
LOG = Signer(ORIGIN, KEY)


def signed(*signers: Signer) -> bytes:
    text = HEAD.text()
    return str(notes.Note(text, tuple(signer.line(text, at_seconds=1_679_315_147) for signer in signers))).encode()


def test_a_note_that_somebody_else_signed_is_accepted() -> None:
    key = VerifierKey.parse(GO_KEY + "\n")
    assert str(key) == GO_KEY
    assert key.line_of(notes.parse(GO_NOTE.encode())) is not None
    with pytest.raises(NoteRefused):
        key.line_of(notes.parse(GO_NOTE.replace("don't", "do").encode()))


def test_a_checkpoint_with_a_cosignature_reads_back() -> None:
    note = notes.parse(signed(LOG, WATCHER))
    assert str(note).encode() == signed(LOG, WATCHER)
    assert notes.checkpoint_of(note, LOG.verifier) == HEAD
    line = WATCHER.verifier.line_of(note)
    assert line is not None
    assert int.from_bytes(line.blob[:8], "big") == 1_679_315_147
    assert WATCHER.verifier.line_of(notes.parse(signed(LOG))) is None
    assert notes.cosigned(HEAD.text(), 7).decode().split("\n")[:3] == ["cosignature/v1", "time 7", ORIGIN]


@given(st.data())
def test_any_flipped_bit_of_a_signed_checkpoint_is_refused(data: st.DataObject) -> None:
    content = bytearray(signed(LOG, WATCHER))
    place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    content[place] ^= 1 << bit
    try:
        note = notes.parse(bytes(content))
        both = [LOG.verifier.line_of(note), WATCHER.verifier.line_of(note)]
    except NoteRefused:
        return
    # a flipped name or key id is that of a key that nobody knows: its line counts for nothing
    assert None in both


def test_base64_has_one_spelling() -> None:
    """The last character before the padding has bits that say nothing; another one there is another text for the same bytes."""
    content = signed(LOG).decode()
    root = content.split("\n")[2]
    assert root.endswith("8=")
    other = content.replace(root, root[:-2] + "9=")
    with pytest.raises(NoteRefused, match="root hash"):
        notes.parse(other.encode()).checkpoint()
    line = content.split("\n")[4]
    assert line.endswith("=")
    near = line[:-2] + chr(ord(line[-2]) + 1) + "="
    with pytest.raises(NoteRefused, match="signature lines"):
        notes.parse(content.replace(line, near).encode())


def test_a_key_is_not_another_logs_key() -> None:
    with pytest.raises(NoteRefused, match="not signed with this key"):
        notes.checkpoint_of(notes.parse(signed(WATCHER)), LOG.verifier)
    foreign = Checkpoint("elsewhere.example", 1, bytes(32)).text()
    with pytest.raises(NoteRefused, match="another log"):
        notes.checkpoint_of(notes.Note(foreign, (LOG.line(foreign),)), LOG.verifier)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n\xe2\x80\x94 name notbase64\n",
        b"text\n\n\xe2\x80\x94 name AAAA\n",
        b"text\n\n- name AAAAAAAA\n",
        b"text\n\n\xe2\x80\x94 na+me AAAAAAAA\n",
        b"text\n\n\xe2\x80\x94 name AAAAAAAA",
        b"te\x00xt\n\n\xe2\x80\x94 name AAAAAAAA\n",
        b"\xff\n\n\xe2\x80\x94 name AAAAAAAA\n",
        b"x" * 70_000,
        b"text\n\n" + b"\xe2\x80\x94 name AAAAAAAA\n" * 65,
    ],
)
def test_what_is_no_note_is_refused(content: bytes) -> None:
    with pytest.raises(NoteRefused):
        notes.parse(content)


@pytest.mark.parametrize(
    "text", ["a\n", "a\n01\n" + "A" * 43 + "=\n", "a\n1\nAAAA\n", "\n1\n" + "A" * 43 + "=\n", "a\n-1\n" + "A" * 43 + "=\n"]
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteRefused):
        notes.Note(text, ()).checkpoint()


@pytest.mark.parametrize(
    "text", ["", "name", GO_KEY.replace("c74f20a3", "c74f20a4"), GO_KEY.replace("Peter", "Pet er"), GO_KEY[:-4], GO_KEY + "A"]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(KeyRefused):
        VerifierKey.parse(text)
