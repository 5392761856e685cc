"""Files of the custody directory: sealed by the root key under their own name, written whole, and overwritten before they are unlinked.

The invariant: nothing lies here in the clear, and what `destroy` has returned for is in no file of this directory. Destruction begins with
the nonce, so a file whose nonce is zero is destroyed, even if a crash came before the rest.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tacit.core.errors import StorageUnavailable
from tacit.core.rootkey import RootKey, RootKeyUnusable, write_private

_NONCE_BYTES = 12
_AT_ONCE = 2**20


class SealedFiles:
    """`<site>/<name>` below one directory; a name may have a folder before it."""

    def __init__(self, directory: Path, root: RootKey) -> None:
        self._directory, self._root = directory, root

    def path(self, site: str, name: str) -> Path:
        """Where the file lies."""
        return self._directory / site / name

    def read(self, site: str, name: str) -> bytes | None:
        """The content; None where there is no file. Raises `RootKeyUnusable` for another root key, `StorageUnavailable`."""
        try:
            sealed = self.path(site, name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageUnavailable("a file of the custody directory cannot be read") from error
        try:
            return self._root.unwrap(_bound(site, name), sealed)
        except RootKeyUnusable:
            if any(sealed[:_NONCE_BYTES]):
                raise
            return None

    def write(self, site: str, name: str, content: bytes) -> bool:
        """Write a file that stays; False, and nothing is written, where there is one. Raises `StorageUnavailable`."""
        path = self.path(site, name)
        try:
            self._make(path.parent)
            written = write_private(path, self._root.wrap(_bound(site, name), content))
            _sync_directory(path.parent)
        except OSError as error:
            raise StorageUnavailable("the custody directory did not take a file") from error
        return written

    def destroy(self, site: str, name: str) -> bool:
        """Overwrite and unlink a file; whether there was one. Safe to repeat. Raises `StorageUnavailable`."""
        return overwrite(self.path(site, name))

    def _make(self, folder: Path) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in reversed([folder, *folder.parents][: len(folder.relative_to(self._directory).parts)]):
            part.mkdir(mode=0o700, exist_ok=True)


def overwrite(path: Path) -> bool:
    """Overwrite a file with zeros, bring them to the disk and unlink it; whether there was one. Raises `StorageUnavailable`."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageUnavailable("a file of the custody directory cannot be destroyed") from error
    try:
        _fill(handle, os.fstat(handle).st_size)
        os.fsync(handle)
        with suppress(FileNotFoundError):  # another process destroyed it at the same time
            path.unlink()
    except OSError as error:
        raise StorageUnavailable("a file of the custody directory cannot be destroyed") from error
    finally:
        os.close(handle)
    return True


def _fill(handle: int, size: int) -> None:
    at = 0
    while at < size:
        at += os.pwrite(handle, bytes(min(_AT_ONCE, size - at)), at)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _bound(site: str, name: str) -> str:
    return f"{site}/{name}"
