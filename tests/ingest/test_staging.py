from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ingest.errors import StagingCorrupt
from ingest.frames import MAX_ROWS
from ingest.rows import PACKING, SIZE
from ingest.windows import Window
from tacit.core.errors import StorageUnavailable
from tests.ingest.world import DAY, SITE, START, World, open_world

W0 = START + 600_000


def row(number: int) -> bytes:
    return PACKING.pack(number.to_bytes(16, "little"), b"h" * 8, number.to_bytes(8, "little"), 7, 1, 1)


def stage(world: World, *numbers: int) -> None:
    world.staging.append(SITE, lambda window: b"".join(map(row, numbers)))
    world.staging.sync()


def read(world: World, start: int = W0) -> list[int]:
    return [int(m) for m in world.staging.read(SITE, Window(start, start + 60_000))["m"]]


def test_what_was_appended_is_read_in_order_and_is_not_on_disk_in_clear(world):
    stage(world, 1, 2)
    stage(world, 3)
    assert read(world) == read(world.again()) == [1, 2, 3]
    assert len(world.segments()) == 1
    assert row(1)[:16] not in world.segments()[0].read_bytes()


def test_a_batch_larger_than_a_frame_is_read_whole(world):
    stage(world, *range(MAX_ROWS + 5))
    assert read(world) == list(range(MAX_ROWS + 5))


def test_an_empty_batch_leaves_no_file(world):
    world.staging.append(SITE, lambda window: b"")
    assert world.segments() == []


def test_a_tail_cut_at_any_byte_costs_the_last_frame_only(world):
    stage(world, 1)
    whole_first = world.segments()[0].stat().st_size
    stage(world, 2, 3)
    path = world.segments()[0]
    content = path.read_bytes()
    for size in range(whole_first, len(content)):
        path.write_bytes(content[:size])
        assert read(world) == [1], size
        path.write_bytes(content[:size].ljust(len(content), b"\0") if size == whole_first else content[:size])
        assert read(world) == [1], size
    path.write_bytes(content)
    assert read(world) == [1, 2, 3]


def test_a_flipped_bit_before_the_tail_is_an_alarm(world):
    for number in range(4):
        stage(world, number)
    path = world.segments()[0]
    content = path.read_bytes()
    frame = len(content) // 4
    for position in range(0, 3 * frame * 8, 5):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(StagingCorrupt):
            read(world)


def test_frames_cannot_be_moved_within_or_between_segments(world):
    stage(world, 1)
    stage(world, 2)
    other = world.again()
    other.staging.append(SITE, lambda window: row(3))
    other.staging.sync()
    first = next(p for p in world.segments() if p.stat().st_size == max(q.stat().st_size for q in world.segments()))
    second = next(p for p in world.segments() if p != first)
    content, frame = first.read_bytes(), first.stat().st_size // 2
    first.write_bytes(content[frame:] + content[:frame])
    with pytest.raises(StagingCorrupt):
        read(world)
    first.write_bytes(content)
    second.write_bytes(content[:frame])
    with pytest.raises(StagingCorrupt):
        read(world)


def test_each_window_and_process_has_segments_of_its_own(world):
    stage(world, 1)
    world.later()
    stage(world, 2)
    other = world.again()
    other.staging.append(SITE, lambda window: row(3))
    other.staging.sync()
    assert len(world.segments()) == 3
    assert read(world) == [1]
    assert sorted(read(world, W0 + 60_000)) == [2, 3]


def test_rows_whose_window_key_is_lost_are_gone_and_not_an_error(world):
    stage(world, 1)
    world.custody.destroy_window(SITE, W0)
    assert read(world) == []


def test_a_failure_while_rows_are_made_stages_nothing_and_spoils_nothing(world):
    stage(world, 1)

    def fail(window: Window) -> bytes:
        raise RuntimeError("rows")

    with pytest.raises(RuntimeError):
        world.staging.append(SITE, fail)
    stage(world, 2)
    assert read(world) == [1, 2]


