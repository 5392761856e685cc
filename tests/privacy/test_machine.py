"""Whatever happens between two sanitisers, promises are kept; see `machine`. On SQLite and on a real Postgres."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from privacy.errors import EpochEnded, WindowNotDue
from privacy.models import Window
from privacy.releases import FINISHED
from tests.privacy.declared import EPOCHS, SETS, START, site_of
from tests.privacy.homes import Home
from tests.privacy.interruptions import met_in
from tests.privacy.machine import Closing
from tests.privacy.promises import Seen, Vaults, check, check_sums
from tests.privacy.witness import Process, Staged, Truth, process_in
from tests.privacy.world import WINDOW, FixedClock


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    place = tmp_path_factory.mktemp("sqlite")
    yield from opened(Home((f"sqlite:///{place / 'intake.db'}", f"sqlite:///{place / 'released.db'}"), place / "custody"))


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a container without XDG_RUNTIME_DIR makes the server's package warn at import
        from tests import postgres
    place = tmp_path_factory.mktemp("postgres")
    with postgres.server() as url:
        urls = (postgres.empty_database(url, "machine_intake"), postgres.empty_database(url, "machine_released"))
        yield from opened(Home(urls, place / "custody"))


def opened(home: Home) -> Iterator[Home]:
    home.open()
    yield home
    home.close()


def run(at: Home, examples: int) -> None:
    class Here(Closing):
        home = at

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    chosen = settings(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        database=None,
        suppress_health_check=checks,
        phases=[Phase.generate],  # shrinking takes minutes; the steps of a failure are printed as they were
    )
    run_state_machine_as_test(Here, settings=chosen)


def test_promises_are_kept_on_sqlite(sqlite: Home) -> None:
    run(sqlite, 40)


def test_promises_are_kept_on_postgres(on_postgres: Home) -> None:
    run(on_postgres, 8)


def test_two_sanitisers_at_once_keep_them_on_sqlite(sqlite: Home) -> None:
    close_at_once(sqlite)


def test_two_sanitisers_at_once_keep_them_on_postgres(on_postgres: Home) -> None:
    close_at_once(on_postgres)


def close_at_once(home: Home) -> None:
    """Both close ten windows, and one repairs the two that failed before whenever it can."""
    home.empty()
    staged, truth = Staged(FixedClock(START), first_ms=START), Truth()
    site = site_of(SETS[0], "200", EPOCHS[0])
    processes = [process_in(home, number, staged, truth, site) for number in range(2)]
    for at in range(10):
        people = [(at * 3 + n) % 40 for n in range(30)]
        visits = [(person, person, at, measure.id, person % 3, person) for measure in SETS[0] for person in people]
        staged.put(START + at * WINDOW, *visits)
    staged.broken |= {START, START + WINDOW}
    staged.clock.now = START + 2 * WINDOW
    close_all(processes[0], repairing=False)
    staged.broken.clear()
    staged.clock.now = START + 10 * WINDOW
    together = Barrier(2)
    for process in processes:  # in their first windows neither records who came before both have looked who was there
        process.sanitiser = met_in(process.sanitiser, "presence", "record", together.wait)
    with ThreadPoolExecutor(2) as threads:
        for job in [threads.submit(close_all, process, repairing=bool(number)) for number, process in enumerate(processes)]:
            job.result()
    vaults = Vaults.read(home)
    check(vaults, Seen(), truth)
    check_sums(vaults.releases, truth)
    assert [c.state for c in vaults.closings if c.window_ms >= START + 2 * WINDOW] == [FINISHED] * 8
    assert all(process.sanitiser.due("shop") == [] for process in processes)


def close_all(process: Process, *, repairing: bool) -> None:
    """As a worker does: what somebody else does meanwhile is tried again."""
    failed = [Window("shop", at, at + WINDOW, START) for at in (START, START + WINDOW) if repairing]
    while targets := failed[:1] or process.sanitiser.due("shop")[:1]:
        failed = failed[1:]
        with suppress(WindowNotDue, EpochEnded):
            process.sanitiser.close(process.site, targets[0])
