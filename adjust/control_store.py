"""Standing orders in the released vault. Nothing is overwritten: the newest order of each key stands, the others are history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select
from sqlalchemy.exc import IntegrityError

from adjust import controls
from adjust.controls import Controls
from adjust.tables import policy_controls
from tacit.core.clock import Clock, iso
from tacit.core.db import reading, writing
from tacit.core.errors import Conflict
from tacit.core.evidence import canonical


class ControlStore:
    """Controls by site and policy."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def put(
        self, site: str, policy: str, key: str, value: Any, *, actor: str, reason: str = "", connection: Connection | None = None
    ) -> None:
        """Give an order, or lift it with None; in the caller's transaction if there is one. Raises `InvalidRequest` or `Conflict`."""
        controls.check(key, value)
        with self._writing(connection) as inside:
            place = [policy_controls.c.site == site, policy_controls.c.policy == policy]
            last = inside.scalar(select(func.max(policy_controls.c.seq)).where(*place)) or 0
            row = {"site": site, "policy": policy, "seq": last + 1, "key": key, "value": canonical(value).decode()}
            row |= {"actor": actor, "at_ms": self._clock.now_ms(), "reason": reason[:500]}
            try:
                inside.execute(insert(policy_controls).values(**row))
            except IntegrityError:
                raise Conflict("another order was given to this policy at the same time") from None

    def read(self, site: str, policy: str) -> Controls:
        """What stands now."""
        return Controls.of({row["key"]: row["value"] for row in reversed(self.history(site, policy))})

    def revision(self, site: str, policy: str) -> int:
        """How many orders were given so far."""
        place = [policy_controls.c.site == site, policy_controls.c.policy == policy]
        with reading(self._engine) as connection:
            return connection.scalar(select(func.max(policy_controls.c.seq)).where(*place)) or 0

    def killed(self, site: str) -> frozenset[str]:
        """The policies of a site whose kill switch is on."""
        c = policy_controls.c
        query = select(c.policy, c.value).where(c.site == site, c.key == "kill").order_by(c.policy, c.seq)
        with reading(self._engine) as connection:
            newest = {row.policy: row.value for row in connection.execute(query)}
        return frozenset(policy for policy, value in newest.items() if json.loads(value))

    def history(self, site: str, policy: str) -> list[dict[str, Any]]:
        """Every order, newest first: `{seq, key, value, actor, at, reason}`."""
        c = policy_controls.c
        query = select(policy_controls).where(c.site == site, c.policy == policy).order_by(c.seq.desc())
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [
            {
                "seq": row.seq,
                "key": row.key,
                "value": json.loads(row.value),
                "actor": row.actor,
                "at": iso(row.at_ms),
                "reason": row.reason,
            }
            for row in rows
        ]

    @contextmanager
    def _writing(self, connection: Connection | None) -> Iterator[Connection]:
        if connection is not None:
            yield connection
            return
        with writing(self._engine) as own:
            yield own
