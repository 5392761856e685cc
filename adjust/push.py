"""Says at once that a site has a new bundle, over server-sent events and WebSocket. A message says only that there is something to fetch.

Messages have the shape of OFREP's event streams (`refetchEvaluation`), so one stream serves bundle followers and OpenFeature's clients.
A new connection is told the current version at once: whoever evaluated just before connecting then asks again and learns whether he missed
one, at the price of an answer 304.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress

from adjust.current import Current

HEARTBEAT_SECONDS = 15.0
"""A comment this often keeps proxies from closing a silent stream, and finds clients that went away."""

RETRY_MS = 2_000
STREAMS_LIMIT = 2_000
"""Open streams of one process, for all sites."""


class TooManyStreams(Exception):
    """The process holds as many streams as it may."""


class Changes:
    """Wakes the streams of this process. `announce` may be called on any thread."""

    def __init__(self, newest: Callable[[str], Current | None]) -> None:
        self._newest = newest
        self._lock = threading.RLock()  # a signal may end the streams while this very thread is here
        self._waiting: set[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._ended = False

    def announce(self, site: str) -> None:
        """The site has a newer bundle."""
        self._wake(site)

    def end(self) -> None:
        """Let every stream end, so that the service can stop."""
        self._ended = True
        self._wake(None)

    async def follow(self, site: str, seen: int | None = None) -> AsyncIterator[Current | None]:
        """Each newer bundle than `seen`, and None as a heartbeat. Raises `TooManyStreams`."""
        with self._listening(site) as event:
            while not self._ended:
                event.clear()
                found = self._newest(site)
                if found is not None and found.version != seen:
                    seen = found.version
                    yield found
                    continue
                try:
                    await asyncio.wait_for(event.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield None

    @contextmanager
    def _listening(self, site: str) -> Iterator[asyncio.Event]:
        place = (site, asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if len(self._waiting) >= STREAMS_LIMIT:
                raise TooManyStreams
            self._waiting.add(place)
        try:
            yield place[2]
        finally:
            with self._lock:
                self._waiting.discard(place)

    def _wake(self, site: str | None) -> None:
        with self._lock:
            waiting = [place for place in self._waiting if site is None or place[0] == site]
        for _, loop, event in waiting:
            with suppress(RuntimeError):  # that loop has ended, and its streams with it
                loop.call_soon_threadsafe(event.set)


def message(found: Current) -> dict[str, object]:
    """What a follower is told: `{type, etag, lastModified, version}`; `lastModified` in seconds since 1970."""
    return {
        "type": "refetchEvaluation",
        "etag": found.whole.tag,
        "lastModified": found.published_ms // 1000,
        "version": found.version,
    }


def event(found: Current | None) -> bytes:
    """One server-sent event (HTML, section 9.2), or a comment as heartbeat."""
    if found is None:
        return b": still here\n\n"
    return f"event: message\nid: {found.version}\ndata: {json.dumps(message(found))}\n\n".encode()
