"""The two-vault boundary, tried from both sides: in imports and in the database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from tacit import migrations
from tacit.core.db import connect, intake_metadata, released_metadata

ROOT = Path(__file__).parents[2]
HEAVY = ("great_expectations", "fairlearn", "pandas", "opendp", "duckdb", "numpy", "alembic")


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_web_process_loads_no_heavy_library(house) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tacit.core.settings import Settings\nfrom tacit.app import create_app\n"
        f"create_app(Settings(config=Path({str(house.settings.config)!r}), data=Path({str(house.settings.data)!r}), "
        f"custody=Path({str(house.settings.custody_directory)!r})))\n"
        f"print(sorted(m for m in {HEAVY!r} if m in sys.modules))"
    )
    assert _run(code) == "[]"


@pytest.mark.parametrize("room", ["adjust.service", "adjust.api", "audit.scan", "audit.api", "dashboards.api"])
def test_rooms_past_the_sanitiser_never_load_the_rooms_before_it(room: str) -> None:
    loaded = _run(f"import sys, {room}\nprint(sorted(m for m in sys.modules if m.split('.')[0] in ('ingest', 'consent')))")
    assert loaded == "[]"


@pytest.mark.parametrize(("room", "forbidden"), [("adjust", "ingest.staging"), ("audit", "consent.service"), ("dashboards", "ingest.door")])
def test_an_import_across_the_boundary_breaks_a_contract(room: str, forbidden: str, tmp_path: Path) -> None:
    """The contracts are tried on a copy of the tree with the forbidden import planted."""
    for package in ("tacit", "consent", "ingest", "privacy", "audit", "adjust", "dashboards"):
        subprocess.run(["cp", "-r", str(ROOT / package), str(tmp_path)], check=True)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    (tmp_path / room / "planted.py").write_text(f"import {forbidden}\n")
    linter = str(Path(sys.executable).with_name("lint-imports"))
    done = subprocess.run(
        [linter, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 1, done.stdout
    assert f"{room}.planted" in done.stdout


def test_the_vaults_share_no_table() -> None:
    import tacit.migrations.tables  # noqa: F401 - registers them

    assert not set(intake_metadata.tables) & set(released_metadata.tables)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Postgres with one schema and one role for each vault, as docs/operations.md sets it up."""
    from tests.postgres import server

    with server() as url:
        yield url


def test_on_postgres_neither_role_can_read_the_other_vault(postgres: str) -> None:
    from tests.postgres import two_roles

    intake_url, released_url = two_roles(postgres)
    intake, released = connect(intake_url), connect(released_url)
    migrations.upgrade(intake, "intake")
    migrations.upgrade(released, "released")
    for engine, foreign in ((released, "intake.consent_state"), (released, "intake.presence"), (intake, "released.releases")):
        with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(f"select * from {foreign}"))
    for engine, own in ((intake, "consent_state"), (released, "releases")):
        with engine.connect() as connection:
            assert connection.execute(text(f"select count(*) from {own}")).scalar() == 0
        engine.dispose()


@pytest.mark.parametrize("vault", ["intake", "released"])
def test_migrations_build_exactly_the_declared_tables(vault: str, tmp_path: Path, postgres: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from tests.postgres import empty_database

    metadata = intake_metadata if vault == "intake" else released_metadata
    for url in (f"sqlite:///{tmp_path / vault}.db", empty_database(postgres, f"drift_{vault}")):
        engine = connect(url)
        migrations.upgrade(engine, vault)
        migrations.upgrade(engine, vault)
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        engine.dispose()


@pytest.mark.parametrize("statement", ["delete from evidence", "update evidence set kind = 'x'"])
def test_evidence_cannot_be_changed_in_place(statement: str, tmp_path: Path, postgres: str) -> None:
    from audit.log import Log
    from tacit.core.clock import SystemClock
    from tacit.core.evidence import Entry
    from tests.postgres import empty_database

    for url in (f"sqlite:///{tmp_path / 'e.db'}", empty_database(postgres, f"evidence_{statement[:6]}")):
        engine = connect(url)
        migrations.upgrade(engine, "released")
        Log(engine, SystemClock()).append([Entry("test.entry", "newsroom", {"a": 1})])
        plain = create_engine(url)
        with plain.connect() as connection, pytest.raises(Exception, match="append-only"):
            connection.execute(text(statement))
        plain.dispose()
        engine.dispose()
