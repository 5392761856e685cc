"""Which window is open, agreed between all processes of a host by one locked control file.

The invariant: rows are appended under the shared lock to the window that the control file names, and the control file changes under the
exclusive lock only. So a window that `closed` returns has no writer any more and never gets one again. Starts only ever grow: where the
clock is set back by more than a window, windows go on from where they were at half the clock's speed, until it has caught up.
A lock belongs to an open file description: each book holds one of its own, used by one thread at a time, and a forked child opens another.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zlib import crc32

from ingest.errors import StagingCorrupt
from ingest.forks import reset_in_child
from tacit.core.logs import Log

_PAIR = struct.Struct("<qq")
_CHECKED = struct.Struct("<qqI")

_ATTEMPTS = 10
"""Reads of a record that another process may be writing at this moment."""

_SLOWED = 2
"""How many times longer a window lasts while the clock is behind: each one that closes then brings the clock a window nearer."""

_log = Log("staging")


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of arrival time, in milliseconds, without its end."""

    start: int
    end: int


class WindowBook:
    """One site's windows. `window_ms` is the grid; changed between two runs, it takes effect after the window that is open."""

    def __init__(self, staging_dir: Path, site: str, window_ms: int) -> None:
        self._site, self._directory, self._window_ms = site, staging_dir / site, window_ms
        self._mutex = threading.Lock()
        self._handles: tuple[int, int] | None = None
        reset_in_child(self)

    @contextmanager
    def shared(self, now: int) -> Iterator[Window]:
        """The open window, which stays open inside the context; rolled on first where its end has come."""
        with self._mutex:
            lock, control = self._files()
            fcntl.flock(lock, fcntl.LOCK_SH)
            try:
                window = _load(control)
                if window is None or now >= window.end or self._is_behind(window, now):
                    fcntl.flock(lock, fcntl.LOCK_EX)  # gives the shared lock up first, so everything is read again
                    window = self._roll(control, now)
                yield window
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)

    def cut(self, now: int) -> None:
        """Close the open window early, now; the next one ends where this one would have."""
        with self._exclusive() as control:
            window = self._roll(control, now)
            at = self._time(window, now)
            if window.start < at < window.end:
                self._mark(at, self._window_ms)
                _store(control, Window(at, window.end))

    def closed(self, after_ms: int | None, now: int) -> list[Window]:
        """All windows that have ended, in order, from the one that starts at `after_ms`; those without events included."""
        with self._exclusive() as control:
            open_start = self._roll(control, now).start
            marks = sorted(self._marks())
        points = {open_start}
        for index, (at, grid) in enumerate(marks):
            until = min(marks[index + 1][0], open_start) if index + 1 < len(marks) else open_start
            low = at if after_ms is None else max(at, after_ms)
            points.add(at)
            points.update(range(-(-low // grid) * grid, until, grid))
        ordered = sorted(p for p in points if p <= open_start and (after_ms is None or p >= after_ms))
        return [Window(start, end) for start, end in pairwise(ordered)]

    def current(self) -> Window | None:
        """The open window as last recorded. Takes no lock, so that it may be asked inside a database transaction."""
        path = self._directory / "current"
        for _ in range(_ATTEMPTS):
            with suppress(FileNotFoundError, StagingCorrupt):
                return _parse(path.read_bytes()) if path.exists() else None
        raise StagingCorrupt("the record of the open window is damaged")

    def after_fork(self) -> None:
        """The parent's lock is not ours: closing a copy of its descriptor does not release it."""
        if self._handles is not None:
            for handle in self._handles:
                os.close(handle)
        self._handles, self._mutex = None, threading.Lock()

    @contextmanager
    def _exclusive(self) -> Iterator[int]:
        with self._mutex:
            lock, control = self._files()
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield control
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)

    def _roll(self, control: int, now: int) -> Window:
        window = _load(control)
        if window is not None:
            now = self._time(window, now)
            if now < window.end:
                return window
        grid_start = now - now % self._window_ms
        if window is None:
            start = grid_start
            self._mark(start, self._window_ms)
        else:
            start = max(grid_start, window.end)
            if [grid for _, grid in self._marks()][-1:] != [self._window_ms]:
                self._mark(window.end, self._window_ms)
        rolled = Window(start, start - start % self._window_ms + self._window_ms)
        _store(control, rolled)
        return rolled

    def _is_behind(self, window: Window, now: int) -> bool:
        """Whether the clock was set back: a window's length is left to chance, and to the small corrections that clocks make."""
        return now + self._window_ms < window.start

    def _time(self, window: Window, now: int) -> int:
        """What time it is for the open window: the clock's, or, where that is behind, half of what has passed since this was noticed."""
        if not self._is_behind(window, now):
            return now
        noticed = self._noticed(window)
        if noticed is None or now < noticed:
            noticed = now
            self._notice(window, now)
            _log.warning("clock.behind", site=self._site, seconds=(window.start - now) // 1000)
        return window.start + (now - noticed) // _SLOWED

    def _noticed(self, window: Window) -> int | None:
        """When the clock was first seen behind this window."""
        with suppress(FileNotFoundError, StagingCorrupt):
            found = _parse((self._directory / "behind").read_bytes())
            return found.end if found is not None and found.start == window.start else None
        return None

    def _notice(self, window: Window, now: int) -> None:
        # Lost or damaged it costs nothing but time: the open window then lasts longer.
        (self._directory / "behind").write_bytes(_CHECKED.pack(window.start, now, _crc(window.start, now)))

    def _marks(self) -> list[tuple[int, int]]:
        """(moment, grid from then on): where counting began, each cut, each change of the grid."""
        content = self._marks_path.read_bytes() if self._marks_path.exists() else b""
        found = []
        for at in range(0, len(content) - _CHECKED.size + 1, _CHECKED.size):
            moment, grid, check = _CHECKED.unpack_from(content, at)
            if check != _crc(moment, grid):
                raise StagingCorrupt("the record of windows is damaged")
            found.append((moment, grid))
        return found

    def _mark(self, at: int, grid: int) -> None:
        handle = os.open(self._marks_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(handle).st_size
            os.pwrite(handle, _CHECKED.pack(at, grid, _crc(at, grid)), size - size % _CHECKED.size)  # over a record that a crash cut short
            os.fsync(handle)
        finally:
            os.close(handle)

    @property
    def _marks_path(self) -> Path:
        return self._directory / "cuts"

    def _files(self) -> tuple[int, int]:
        if self._handles is None:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._handles = (os.open(self._directory / "lock", flags, 0o600), os.open(self._directory / "current", flags, 0o600))
        return self._handles


def _load(control: int) -> Window | None:
    return _parse(os.pread(control, _CHECKED.size, 0))


def _parse(content: bytes) -> Window | None:
    if not content:
        return None
    if len(content) == _CHECKED.size:
        start, end, check = _CHECKED.unpack(content)
        if check == _crc(start, end):
            return Window(start, end)
    raise StagingCorrupt("the record of the open window is damaged")


def _store(control: int, window: Window) -> None:
    os.pwrite(control, _CHECKED.pack(window.start, window.end, _crc(window.start, window.end)), 0)
    os.fdatasync(control)  # an older record after a power cut would reopen a window that has been released


def _crc(first: int, second: int) -> int:
    return crc32(_PAIR.pack(first, second))
