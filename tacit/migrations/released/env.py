"""Alembic's entry for the released vault; `tacit.migrations.upgrade` hands it the connection."""

from alembic import context

from tacit.core.db import released_metadata
from tacit.migrations import tables  # noqa: F401 - registers every table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=released_metadata, render_as_batch=connection.dialect.name == "sqlite")
context.run_migrations()
