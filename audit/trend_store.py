"""The trend's state in the released vault: one row an audit, moved on only by the scan that has read its newest version."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from audit.tables import trends
from tacit.core.db import reading
from tacit.core.evidence import canonical


class TrendMoved(Exception):
    """Another scan has moved the state since it was read; whoever reads this reads the state again."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A state and how often it was written; version 0 before the first time."""

    version: int
    state: dict[str, Any] | None


class TrendStore:
    """Reads on its own; writes as part of the scanner's transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, site: str, audit: str) -> Kept:
        """The newest state."""
        query = select(trends.c.version, trends.c.state).where(trends.c.site == site, trends.c.audit == audit)
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return Kept(row.version, json.loads(row.state)) if row else Kept(0, None)

    def write(self, site: str, audit: str, before: Kept, state: dict[str, Any], scan_id: str, connection: Connection) -> None:
        """The state after a scan. Raises `TrendMoved` where `before` is not the newest any more; the transaction is lost then."""
        values = {"version": before.version + 1, "scan_id": scan_id, "state": canonical(state).decode()}
        if before.version == 0:
            try:
                connection.execute(insert(trends).values(site=site, audit=audit, **values))
            except IntegrityError:
                raise TrendMoved from None
            return
        same = (trends.c.site == site, trends.c.audit == audit, trends.c.version == before.version)
        if connection.execute(update(trends).where(*same).values(values)).rowcount != 1:
            raise TrendMoved
