"""One worker process that takes events from several threads at once, until its standard input ends.

`python -m tests.faults.writer PLACE PEOPLE THREADS` prints one line for each batch, all of one person and one event type: when it began
(seconds of the machine's monotonic clock), who, which type, how many events were accepted, and why others were refused.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from typing import Any

from tacit import wiring
from tacit.core import configuration
from tacit.core.clock import iso
from tacit.core.settings import Settings

SITE, BATCH = "newsroom", 20
TYPES = ("page", "page", "page", "click")


def write(web: wiring.WebServices, people: int, name: str, stop: threading.Event, lines: list[tuple[Any, ...]]) -> None:
    """Send batches of people chosen at random until told to stop."""
    choice, number = random.Random(name), 0
    while not stop.is_set():
        subject, kind = f"reader-{choice.randrange(people)}", choice.choice(TYPES)
        number += 1
        at = iso(time.time_ns() // 1_000_000)
        events = [{"id": f"{name}-{number}-{i}", "type": kind, "subject": subject, "at": at} for i in range(BATCH)]
        body = json.dumps({"events": events}).encode()
        began = time.monotonic()
        verdict = json.loads(web.door.accept(SITE, body, gpc=False))
        web.staging.sync()
        lines.append((began, subject, kind, verdict["accepted"], verdict["refused"]))


def main() -> None:
    """Start the threads, say so, and print what they did when standard input ends."""
    settings, people, threads = Settings(**json.loads(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    web = wiring.web(settings, configuration.load(settings.config))
    stop, lines = threading.Event(), [[] for _ in range(threads)]  # type: ignore[var-annotated]
    writers = [threading.Thread(target=write, args=(web, people, f"{id(stop)}-{i}", stop, lines[i])) for i in range(threads)]
    for writer in writers:
        writer.start()
    print("started", flush=True)
    sys.stdin.read()
    stop.set()
    for writer in writers:
        writer.join()
    for line in (one for several in lines for one in several):
        print(json.dumps(line))
    web.close()


if __name__ == "__main__":
    main()
