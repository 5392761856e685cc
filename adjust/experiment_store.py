"""What experiments showed at the end of each window, so that pages and apps read it without computing anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select

from adjust.tables import experiments
from tacit.core.clock import iso
from tacit.core.db import reading
from tacit.core.evidence import canonical


class ExperimentStore:
    """Assessments in the released vault, one a policy and window."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def keep(self, site: str, policy: str, end_ms: int, result: Mapping[str, Any], connection: Connection) -> None:
        """Store an assessment, in the place of an earlier one of the same window."""
        at = {"site": site, "policy": policy, "window_end_ms": end_ms}
        connection.execute(delete(experiments).where(*(experiments.c[name] == value for name, value in at.items())))
        connection.execute(insert(experiments).values(**at, result=canonical(dict(result)).decode()))

    def latest(self, site: str, policy: str) -> dict[str, Any] | None:
        """The newest assessment; None before the first."""
        found = self.list(site, policy, limit=1)
        return found[0] if found else None

    def list(self, site: str, policy: str, *, limit: int = 100) -> list[dict[str, Any]]:
        """The newest assessments, newest first, each with its `window_end`."""
        query = select(experiments).where(experiments.c.site == site, experiments.c.policy == policy)
        with reading(self.engine) as connection:
            rows = connection.execute(query.order_by(experiments.c.window_end_ms.desc()).limit(limit)).all()
        return [json.loads(row.result) | {"window_end": iso(row.window_end_ms)} for row in rows]
