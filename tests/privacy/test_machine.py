"""Whatever happens between two sanitisers, promises are kept; see `machine`. On SQLite and on a real Postgres."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.privacy.machine import Closing, Home


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
    with postgres.server(place) as url:
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
