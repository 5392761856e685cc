from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ingest.errors import StagingCorrupt
from ingest.windows import Window, WindowBook

M = 60_000


def book(path: Path, window_ms: int = M) -> WindowBook:
    return WindowBook(path, "site", window_ms)


def open_window(one: WindowBook, now: int) -> Window:
    with one.shared(now) as window:
        return window


def test_windows_follow_the_grid_and_silent_ones_are_listed(tmp_path):
    one = book(tmp_path)
    assert open_window(one, 10 * M + 5) == Window(10 * M, 11 * M)
    assert one.closed(None, 10 * M + 6) == []
    assert one.closed(None, 13 * M) == [Window(i * M, (i + 1) * M) for i in (10, 11, 12)]
    assert one.closed(12 * M, 13 * M) == [Window(12 * M, 13 * M)]
    assert one.closed(13 * M, 13 * M) == []


def test_a_clock_that_goes_back_never_reopens_a_window(tmp_path):
    one = book(tmp_path)
    assert open_window(one, 10 * M) == Window(10 * M, 11 * M)
    assert open_window(one, 11 * M) == Window(11 * M, 12 * M)
    assert open_window(one, 3 * M) == Window(11 * M, 12 * M)
    assert open_window(book(tmp_path), 3 * M) == Window(11 * M, 12 * M)
    assert one.closed(None, 3 * M) == [Window(10 * M, 11 * M)]


def test_a_cut_closes_the_open_window_early_and_the_grid_goes_on(tmp_path):
    one = book(tmp_path)
    open_window(one, 10 * M)
    one.cut(10 * M)  # nothing to cut off
    one.cut(10 * M + 20)
    one.cut(10 * M + 20)
    assert open_window(book(tmp_path), 10 * M + 30) == Window(10 * M + 20, 11 * M)
    expected = [Window(10 * M, 10 * M + 20), Window(10 * M + 20, 11 * M), Window(11 * M, 12 * M)]
    assert one.closed(None, 12 * M + 1) == expected
    assert one.closed(10 * M + 20, 12 * M + 1) == expected[1:]


def test_a_changed_grid_takes_effect_after_the_open_window_and_leaves_no_gap(tmp_path):
    open_window(book(tmp_path), 10 * M)
    changed = book(tmp_path, 7 * M)
    assert open_window(changed, 10 * M + 1) == Window(10 * M, 11 * M)
    assert open_window(changed, 30 * M) == Window(28 * M, 35 * M)
    found = changed.closed(None, 36 * M)
    assert [(w.start // M, w.end // M) for w in found] == [(10, 11), (11, 14), (14, 21), (21, 28), (28, 35)]


def test_a_mark_cut_short_by_a_crash_is_written_over(tmp_path):
    one = book(tmp_path)
    open_window(one, 10 * M)
    with (tmp_path / "site" / "cuts").open("ab") as marks:
        marks.write(b"torn")
    one.cut(10 * M + 20)
    assert one.closed(None, 10 * M + 30) == [Window(10 * M, 10 * M + 20)]


def test_a_damaged_control_file_is_an_alarm_and_not_a_guess(tmp_path):
    one = book(tmp_path)
    open_window(one, 10 * M)
    content = bytearray((tmp_path / "site" / "current").read_bytes())
    content[3] ^= 1
    (tmp_path / "site" / "current").write_bytes(content)
    with pytest.raises(StagingCorrupt):
        open_window(one, 10 * M)
    with pytest.raises(StagingCorrupt):
        one.closed(None, 20 * M)


def test_closing_waits_for_a_writer_and_no_writer_follows(tmp_path):
    writer, closer = book(tmp_path), book(tmp_path)
    order: list[str] = []
    inside, closed = threading.Event(), threading.Event()

    def write() -> None:
        with writer.shared(10 * M):
            inside.set()
            assert not closed.wait(0.3)
            order.append("written")

    thread = threading.Thread(target=write)
    thread.start()
    inside.wait()
    assert closer.closed(None, 11 * M) == [Window(10 * M, 11 * M)]
    closed.set()
    order.append("closed")
    thread.join()
    assert order == ["written", "closed"]
    assert open_window(writer, 10 * M) == Window(11 * M, 12 * M)  # even with a clock that is behind


def test_two_threads_of_one_book_do_not_release_each_others_lock(tmp_path):
    one, closer = book(tmp_path), book(tmp_path)
    first_in, release_first = threading.Event(), threading.Event()

    def first() -> None:
        with one.shared(10 * M):
            first_in.set()
            release_first.wait(5)

    def second() -> None:
        first_in.wait()
        with one.shared(10 * M):
            pass

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    first_in.wait()
    done = threading.Event()
    closing = threading.Thread(target=lambda: (closer.closed(None, 11 * M), done.set()))
    closing.start()
    assert not done.wait(0.3)
    release_first.set()
    assert done.wait(5)
    for thread in [*threads, closing]:
        thread.join()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_lock_of_its_own(tmp_path):
    one, other = book(tmp_path), book(tmp_path)
    open_window(one, 10 * M)  # opening a window takes the exclusive lock; what is tested is the shared one
    with one.shared(10 * M):
        child = os.fork()
        if child == 0:
            try:
                with one.shared(10 * M):  # would wait for ever on the parent's mutex
                    pass
                os._exit(0)
            except BaseException:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        done = threading.Event()
        closing = threading.Thread(target=lambda: (other.closed(None, 11 * M), done.set()))
        closing.start()
        assert not done.wait(0.2)  # the child's unlocking did not release the parent's lock
    assert done.wait(5)
    closing.join()
