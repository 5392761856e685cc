"""A closed-loop HTTP client in a process of its own: sends prepared requests over keep-alive connections and counts the answers."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Load:
    """Answers with status 200, all answers, seconds, and latencies in milliseconds."""

    good: int
    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float


async def _connection(port: int, requests: list[bytes], state: dict[str, int], deadline: float, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < deadline:
        index = state["next"]
        if index >= len(requests):
            if not state["repeat"]:
                break
            index = state["next"] = 0
        state["next"] = index + 1
        started = time.perf_counter()
        writer.write(requests[index])
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - started)
        state["answers"] += 1
        state["good"] += head.startswith(b"HTTP/1.1 200")
    writer.close()


async def load(port: int, requests: list[bytes], *, connections: int, seconds: float, repeat: bool) -> Load:
    """Send requests for a time, or until they are used up."""
    state = {"next": 0, "answers": 0, "good": 0, "repeat": int(repeat)}
    times: list[float] = []
    started = time.perf_counter()
    await asyncio.gather(*(_connection(port, requests, state, started + seconds, times) for _ in range(connections)))
    elapsed = time.perf_counter() - started
    percentiles = statistics.quantiles(times, n=100)
    return Load(state["good"], state["answers"], elapsed, percentiles[49] * 1000, percentiles[98] * 1000)


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
