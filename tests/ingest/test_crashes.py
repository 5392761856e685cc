"""Real processes, killed with SIGKILL at arbitrary moments, or racing each other for the windows' ends."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from pathlib import Path

from ingest.windows import Window
from tacit.core.clock import SystemClock
from tests.ingest.world import SITE, YAML, open_world

SHORT = YAML.replace("window: 1m", "window: 1s")

SENDER = """
import sys
from pathlib import Path
from tacit.core.clock import SystemClock
from tests.ingest.world import open_world
world = open_world(Path(sys.argv[1]), clock=SystemClock())
for line in sys.stdin:
    batch = line.split()
    answer = world.send(*(world.event(i, subject=f"p{int(i) % 7}", category="news") for i in batch))
    taken = answer["accepted"] + answer["refused"].get("duplicate", 0)
    assert taken == len(batch), answer
    print("ok", flush=True)
"""


def start(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SENDER, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def end(sender: subprocess.Popen[str]) -> None:
    sender.kill()
    sender.wait()
    assert sender.stdin is not None
    assert sender.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        sender.stdin.close()
    sender.stdout.close()


def test_every_acknowledged_event_survives_kill_9_and_counts_once_after_resending(tmp_path):
    world = open_world(tmp_path, clock=SystemClock())
    world.grant(*(f"p{i}" for i in range(7)))
    generator = random.Random(20)
    todo = [[str(b * 10 + i) for i in range(10)] for b in range(150)]
    acknowledged: list[str] = []
    sender, kills = start(tmp_path), 0
    while todo:
        try:
            assert sender.stdin is not None
            assert sender.stdout is not None
            sender.stdin.write(" ".join(todo[0]) + "\n")
            sender.stdin.flush()
            if generator.random() < 0.08 and kills < 8:
                time.sleep(generator.random() * 0.006)
                sender.kill()
                kills += 1
            if sender.stdout.readline() != "ok\n":
                raise BrokenPipeError
        except BrokenPipeError:
            end(sender)
            sender = start(tmp_path)
            continue  # the same batch again
        acknowledged += todo.pop(0)
    end(sender)
    assert kills == 8
    world.source.cut(SITE)
    rows = world.rows()
    pages = [r for r in rows if r["measure"] == min(r["measure"] for r in rows)]
    assert len({(r["p1"], r["p2"], r["m"]) for r in pages}) == len(acknowledged) == 1500
    world.close()


ROLLER = """
import sys
from pathlib import Path
from ingest.rows import PACKING
from tacit.core.clock import SystemClock
from tests.ingest.test_crashes import SHORT
from tests.ingest.world import SITE, open_world
world = open_world(Path(sys.argv[1]), clock=SystemClock(), text=SHORT)
base = int(sys.argv[2])
for number in range(base, base + int(sys.argv[3])):
    message = number.to_bytes(8, "little")
    world.staging.append(SITE, lambda window: PACKING.pack(b"p" * 16, b"h" * 8, message, 7, 1, 1))
    world.staging.sync()
    print(number, flush=True)
"""


def test_rows_of_closed_windows_are_all_acknowledged_rows_while_processes_race_for_the_ends(tmp_path):
    world = open_world(tmp_path, clock=SystemClock(), text=SHORT)
    each, processes = 700, 3
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", ROLLER, str(tmp_path), str(i * 1_000_000), str(each)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for i in range(processes)
    ]
    found: list[int] = []
    after: int | None = None
    book = world.staging.book(SITE)
    deadline = time.monotonic() + 120

    def close_all() -> None:
        nonlocal after
        for window in book.closed(after, world.clock.now_ms()):
            found.extend(int(m) for m in world.staging.read(SITE, Window(window.start, window.end))["m"])
            world.staging.drop(SITE, window.start)  # a row that came later would be lost here, and missed below
            world.custody.destroy_window(SITE, window.start)
            after = window.end

    while any(w.poll() is None for w in writers) and time.monotonic() < deadline:
        if random.random() < 0.3:
            book.cut(world.clock.now_ms())
        close_all()
        time.sleep(0.01)
    acknowledged = [int(line) for w in writers for line in w.communicate()[0].split()]
    book.cut(world.clock.now_ms() + 1)
    close_all()
    assert all(w.returncode == 0 for w in writers)
    assert len(acknowledged) == each * processes
    assert sorted(found) == sorted(acknowledged)
    world.close()


def test_processes_that_start_together_agree_on_one_key(tmp_path):
    open_world(tmp_path).close()
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.ingest.world import DAY, SITE, START, open_world\n"
        "w = open_world(Path(sys.argv[1]))\n"
        "print(w.custody.epoch_secret(SITE, START, START + DAY).hex(), w.custody.window_key(SITE, START, create=True).hex())"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        for _ in range(6)
    ]
    keys = {p.communicate()[0] for p in started}
    assert len(keys) == 1
    assert len(keys.pop().split()) == 2
