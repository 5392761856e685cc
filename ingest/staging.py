"""Where contributions lie, sealed, until their window closes: append-only segments, one writer each.

The invariant: what `sync` has returned for is read back exactly when its window closes, or the window is reported as damaged; what failed
was not acknowledged and leaves earlier rows as they were. Rows are appended under the window book's shared lock.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.custody import Custody
from ingest.forks import reset_in_child
from ingest.frames import SUFFIX, Segment, blocks
from ingest.rows import dtype
from ingest.seen import SeenMessages
from ingest.windows import Window, WindowBook
from tacit.core.clock import Clock
from tacit.core.declaration import Declaration
from tacit.core.errors import StorageUnavailable, UnknownSite
from tacit.core.logs import Log

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Rows = bytes | bytearray

_log = Log("staging")


class Staging:
    """All sites' staging of one host: `<site>/<window start>/<segment>.seg`."""

    def __init__(self, directory: Path, custody: Custody, clock: Clock, declaration: Declaration) -> None:
        self._directory, self._custody, self._clock = directory, custody, clock
        self._books = {name: WindowBook(directory, name, site.privacy.window_ms) for name, site in declaration.sites.items()}
        self.seen = SeenMessages(directory, custody, declaration)
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._segments: dict[str, Segment] = {}
        self._unsynced: list[Segment] = []
        self._in_sync: list[Segment] = []
        self._new_directories: set[Path] = set()
        self._failures = 0
        self._appended_at = threading.local()
        reset_in_child(self)

    def append(self, site: str, make_rows: Callable[[Window], Rows]) -> None:
        """Stage the rows that `make_rows` makes for the open window. They are safe when `sync` returns. Raises `StorageUnavailable`."""
        with self._lock, self.book(site).shared(self._clock.now_ms()) as window:
            rows = make_rows(window)
            if rows:
                self._write(site, window, rows)
                if not hasattr(self._appended_at, "failures"):
                    self._appended_at.failures = self._failures

    def sync(self) -> None:
        """Bring everything appended so far to the disk. Raises `StorageUnavailable`: then nothing appended since the last sync counts.

        A thread that appended rows calls this itself: rows of its own that another thread's failed sync lost are reported to it too.
        """
        known = self._appended_at.__dict__.pop("failures", self._failures)
        with self._syncing:
            with self._lock:
                segments = self._in_sync = self._unsynced
                directories, self._unsynced, self._new_directories = self._new_directories, [], set()
            try:
                for segment in segments:
                    segment.sync()
                for directory in directories:
                    with suppress(FileNotFoundError):  # its window was closed, read and published meanwhile
                        _sync_path(directory)
            except OSError as error:
                self._give_up(segments, directories)
                raise StorageUnavailable(_reason(error)) from error
            finally:
                self._close_retired(segments)
        if known != self._failures:
            raise StorageUnavailable("rows were lost when another thread's sync failed")

    def read(self, site: str, window: Window) -> npt.NDArray[np.void]:
        """The rows of a closed window as a structured array. Raises `StagingCorrupt`."""
        import numpy as np

        return np.frombuffer(b"".join(self.blocks(site, window.start)), dtype=dtype())

    def blocks(self, site: str, window_start: int) -> Iterator[bytes]:
        """The packed rows of a window, in blocks. Nothing where its key is lost: those rows are shredded."""
        segments = self._files(site, window_start)
        if not segments:
            return
        key = self._custody.window_key(site, window_start, create=False)
        if key is None:
            _log.warning("staging.window_key_lost", site=site)
            return
        for path in segments:
            yield from blocks(path, key)

    def settle(self, site: str, window_start: int) -> None:
        """Bring a window's rows to the disk whoever wrote them: a killed process may not have. Raises `OSError`."""
        for path in self._files(site, window_start):
            _sync_path(path)

    def drop(self, site: str, window_start: int) -> None:
        """Delete a closed window's segments. Safe to repeat."""
        self.retire_closed()
        for path in self._files(site, window_start):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self._window_directory(site, window_start).rmdir()

    def starts(self, site: str) -> list[int]:
        """The starts of the windows that something is staged for, in order."""
        here = self._directory / site
        return sorted(int(p.name) for p in here.iterdir() if p.name.isdigit()) if here.is_dir() else []

    def book(self, site: str) -> WindowBook:
        """The site's windows. Raises `UnknownSite`."""
        try:
            return self._books[site]
        except KeyError:
            raise UnknownSite() from None

    def retire_closed(self) -> None:
        """Let go of segments, and so of their keys, whose windows are over. Also for an idle process to call now and then."""
        with self._lock:
            for site, segment in list(self._segments.items()):
                window = self.book(site).current()
                if window is None or window.start != segment.window_start:
                    self._retire(site)
        self._custody.drop_destroyed()

    def after_fork(self) -> None:
        """A segment has one writer: the child opens its own."""
        for segment in {*self._segments.values(), *self._unsynced, *self._in_sync}:
            segment.close()
        self._segments, self._unsynced, self._in_sync, self._new_directories = {}, [], [], set()
        self._lock, self._syncing, self._appended_at = threading.Lock(), threading.Lock(), threading.local()

    def _write(self, site: str, window: Window, rows: Rows) -> None:
        segment = self._segments.get(site)
        try:
            if segment is None or segment.window_start != window.start:
                segment = self._open(site, window)
            segment.write(rows)
        except BaseException as error:
            self._spoil(site)
            if isinstance(error, OSError):
                raise StorageUnavailable(_reason(error)) from error
            raise
        if segment not in self._unsynced:
            self._unsynced.append(segment)

    def _open(self, site: str, window: Window) -> Segment:
        self._retire(site)
        key = self._custody.window_key(site, window.start, create=True)
        if key is None:
            raise StorageUnavailable("the window has no key")
        directory = self._window_directory(site, window.start)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        segment = self._segments[site] = Segment(directory, window.start, key)
        self._new_directories |= {directory, directory.parent, self._directory}
        return segment

    def _spoil(self, site: str) -> None:
        """Undo a failed write and never write to its segment again: part of the frame may have reached the disk under its nonce."""
        segment = self._segments.get(site)
        if segment is not None:
            with suppress(OSError):
                segment.truncate()
            self._retire(site)

    def _retire(self, site: str) -> None:
        segment = self._segments.pop(site, None)
        if segment is not None:
            segment.retired = True
            if segment not in self._unsynced and segment not in self._in_sync:
                segment.close()

    def _give_up(self, segments: list[Segment], directories: set[Path]) -> None:
        """After a failed sync the kernel may have dropped pages: rows behind such a hole would look like damage."""
        with self._lock:
            self._failures += 1
            self._new_directories |= directories
            for site, segment in list(self._segments.items()):
                if segment in segments:
                    self._retire(site)

    def _close_retired(self, segments: list[Segment]) -> None:
        with self._lock:
            self._in_sync = []
            for segment in segments:
                if segment.retired and segment not in self._unsynced:
                    segment.close()

    def _window_directory(self, site: str, window_start: int) -> Path:
        return self._directory / site / str(window_start)

    def _files(self, site: str, window_start: int) -> list[Path]:
        return sorted(self._window_directory(site, window_start).glob(f"*{SUFFIX}"))


def _sync_path(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    import errno

    full: dict[Any, str] = dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "the disk is full")
    return full.get(error.errno, "the staging area did not take the write")
