from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_a_clock_that_was_set_back_far_slows_the_windows_until_it_has_caught_up(tmp_path, caplog):
    one, now = book(tmp_path), 100 * M
    assert open_window(one, now + 50 * M).start == 150 * M  # far ahead, and back
    found = []
    while now < 220 * M:
        open_window(one, now)
        found.append((now // M, one.closed(150 * M, now)))
        now += M // 4
    ends = {minute: len(windows) for minute, windows in found}
    assert [ends[m] for m in (101, 103, 110, 150, 180)] == [0, 1, 5, 25, 40]
    assert open_window(book(tmp_path), now - 1) == Window(219 * M, 220 * M)  # the clock's own windows again
    assert all(w.end - w.start == M for w in found[-1][1])
    warnings = [r.tacit_fields for r in caplog.records if r.msg == "clock.behind"]
    assert warnings[0]["seconds"] == 50 * 60
    assert all(w["seconds"] > 60 for w in warnings)
    assert [w["seconds"] for w in warnings] == sorted({w["seconds"] for w in warnings}, reverse=True)


def test_a_small_step_back_is_waited_for_in_silence(tmp_path, caplog):
    one = book(tmp_path)
    assert open_window(one, 10 * M) == Window(10 * M, 11 * M)
    for now in (9 * M, 9 * M + M // 2, 10 * M, 11 * M - 1):
        assert open_window(one, now) == Window(10 * M, 11 * M)
    assert one.closed(10 * M, 11 * M) == [Window(10 * M, 11 * M)]
    assert not [r for r in caplog.records if r.msg == "clock.behind"]


def test_a_cut_and_a_restart_work_while_the_clock_is_behind(tmp_path):
    open_window(book(tmp_path), 100 * M)
    open_window(book(tmp_path), 10 * M)
    book(tmp_path).cut(10 * M + 20)
    assert book(tmp_path).closed(100 * M, 10 * M + 21) == [Window(100 * M, 100 * M + 10)]
    (tmp_path / "site" / "behind").write_bytes(b"cut short by a crash")
    assert open_window(book(tmp_path), 10 * M + 30) == Window(100 * M + 10, 101 * M)
    assert open_window(book(tmp_path), 12 * M + 30) == Window(101 * M, 102 * M)


@given(
    jumps=st.lists(
        st.tuples(st.sampled_from([0, 1, 1, 1, 7, 90, 5_000, -1, -3, -90, -5_000]), st.integers(0, M), st.booleans()), max_size=20
    )
)
def test_whatever_the_clock_does_windows_follow_each_other_without_gap_or_overlap_and_go_on(tmp_path_factory, jumps):
    one, now, known = book(tmp_path_factory.mktemp("book")), 20_000 * M, []
    for windows, rest, cut in jumps:
        now = max(now + windows * M + rest, M)
        opened = open_window(one, now)
        if cut:
            one.cut(now)
        found = one.closed(None, now)
        assert found[: len(known)] == known
        assert all(earlier.end == later.start for earlier, later in itertools.pairwise(found))
        assert opened.start >= (known[-1].end if known else 0)
        known = found
    for _ in range(20):
        now += M // 4
        open_window(one, now)
    assert len(one.closed(None, now)) > len(known)


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
