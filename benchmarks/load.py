"""A closed-loop HTTP client in a process of its own: sends prepared requests over keep-alive connections and counts the answers."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast


@dataclass(frozen=True)
class Load:
    """Answers with status 200, all answers, seconds, and latencies in milliseconds."""

    good: int
    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float


class _Sender:
    """Everything that is sent, and what came back. One answer is one call-back here: a client of coroutines costs more than the server."""

    def __init__(self, requests: list[bytes], deadline: float, *, repeat: bool) -> None:
        self._requests, self._deadline, self._repeat = requests, deadline, repeat
        self._next = 0
        self.good = self.answers = 0
        self.times: list[float] = []

    def take(self) -> bytes | None:
        """The next request; None when it is time to stop."""
        if self._next == len(self._requests) and self._repeat:
            self._next = 0
        if self._next == len(self._requests) or time.perf_counter() >= self._deadline:
            return None
        self._next += 1
        return self._requests[self._next - 1]


class _Connection(asyncio.Protocol):
    """One keep-alive connection: a request goes out when the answer to the one before has come in whole."""

    def __init__(self, sender: _Sender, done: asyncio.Future[None]) -> None:
        self._sender, self._done = sender, done
        self._held = b""
        self._started = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's are none of asyncio's classes
        self._ask()

    def data_received(self, data: bytes) -> None:
        held = self._held + data if self._held else data
        head, found, body = held.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            self._held = held
            return
        sender, self._held = self._sender, b""
        sender.times.append(time.perf_counter() - self._started)
        sender.answers += 1
        sender.good += head.startswith(b"HTTP/1.1 200")
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done.done():
            return
        self._done.set_exception(exc or ConnectionError("the server closed a connection"))

    def _ask(self) -> None:
        request = self._sender.take()
        if request is None:
            self._done.set_result(None)
            self._transport.close()
            return
        self._started = time.perf_counter()
        self._transport.write(request)


def _length(head: bytes) -> int:
    place = head.find(b"content-length:")
    if place < 0:
        place = head.lower().index(b"content-length:")
    return int(head[place + 15 : head.find(b"\r", place) % (len(head) + 1)])


async def load(port: int, requests: list[bytes], *, connections: int, seconds: float, repeat: bool) -> Load:
    """Send requests for a time, or until they are used up."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    sender = _Sender(requests, started + seconds, repeat=repeat)
    ends: list[asyncio.Future[None]] = [loop.create_future() for _ in range(connections)]
    for end in ends:
        await loop.create_connection(lambda end=end: _Connection(sender, end), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    elapsed = time.perf_counter() - started
    percentiles = statistics.quantiles(sender.times, n=100)
    return Load(sender.good, sender.answers, elapsed, percentiles[49] * 1000, percentiles[98] * 1000)


def main() -> None:
    """`python -m benchmarks.load FILE`: FILE has one JSON object on its first line and the requests, length-prefixed, after it."""
    import uvloop

    content = Path(sys.argv[1]).read_bytes()
    head, _, rest = content.partition(b"\n")
    options = json.loads(head)
    requests, place = [], 0
    while place < len(rest):
        size = int.from_bytes(rest[place : place + 4], "big")
        requests.append(rest[place + 4 : place + 4 + size])
        place += 4 + size
    print(json.dumps(asdict(uvloop.run(load(options.pop("port"), requests, **options)))))


if __name__ == "__main__":
    main()
