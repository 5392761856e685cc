"""Signed notes (c2sp.org/signed-note), the checkpoints in them (c2sp.org/tlog-checkpoint), and witnesses' cosignatures
(c2sp.org/tlog-cosignature, the Ed25519 kind). A key is known by its name and by the first four bytes of a hash over name and key.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit.evidence_errors import EvidenceDamaged, KeyRefused, NoteRefused

LOG, WITNESS = 0x01, 0x04
"""Signature types: Ed25519 over a note's text, and Ed25519 over the text with a time before it."""
LIMIT_BYTES, LIMIT_SIGNATURES = 64 * 1024, 64

_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_MARK = "— "


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's head: whose log, how many entries, and the root hash over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note's text: three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Line:
    """One signature line of a note; `blob` is what follows the key id."""

    name: str
    key_id: bytes
    blob: bytes

    def __str__(self) -> str:
        return f"{_MARK}{self.name} {base64.b64encode(self.key_id + self.blob).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note's text and its signature lines, none of them checked yet."""

    text: str
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.lines))}"

    def checkpoint(self) -> Checkpoint:
        """The checkpoint in the text. Raises `NoteRefused`."""
        parts = self.text.split("\n")
        if len(parts) < 4 or not _NUMBER.fullmatch(parts[1]) or not parts[0]:
            raise NoteRefused("its text is not origin, size and root hash on a line each")
        root = _decode(parts[2])
        if root is None or len(root) != 32:
            raise NoteRefused("its root hash is not 32 bytes in base64")
        return Checkpoint(parts[0], int(parts[1]), root)


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a key: what its signatures are checked with."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """A key from `name+key id+base64`. Raises `KeyRefused`."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        material = _decode(encoded)
        if not _NAME.fullmatch(name) or material is None or len(material) != 33 or material[0] not in (LOG, WITNESS):
            raise KeyRefused("it is not name+key id+base64 of an Ed25519 key")
        found = cls(name, material[0], material[1:])
        if found.key_id.hex() != key_id:
            raise KeyRefused("its key id is not that of the key")
        return found

    @property
    def key_id(self) -> bytes:
        """Four bytes that name the key in a signature line."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    def line_of(self, note: Note) -> Line | None:
        """This key's signature under the note, checked; nothing when it has none. Raises `NoteRefused` for one that does not fit."""
        found = None
        for line in note.lines:
            if line.name == self.name and line.key_id == self.key_id:
                self._check(note.text, line.blob)
                found = found or line
        return found

    def _check(self, text: str, blob: bytes) -> None:
        message = text.encode()
        if self.kind == WITNESS:
            if len(blob) != 72 or blob[0] > 127:
                raise NoteRefused("a cosignature has a time of eight bytes and a signature of 64")
            message, blob = cosigned(text, int.from_bytes(blob[:8], "big")), blob[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(blob, message)
        except (InvalidSignature, ValueError):
            raise NoteRefused("a signature under it does not fit") from None


class Signer:
    """Signs checkpoints as a log, or as a witness."""

    def __init__(self, name: str, key: Ed25519PrivateKey, kind: int = LOG) -> None:
        self._key = key
        self.verifier = VerifierKey(name, kind, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def line(self, text: str, *, at_seconds: int = 0) -> Line:
        """The signature line for a note's text; a witness says when it signed."""
        message, before = text.encode(), b""
        if self.verifier.kind == WITNESS:
            message, before = cosigned(text, at_seconds), at_seconds.to_bytes(8, "big")
        return Line(self.verifier.name, self.verifier.key_id, before + self._key.sign(message))


def checkpoint_of(note: Note, key: VerifierKey) -> Checkpoint:
    """The checkpoint in a note that the log with this key has signed. Raises `NoteRefused`."""
    if key.line_of(note) is None:
        raise NoteRefused("it is not signed with this key")
    found = note.checkpoint()
    if found.origin != key.name:
        raise NoteRefused("it belongs to another log")
    return found


def expect(roots: dict[int, bytes], checkpoint: Checkpoint) -> None:
    """Add what a checkpoint says. Raises `EvidenceDamaged` where another one says differently of the same size."""
    if roots.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
        raise EvidenceDamaged(0, f"two checkpoints of size {checkpoint.size} were signed with different roots")


def cosigned(text: str, at_seconds: int) -> bytes:
    """What a witness signs of a checkpoint."""
    return f"cosignature/v1\ntime {at_seconds}\n{text}".encode()


def parse(content: bytes) -> Note:
    """A note in its parts. Raises `NoteRefused`."""
    if len(content) > LIMIT_BYTES:
        raise NoteRefused("it is longer than 64 KiB")
    try:
        whole = content.decode()
    except UnicodeDecodeError:
        raise NoteRefused("it is not UTF-8") from None
    text, gap, signed = whole.rpartition("\n\n")
    if not gap or not text or not signed.endswith("\n") or any(c < " " and c != "\n" for c in whole):
        raise NoteRefused("it is not a text, an empty line and signature lines")
    lines = tuple(_lines(signed[:-1].split("\n")))
    return Note(text + "\n", lines)


def _lines(texts: list[str]) -> Iterable[Line]:
    if len(texts) > LIMIT_SIGNATURES:
        raise NoteRefused("it has too many signatures")
    for text in texts:
        name, _, encoded = text.removeprefix(_MARK).partition(" ")
        blob = _decode(encoded)
        if not text.startswith(_MARK) or not _NAME.fullmatch(name) or blob is None or len(blob) < 5:
            raise NoteRefused("one of its signature lines cannot be read")
        yield Line(name, blob[:4], blob[4:])


def _decode(text: str) -> bytes | None:
    """Standard base64 in its only canonical spelling."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if base64.b64encode(content).decode() == text else None
