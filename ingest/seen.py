"""Messages of windows that are closed already, so that a client's later retry counts nothing twice.

One sealed file a window holds the windows' message hashes and nothing else of its rows; the key is the epoch's, so the file is unreadable
once the epoch's key is destroyed. Files go after a day, the longest that an event may be old.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.custody import Custody
from ingest.errors import EpochKeyLost, StagingCorrupt
from tacit.core.declaration import Declaration
from tacit.core.errors import StorageUnavailable
from tacit.core.mac import derive
from tacit.core.rootkey import write_private

KEPT_MS = 24 * 3_600_000
HASH_BYTES = 8


class SeenMessages:
    """`<site>/seen/<window start>` files."""

    def __init__(self, directory: Path, custody: Custody, declaration: Declaration) -> None:
        self._directory, self._custody, self._declaration = directory, custody, declaration

    def record(self, site: str, window_start: int, messages: bytes) -> None:
        """Keep the joined message hashes of a window, once: a repeat after a crash finds fewer rows and changes nothing."""
        path = self._path(site, window_start)
        if not messages or path.exists():
            return
        try:
            cipher = self._cipher(site, window_start)
        except EpochKeyLost:
            return
        nonce = secrets.token_bytes(12)
        content = nonce + cipher.encrypt(nonce, messages, path.name.encode())
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._sweep(path.parent)
            write_private(path, content)
            if path.stat().st_size != len(content):
                path.unlink()
                raise StorageUnavailable("the disk is full")
            handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise StorageUnavailable("the seen messages cannot be kept") from error

    def before(self, site: str, window_start: int) -> Iterator[bytes]:
        """The joined hashes of the epoch's earlier windows, newest first, back to a day before. Raises `StagingCorrupt`."""
        epoch_ms = self._declaration.sites[site].privacy.epoch_of(window_start)
        for start in sorted(self._starts(site), reverse=True):
            if max(epoch_ms, window_start - KEPT_MS) <= start < window_start:
                with suppress(EpochKeyLost):
                    yield self._read(site, start)

    def prune(self, site: str, before_ms: int) -> None:
        """Delete the files of windows that started earlier."""
        for start in self._starts(site):
            if start < before_ms:
                self._path(site, start).unlink(missing_ok=True)

    def _read(self, site: str, window_start: int) -> bytes:
        path = self._path(site, window_start)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return b""
        try:
            return self._cipher(site, window_start).decrypt(content[:12], content[12:], path.name.encode())
        except (InvalidTag, ValueError) as error:
            raise StagingCorrupt("the list of seen messages is damaged") from error

    def _cipher(self, site: str, window_start: int) -> AESGCM:
        start_ms, end_ms = self._declaration.sites[site].privacy.span_of(window_start)
        return AESGCM(derive(self._custody.epoch_secret(site, start_ms, end_ms), "seen messages"))

    def _path(self, site: str, window_start: int) -> Path:
        return self._directory / site / "seen" / str(window_start)

    def _starts(self, site: str) -> list[int]:
        here = self._directory / site / "seen"
        return [int(p.name) for p in here.iterdir() if p.name.isdigit()] if here.is_dir() else []

    def _sweep(self, directory: Path) -> None:
        """Remove what a crash in the middle of a write left behind; windows are closed one at a time."""
        for leftover in directory.glob(".*"):
            leftover.unlink(missing_ok=True)
