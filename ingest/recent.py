"""Message hashes of the open window and the one before it, so that a repeated event is answered as a duplicate at once.

Only a courtesy: the exact removal of duplicates happens when a window closes. The sets are bounded, hold keyed hashes, and are filled
again after a restart from what is staged and from the last list of seen messages.
"""

from __future__ import annotations

from contextlib import suppress

from ingest.errors import StagingCorrupt
from ingest.rows import messages
from ingest.seen import HASH_BYTES
from ingest.staging import Staging
from ingest.windows import Window
from tacit.core.errors import StorageUnavailable

LIMIT = 400_000
"""Hashes kept for one window: about 40 MB."""


class Recent:
    """One site's recent messages."""

    __slots__ = ("current", "previous", "window_start")

    def __init__(self, window_start: int) -> None:
        self.window_start = window_start
        self.current: set[bytes] = set()
        self.previous: set[bytes] = set()

    def move_to(self, window_start: int) -> None:
        """A new window has opened."""
        if window_start != self.window_start:
            self.previous, self.current, self.window_start = self.current, set(), window_start

    def add(self, fresh: set[bytes]) -> None:
        """Messages that have just been staged."""
        if len(self.current) + len(fresh) <= LIMIT:
            self.current |= fresh


def recall(staging: Staging, site: str, window: Window) -> Recent:
    """What can still be known after a restart."""
    found = Recent(window.start)
    earlier = [start for start in staging.starts(site) if start < window.start][-1:]
    for start in (*earlier, window.start):
        # Damage is for the close to report, and an earlier window may be closed at this moment; the door stays open.
        with suppress(StagingCorrupt, StorageUnavailable, OSError):
            staging.settle(site, start)
            for block in staging.blocks(site, start):
                found.add(messages(block))
    with suppress(StagingCorrupt, StorageUnavailable, OSError):
        last = next(staging.seen.before(site, window.start), b"")[: LIMIT * HASH_BYTES]
        found.previous = {last[at : at + HASH_BYTES] for at in range(0, len(last), HASH_BYTES)}
    return found
