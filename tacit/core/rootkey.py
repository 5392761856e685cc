"""The root key: it wraps other keys and signs, and lies outside the databases. No epoch or window key can be derived from it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tacit.core.errors import Problem
from tacit.core.mac import derive
from tacit.core.settings import Settings

FILE_NAME = "root.key"


class RootKeyUnusable(Problem):
    type = "root-key-unusable"
    title = "The root key cannot be used"
    default_next_step = "Set TACIT_ROOT_KEY to the key this installation was started with, or restore data/root.key."


class RootKey:
    """32 bytes, never stored in a database."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise RootKeyUnusable("it must be 32 bytes, written as 64 hexadecimal digits")
        self._wrapping = AESGCM(derive(key, "tacit wrapping v1"))
        self._key = key

    def wrap(self, name: str, key: bytes) -> bytes:
        """`key` sealed under the root key and bound to `name` (AES-256-GCM with a random nonce)."""
        nonce = secrets.token_bytes(12)
        return nonce + self._wrapping.encrypt(nonce, key, name.encode())

    def unwrap(self, name: str, wrapped: bytes) -> bytes:
        """The key that `wrap` sealed. Raises `RootKeyUnusable` for another root key, another name or changed bytes."""
        try:
            return self._wrapping.decrypt(wrapped[:12], wrapped[12:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise RootKeyUnusable("a stored key was wrapped under another root key, or was changed") from error

    def secret(self, purpose: str) -> bytes:
        """A long-lived secret of the installation for one purpose, for example signing session cookies."""
        return derive(self._key, f"tacit {purpose} v1")

    def signing_key(self) -> Ed25519PrivateKey:
        """The key that signs bundles and receipts."""
        return Ed25519PrivateKey.from_private_bytes(self.secret("signing"))


def load(settings: Settings, *, create: bool = False) -> RootKey:
    """The root key from the environment or its file; `create` makes the file on a first start."""
    if settings.root_key is not None:
        try:
            return RootKey(bytes.fromhex(settings.root_key.get_secret_value().strip()))
        except ValueError:
            raise RootKeyUnusable("TACIT_ROOT_KEY is not hexadecimal") from None
    path = settings.data / FILE_NAME
    if create and not path.exists():
        write_private(path, secrets.token_hex(32).encode() + b"\n")
    try:
        return RootKey(bytes.fromhex(path.read_text().strip()))
    except FileNotFoundError:
        raise RootKeyUnusable(f"there is none at {path}", next_step="`tacit serve` makes one on its first start.") from None
    except ValueError:
        raise RootKeyUnusable(f"{path} is not hexadecimal") from None


def write_private(path: Path, content: bytes) -> bool:
    """Write a 0600 file that no other process can see half-written. Returns False, and writes nothing, if it exists already."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        written = 0
        while written < len(content):
            written += os.write(handle, content[written:])
        os.fsync(handle)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True
