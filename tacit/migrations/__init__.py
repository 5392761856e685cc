"""The two vaults' schemas over time. Each vault has its own line of Alembic revisions; a released revision is never edited."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

Vault = Literal["intake", "released"]


def upgrade(engine: Engine, vault: Vault, *, to: str = "head") -> None:
    """Bring a vault to the newest revision, or to the one named; safe at every start and from several processes (one transaction)."""
    config = _config(vault)
    with engine.connect().execution_options(tacit_writes=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def is_current(engine: Engine, vault: Vault) -> bool:
    """Whether a vault is at the newest revision."""
    head = ScriptDirectory.from_config(_config(vault)).get_current_head()
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head


def _config(vault: Vault) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / vault))
    return config
