"""The sanitiser's small secrets, in the custody of the keys: what correlated noise has to remember across the windows of a block.

It holds no row and no pseudonym, but it is not private: whoever has it can take the noise off what was published. So it is sealed like a
key, never changed once written, and lost when a key would be lost.
"""

from __future__ import annotations

import re
from hmac import compare_digest
from pathlib import Path

from ingest.sealed import SealedFiles, overwrite
from tacit.core.errors import StorageUnavailable
from tacit.core.rootkey import RootKey

FOLDER = "secrets"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


class Secrets:
    """`<site>/secrets/<name>` below the custody directory. Implements `privacy.ports.SecretStore`."""

    def __init__(self, directory: Path, root: RootKey) -> None:
        self._files = SealedFiles(directory, root)

    def keep(self, site: str, name: str, content: bytes) -> None:
        """Write a secret whole; it lies on the disk, or in memory where custody does, when this returns.

        The same content again changes nothing. Raises `StorageUnavailable`, also where the name has another content or was being destroyed.
        """
        self._files.write(site, _file(name), content)
        kept = self._files.read(site, _file(name))
        if kept is None or not compare_digest(kept, content):
            raise StorageUnavailable("a secret of that name was kept or destroyed before")

    def secret(self, site: str, name: str) -> bytes | None:
        """What was kept; None where nothing was, or it was lost or destroyed. Raises `StorageUnavailable`, `RootKeyUnusable`."""
        return self._files.read(site, _file(name))

    def destroy_secrets(self, site: str, prefix: str) -> int:
        """Destroy every secret whose name starts with `prefix`; how many there were. Safe to repeat. Raises `StorageUnavailable`."""
        # What a crash in the middle of `keep` left behind has a dot before its name; it is not counted, as it was never kept.
        return sum(overwrite(path) and path.name[0] != "." for path in self._here(site) if path.name.removeprefix(".").startswith(prefix))

    def secrets(self, site: str, prefix: str) -> list[str]:
        """The names that start with `prefix`, in order."""
        return [path.name for path in self._here(site) if path.name[0] != "." and path.name.startswith(prefix)]

    def _here(self, site: str) -> list[Path]:
        folder = self._files.path(site, FOLDER)
        return sorted(folder.iterdir()) if folder.is_dir() else []


def _file(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise AssertionError("a secret's name is made of ASCII letters, digits, dots, hyphens and underscores")
    return f"{FOLDER}/{name}"
