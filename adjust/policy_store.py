"""Versions of policies and what happened to them, in the released vault. A version's content is written once; only its state moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from adjust.tables import policy_events, policy_versions
from tacit.core.clock import iso
from tacit.core.db import reading
from tacit.core.errors import Conflict
from tacit.core.evidence import canonical


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a policy: the part of it that may be changed."""

    policy: str
    version: int
    config: Mapping[str, Any]
    sha256: str
    measure_id: int
    """The measure it was made for: after a change of the file an older version may not fit any more."""
    author: str
    at_ms: int
    state: str
    approved_by: str | None

    def to_json(self) -> dict[str, Any]:
        """With everything but the measure."""
        return {
            "version": self.version,
            "state": self.state,
            "author": self.author,
            "at": iso(self.at_ms),
            "approved_by": self.approved_by,
            "sha256": self.sha256,
            "config": dict(self.config),
        }


class PolicyStore:
    """Reads by itself; writes in the caller's transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def versions(self, site: str, policy: str, connection: Connection | None = None) -> list[Version]:
        """Every version, newest first; with a connection, as that transaction sees them."""
        c = policy_versions.c
        query = select(policy_versions).where(c.site == site, c.policy == policy).order_by(c.version.desc())
        if connection is not None:
            return [_version(row) for row in connection.execute(query)]
        with reading(self._engine) as own:
            return [_version(row) for row in own.execute(query)]

    def events(self, site: str, policy: str) -> list[dict[str, Any]]:
        """Everything that happened, newest first: `{seq, at, actor, action, version, note}`."""
        c = policy_events.c
        query = select(policy_events).where(c.site == site, c.policy == policy).order_by(c.seq.desc())
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        names = ("seq", "actor", "action", "version", "note")
        return [{name: getattr(row, name) for name in names} | {"at": iso(row.at_ms)} for row in rows]

    def revision(self, site: str, policy: str) -> int:
        """How much has happened so far."""
        c = policy_events.c
        with reading(self._engine) as connection:
            return connection.scalar(select(func.max(c.seq)).where(c.site == site, c.policy == policy)) or 0

    def add(self, site: str, version: Version, connection: Connection) -> None:
        """A version. Raises `Conflict` where another process made that number."""
        row = {
            name: getattr(version, name)
            for name in ("policy", "version", "sha256", "measure_id", "author", "at_ms", "state", "approved_by")
        }
        try:
            connection.execute(insert(policy_versions).values(site=site, config=canonical(dict(version.config)).decode(), **row))
        except IntegrityError:
            raise Conflict("another process changed this policy at the same time") from None

    def move(self, site: str, version: Version, state: str, connection: Connection, *, approved_by: str | None = None) -> None:
        """Give a version another state. Raises `Conflict` where it has moved meanwhile."""
        c = policy_versions.c
        same = [c.site == site, c.policy == version.policy, c.version == version.version, c.state == version.state]
        values = {"state": state} | ({} if approved_by is None else {"approved_by": approved_by})
        if connection.execute(update(policy_versions).where(*same).values(**values)).rowcount != 1:
            raise Conflict("another process changed this policy at the same time")

    def note(
        self, site: str, policy: str, connection: Connection, *, at_ms: int, actor: str, action: str, version: int, note: str = ""
    ) -> None:
        """One event. Raises `Conflict`."""
        c = policy_events.c
        last = connection.scalar(select(func.max(c.seq)).where(c.site == site, c.policy == policy)) or 0
        row = {"at_ms": at_ms, "actor": actor, "action": action, "version": version, "note": note[:500]}
        try:
            connection.execute(insert(policy_events).values(site=site, policy=policy, seq=last + 1, **row))
        except IntegrityError:
            raise Conflict("another process changed this policy at the same time") from None


def _version(row: Row[Any]) -> Version:
    return Version(
        policy=row.policy,
        version=row.version,
        config=json.loads(row.config),
        sha256=row.sha256,
        measure_id=row.measure_id,
        author=row.author,
        at_ms=row.at_ms,
        state=row.state,
        approved_by=row.approved_by,
    )
