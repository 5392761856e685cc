"""One segment file of sealed frames: written by one process, read by the sanitiser.

A frame is `length u32, check u32, ciphertext`, AES-256-GCM. Each segment has a subkey of its own (HKDF of the window key and the segment's
random id) and its frame numbers are the nonces, so a nonce cannot repeat: not after a crash or a fork (a new segment), and not after a
failed write (the segment is given up). `check` binds length, number and segment, so a frame that was cut short is told from a damaged one.
"""

from __future__ import annotations

import os
import secrets
import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.errors import StagingCorrupt
from ingest.rows import SIZE
from tacit.core.mac import derive

SUFFIX = ".seg"
MAX_ROWS = 20_000
"""Rows in one frame; a larger batch goes into several."""

_HEADER = struct.Struct("<II")
_NUMBER = struct.Struct(">Q")
_NUMBERS = 2**32
_TAG = 16


class Segment:
    """The writing end. Any failure makes it unusable; its owner opens another."""

    __slots__ = ("_cipher", "_frames", "_handle", "_id", "_offset", "retired", "window_start")

    def __init__(self, directory: Path, window_start: int, window_key: bytes) -> None:
        self.window_start = window_start
        self.retired = False
        self._id = secrets.token_bytes(16)
        self._cipher = _cipher(window_key, self._id)
        self._frames = self._offset = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._handle = os.open(directory / f"{self._id.hex()}{SUFFIX}", flags, 0o600)

    def write(self, rows: bytes | bytearray) -> None:
        """Append rows, all or nothing. Raises `OSError`; the segment must not be written to again after that."""
        parts = []
        for at in range(0, len(rows), MAX_ROWS * SIZE):
            number = self._frames
            if number >= _NUMBERS:
                raise OSError("the segment is full")
            self._frames = number + 1  # before sealing: whatever happens next, this number is used up
            sealed = self._cipher.encrypt(_nonce(number), bytes(rows[at : at + MAX_ROWS * SIZE]), _bound(self._id, number))
            parts.append(_HEADER.pack(len(sealed), _check(self._id, number, len(sealed))))
            parts.append(sealed)
        content = b"".join(parts)
        written = os.write(self._handle, content)
        while written < len(content):  # a short write is how a disk says that it is about to be full
            more = os.write(self._handle, content[written:])
            if not more:
                raise OSError("nothing could be written")
            written += more
        self._offset += written

    def truncate(self) -> None:
        """Cut what a failed write left behind."""
        os.ftruncate(self._handle, self._offset)

    def sync(self) -> None:
        """Bring all rows to the disk. Raises `OSError`."""
        os.fdatasync(self._handle)

    def close(self) -> None:
        """Give the file back. Safe to repeat."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def blocks(path: Path, window_key: bytes) -> Iterator[bytes]:
    """The packed rows of one segment, frame by frame, up to a frame that was never finished. Raises `StagingCorrupt`."""
    content = path.read_bytes()
    identity = bytes.fromhex(path.stem)
    cipher = _cipher(window_key, identity)
    offset = number = 0
    view = memoryview(content)
    while offset + _HEADER.size <= len(content):
        length, check = _HEADER.unpack_from(content, offset)
        if check != _check(identity, number, length):
            if not any(view[offset:]):
                return  # a power cut can leave a file longer than what was written
            raise StagingCorrupt()
        start = offset + _HEADER.size
        if start + length > len(content):
            return
        try:
            rows = cipher.decrypt(_nonce(number), view[start : start + length], _bound(identity, number))
        except InvalidTag as error:
            raise StagingCorrupt() from error
        if len(rows) % SIZE:
            raise StagingCorrupt()
        yield rows
        offset, number = start + length, number + 1


def _cipher(window_key: bytes, identity: bytes) -> AESGCM:
    return AESGCM(derive(window_key, f"segment {identity.hex()}"))


def _nonce(number: int) -> bytes:
    return b"\0\0\0\0" + _NUMBER.pack(number)


def _bound(identity: bytes, number: int) -> bytes:
    return identity + _NUMBER.pack(number)


def _check(identity: bytes, number: int, length: int) -> int:
    return crc32(b"%b%d %d" % (identity, number, length))
