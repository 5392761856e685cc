"""Triggers that make a table append-only on SQLite and Postgres, whoever holds the connection."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op


def protect(table: str, *, columns: Sequence[str] | None = None) -> None:
    """Refuse DELETE on a table, and UPDATE of `columns` (of any column when left out)."""
    of_columns = f" of {', '.join(columns)}" if columns else ""
    if op.get_bind().dialect.name == "sqlite":
        for name, action in (("delete", "delete"), ("update", f"update{of_columns}")):
            op.execute(
                f"create trigger {table}_no_{name} before {action} on {table} begin select raise(abort, '{table} is append-only'); end"
            )
        return
    op.execute(
        f"create function {table}_append_only() returns trigger language plpgsql as "
        f"$$ begin raise exception '{table} is append-only'; end $$"
    )
    for name, action in (("delete", "delete or truncate"), ("update", f"update{of_columns}")):
        for event in action.split(" or "):
            scope = "statement" if event == "truncate" else "row"
            op.execute(
                f"create trigger {table}_no_{name}_{event.split()[0]} before {event} on {table} "
                f"for each {scope} execute function {table}_append_only()"
            )