FULL = """
import os, resource, sys
from pathlib import Path
from tacit.core.errors import StorageUnavailable
from tests.ingest.test_staging import read, row, stage
from tests.ingest.world import SITE, open_world

world = open_world(Path(sys.argv[1]))
stage(world, 1, 2)
size = world.segments()[0].stat().st_size
for spare in (0, 3, 8, 20, 60):
    stage(world, *range(100, 100 + 20 * (spare + 1)))
    before = read(world)
    newest = max(world.segments(), key=lambda p: p.stat().st_mtime_ns).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (newest + spare, hard))
    for _ in range(2):
        try:
            world.staging.append(SITE, lambda window: b"".join(map(row, range(9000, 12000))))
        except StorageUnavailable as problem:
            assert "full" in problem.detail, problem.detail
        else:
            raise SystemExit("it was accepted")
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    world.staging.sync()
    assert read(world) == before, spare
    stage(world, 5000 + spare)
    assert sorted(read(world)) == sorted([*before, 5000 + spare])
nonces = {p.name for p in world.segments()}
assert len(nonces) >= 5
world.close()
print("done")
"""


def test_a_full_disk_refuses_keeps_earlier_rows_and_works_again_with_space(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "done", done.stderr


def test_a_failed_sync_acknowledges_nothing_and_starts_a_new_segment(world):
    stage(world, 1)
    world.staging.append(SITE, lambda window: row(2))
    segment = world.staging._segments[SITE]
    handle, segment._handle = segment._handle, os.open("/dev/null", os.O_WRONLY)  # fdatasync on a character device fails for real
    with pytest.raises(StorageUnavailable):
        world.staging.sync()
    os.close(handle)
    stage(world, 3)
    assert len(world.segments()) == 2
    assert 1 in read(world)
    assert 3 in read(world)


def test_another_threads_failed_sync_is_reported_to_every_thread_that_has_rows_in_it(world):
    world.staging.append(SITE, lambda window: row(1))
    segment = world.staging._segments[SITE]
    handle, segment._handle = segment._handle, os.open("/dev/null", os.O_WRONLY)
    seen: list[bool] = []

    def sync() -> None:
        try:
            world.staging.sync()
        except StorageUnavailable:
            seen.append(True)

    thread = threading.Thread(target=sync)
    thread.start()
    thread.join()
    os.close(handle)
    assert seen == [True]
    with pytest.raises(StorageUnavailable):
        world.staging.sync()
    world.staging.sync()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_writes_a_segment_of_its_own_so_no_nonce_repeats(world):
    stage(world, 1)
    child = os.fork()
    if child == 0:
        try:
            stage(world, 2)
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    stage(world, 3)
    assert len(world.segments()) == 2
    assert sorted(read(world)) == [1, 2, 3]


def test_many_threads_lose_and_repeat_nothing_while_windows_roll(world):
    closed: list[Window] = []

    def write(base: int) -> None:
        for number in range(200):
            stage(world, base + number)

    threads = [threading.Thread(target=write, args=(base,)) for base in range(0, 4000, 1000)]
    for thread in threads:
        thread.start()
    while any(t.is_alive() for t in threads):
        world.later(60_000)
        closed = world.staging.book(SITE).closed(None, world.clock.now_ms())
    for thread in threads:
        thread.join()
    world.later(60_000)
    closed = world.staging.book(SITE).closed(None, world.clock.now_ms())
    found = [n for w in closed for n in (int(m) for m in world.staging.read(SITE, w)["m"])]
    assert sorted(found) == sorted(base + n for base in range(0, 4000, 1000) for n in range(200))
    assert all(w.start // DAY == (w.end - 1) // DAY for w in closed)


def test_idle_processes_let_go_of_keys_of_closed_windows(world):
    stage(world, 1)
    sanitiser = world.again()
    world.later()
    [window] = sanitiser.windows()
    sanitiser.source.forget(window)
    world.staging.retire_closed()
    assert world.staging._segments == {}
    assert not [p for p in world.custody._cache if p.name.startswith("window-")]


def test_row_layouts_agree(world):
    from ingest.rows import dtype

    assert dtype().itemsize == SIZE == 48
    stage(world, 2**63 + 5)
    assert read(world) == [2**63 + 5]


def test_a_new_process_after_an_unfinished_write_reads_everything_before_it(tmp_path: Path):
    world = open_world(tmp_path)
    stage(world, 1, 2)
    with world.segments()[0].open("ab") as segment:
        segment.write(b"\x10\x00")
    again = world.again()
    stage(again, 3)
    assert sorted(read(again)) == [1, 2, 3]
    world.close()
    again.close()
