"""Epoch and window keys: random, in sealed 0600 files of their own, never derivable, gone for good when destroyed.

The invariant: a moment has at most one epoch key, ever. The key's epoch and fingerprint are a row of the intake vault; a file that is
missing or does not match it means the key is lost, and the epoch admits nothing more. An epoch that overlaps one of another length gets no
key: a person would have two pseudonyms in it. No key is handed out of the cache once its file is gone.
"""

from __future__ import annotations

import secrets
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from ingest.errors import EpochKeyDestroyed, EpochKeyLost
from ingest.forks import reset_in_child
from ingest.sealed import SealedFiles
from ingest.tables import epoch_keys
from tacit.core.clock import Clock
from tacit.core.db import reading, writing
from tacit.core.errors import StorageUnavailable
from tacit.core.mac import derive
from tacit.core.rootkey import RootKey

KEY_BYTES = 32


class Custody:
    """Keys of all sites in one directory, shared by the processes of one host."""

    def __init__(self, directory: Path, engine: Engine, root: RootKey, clock: Clock) -> None:
        self._files, self._engine, self._clock = SealedFiles(directory, root), engine, clock
        self._cache: dict[Path, tuple[int, bytes]] = {}
        self._lock = threading.Lock()
        reset_in_child(self)

    def epoch_secret(self, site: str, epoch_ms: int, end_ms: int, connection: Connection | None = None) -> bytes:
        """The secret of a site's epoch, made on first use. Raises `EpochKeyLost`, `EpochKeyDestroyed`, `StorageUnavailable`.

        Inside a transaction on the intake vault its `connection` must be given: a second writer would wait for the first for ever.
        """
        path = self._files.path(site, _epoch(epoch_ms))
        with self._lock:
            cached = self._cached(path, end_ms)
        if cached is not None:
            return cached
        if connection is not None:
            # Not cached: if that transaction is rolled back, the key was never made.
            return self._epoch_secret(site, epoch_ms, end_ms, connection)
        with reading(self._engine) as looking:
            row = _row(looking, site, epoch_ms)
        if row is None:
            with writing(self._engine) as making:
                key = self._epoch_secret(site, epoch_ms, end_ms, making)
        else:
            key = self._matching(site, epoch_ms, end_ms, row)
        with self._lock:
            self._cache[path] = end_ms, key
        return key

    def window_key(self, site: str, window_ms: int, *, create: bool) -> bytes | None:
        """The key that seals a window's staged rows. None where there is none and `create` is not set."""
        name = _window(window_ms)
        path = self._files.path(site, name)
        with self._lock:
            key = self._cached(path, 0)
            if key is None:
                key = self._files.read(site, name)
                if key is None and create:
                    self._files.write(site, name, secrets.token_bytes(KEY_BYTES))
                    key = self._files.read(site, name)
                if key is not None:
                    self._cache[path] = 0, key
        if key is None and create:
            raise StorageUnavailable("the window's key was destroyed while it was made")
        return key

    def destroy_window(self, site: str, window_ms: int) -> bool:
        """Destroy a window's key; whether there was one."""
        return self._destroy(site, _window(window_ms))

    def destroy_epoch(self, site: str, epoch_ms: int, end_ms: int) -> bool:
        """Destroy an epoch's key, and make sure that it never gets another; whether there was one."""
        with writing(self._engine) as connection:
            now_ms = self._clock.now_ms()
            found = _row(connection, site, epoch_ms)
            if found is None:
                values = {"site": site, "epoch_ms": epoch_ms, "end_ms": end_ms, "fingerprint": b"", "created_ms": now_ms}
                connection.execute(insert(epoch_keys).values(**values, destroyed_ms=now_ms))
            elif found.destroyed_ms is None:
                here = (epoch_keys.c.site == site, epoch_keys.c.epoch_ms == epoch_ms)
                connection.execute(update(epoch_keys).where(*here).values(destroyed_ms=now_ms))
        return self._destroy(site, _epoch(epoch_ms))

    def take_back(self, site: str, epoch_ms: int) -> None:
        """Undo the making of a key before its epoch has begun. Nothing may have been staged under it."""
        with writing(self._engine) as connection:
            connection.execute(delete(epoch_keys).where(epoch_keys.c.site == site, epoch_keys.c.epoch_ms == epoch_ms))
        self._destroy(site, _epoch(epoch_ms))

    def live_epochs(self, site: str, connection: Connection) -> list[tuple[int, int]]:
        """Start and end of the epochs of a site whose keys were made and not destroyed, in order."""
        query = select(epoch_keys.c.epoch_ms, epoch_keys.c.end_ms).where(epoch_keys.c.site == site, epoch_keys.c.destroyed_ms.is_(None))
        return [(start_ms, end_ms) for start_ms, end_ms in connection.execute(query.order_by(epoch_keys.c.epoch_ms))]

    def drop_destroyed(self) -> None:
        """Forget every key whose file is gone: another process destroyed it."""
        with self._lock:
            for path, (end_ms, _) in list(self._cache.items()):
                self._cached(path, end_ms)

    def after_fork(self) -> None:
        """The parent may have held the lock."""
        self._lock = threading.Lock()

    def _epoch_secret(self, site: str, epoch_ms: int, end_ms: int, connection: Connection) -> bytes:
        row = _row(connection, site, epoch_ms)
        if row is None:
            _require_free(connection, site, epoch_ms, end_ms)
            # File first: a crash in between leaves a file without a row, which the next one adopts. No row, no use.
            self._files.write(site, _epoch(epoch_ms), secrets.token_bytes(KEY_BYTES))
            key = self._files.read(site, _epoch(epoch_ms))
            if key is None:
                raise EpochKeyLost()
            values = {"site": site, "epoch_ms": epoch_ms, "end_ms": end_ms, "fingerprint": _fingerprint(key)}
            try:
                with connection.begin_nested():
                    connection.execute(insert(epoch_keys).values(**values, created_ms=self._clock.now_ms()))
                return key
            except IntegrityError:
                row = _row(connection, site, epoch_ms)
        if row is None:
            raise StorageUnavailable("the epoch's key could not be recorded")
        return self._matching(site, epoch_ms, end_ms, row)

    def _matching(self, site: str, epoch_ms: int, end_ms: int, row: Row[Any, Any]) -> bytes:
        if row.destroyed_ms is not None:
            self._destroy(site, _epoch(epoch_ms))
            raise EpochKeyDestroyed()
        if row.end_ms != end_ms:
            raise EpochKeyLost("an epoch of another length has begun here")
        key = self._files.read(site, _epoch(epoch_ms))
        if key is None or not secrets.compare_digest(_fingerprint(key), row.fingerprint):
            raise EpochKeyLost()
        return key

    def _cached(self, path: Path, end_ms: int) -> bytes | None:
        found = self._cache.get(path)
        if found is not None and not path.exists():
            del self._cache[path]
            return None
        return found[1] if found is not None and found[0] == end_ms else None

    def _destroy(self, site: str, name: str) -> bool:
        with self._lock:
            self._cache.pop(self._files.path(site, name), None)
        return self._files.destroy(site, name)


def _epoch(epoch_ms: int) -> str:
    return f"epoch-{epoch_ms}"


def _window(window_ms: int) -> str:
    return f"window-{window_ms}"


def _row(connection: Connection, site: str, epoch_ms: int) -> Row[Any, Any] | None:
    here = (epoch_keys.c.site == site, epoch_keys.c.epoch_ms == epoch_ms)
    return connection.execute(select(epoch_keys).where(*here)).first()


def _require_free(connection: Connection, site: str, start_ms: int, end_ms: int) -> None:
    """Raises `EpochKeyLost` where an epoch of another length, live or ended, has a part of this one."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("lock table epoch_keys in share row exclusive mode"))
    overlap = (epoch_keys.c.site == site, epoch_keys.c.epoch_ms < end_ms, epoch_keys.c.end_ms > start_ms, epoch_keys.c.epoch_ms != start_ms)
    if connection.execute(select(epoch_keys.c.epoch_ms).where(*overlap).limit(1)).first() is not None:
        raise EpochKeyLost("an epoch of another length has a part of this one")


def _fingerprint(key: bytes) -> bytes:
    return derive(key, "fingerprint")[:16]
