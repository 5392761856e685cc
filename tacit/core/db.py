"""The two vaults as two SQLAlchemy engines. Nothing below `tacit.wiring` builds an engine or ever holds both.

SQLite runs in WAL mode with every commit synced; freed pages of the intake vault are overwritten (`secure_delete`).
A transaction is opened with `reading` or `writing`, so that a writer takes SQLite's lock at once and never deadlocks on an upgrade.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import DataError, OperationalError

from tacit.core.errors import InvalidRequest, StorageUnavailable

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

_BUSY_MS, _WAL_WAIT_MS = 30_000, 200

intake_metadata = MetaData(naming_convention=_NAMING)
released_metadata = MetaData(naming_convention=_NAMING)


def connect(url: str) -> Engine:
    """An engine for one vault. `url` is an SQLAlchemy URL for SQLite or Postgres."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, pool_size=5, hide_parameters=True)
    engine = create_engine(url, connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_BUSY_MS}", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("tacit_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that may write; committed at the end.

    Raises `StorageUnavailable` when the database cannot take it, and `InvalidRequest` for a value that no database holds: Postgres knows no
    text with a zero byte.
    """
    try:
        with engine.connect().execution_options(tacit_writes=True) as connection, connection.begin():
            yield connection
    except OperationalError as error:
        raise StorageUnavailable(_reason(str(error.orig))) from error
    except DataError:
        raise InvalidRequest("a value in it cannot be stored or looked for") from None


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads. Raises as `writing` does."""
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except OperationalError as error:
        raise StorageUnavailable(_reason(str(error.orig))) from error
    except DataError:
        raise InvalidRequest("a value in it cannot be stored or looked for") from None


def empty_wal(engine: Engine) -> bool:
    """Bring SQLite's write-ahead log into the database file and cut it to nothing; whether nothing is left in it.

    What was deleted lies on in the log until then. A reader in the middle of a transaction prevents it: try again later. Postgres has
    no such file. Raises `StorageUnavailable`.
    """
    if engine.dialect.name != "sqlite":
        return True
    try:
        with closing(engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:  # SQLite does this outside a transaction only
            cursor.execute(f"PRAGMA busy_timeout={_WAL_WAIT_MS}")  # short, because writers wait meanwhile
            try:
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            return not busy
    except (OperationalError, engine.dialect.loaded_dbapi.Error) as error:
        raise StorageUnavailable(_reason(str(error))) from error


def _reason(error: str) -> str:
    text = error.lower()
    for sign, reason in (
        ("full", "the disk is full"),
        ("locked", "the database is busy"),
        ("no such table", "the database has no tables yet"),
    ):
        if sign in text:
            return reason
    return "the database did not answer"
