"""Published bundles and what the engine believed when it made them. Both are written once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine, func, insert, select, update

from adjust import bundle
from adjust.tables import bundles, policy_states
from tacit.core.db import reading, writing
from tacit.core.evidence import Entry, EvidenceLog
from tacit.core.rootkey import RootKey


class BundleStore:
    """Bundles in the released vault."""

    def __init__(self, engine: Engine, root: RootKey) -> None:
        self._engine, self._key = engine, root.signing_key()

    def latest_version(self, site: str) -> int | None:
        """The newest bundle's version."""
        with reading(self._engine) as connection:
            version: int | None = connection.scalar(select(func.max(bundles.c.version)).where(bundles.c.site == site))
        return version

    def latest_jws(self, site: str) -> str | None:
        """The newest bundle as it was signed."""
        with reading(self._engine) as connection:
            return connection.scalar(select(bundles.c.jws).where(bundles.c.site == site).order_by(bundles.c.version.desc()).limit(1))

    def latest_payload(self, site: str) -> dict[str, Any] | None:
        """The newest bundle's payload, its signature checked. Raises `BundleInvalid`."""
        jws = self.latest_jws(site)
        return None if jws is None else bundle.verify(jws, self._key.public_key())

    def publish(
        self,
        site: str,
        make: Callable[[int], Mapping[str, Any]],
        states: Mapping[str, Mapping[str, Any]],
        evidence: EvidenceLog,
        *,
        now_ms: int,
    ) -> int:
        """Sign and store the payload that `make` gives for the next version, with the states it rests on and an evidence entry."""
        with writing(self._engine) as connection:
            version = (connection.scalar(select(func.max(bundles.c.version)).where(bundles.c.site == site)) or 0) + 1
            jws = bundle.sign(make(version), self._key)
            connection.execute(insert(bundles).values(site=site, version=version, published_ms=now_ms, jws=jws))
            for policy, state in states.items():
                row = {"site": site, "policy": policy, "version": version, "at_ms": now_ms, "state": json.dumps(state)}
                connection.execute(insert(policy_states).values(**row))
            body = {"version": version, "sha256": hashlib.sha256(jws.encode()).hexdigest()}
            index = evidence.append([Entry("bundle.published", site, body)], connection)[0]
            at = (bundles.c.site == site) & (bundles.c.version == version)
            connection.execute(update(bundles).where(at).values(evidence_index=index))
        return version


class PolicyHistory:
    """What was believed of each policy, bundle by bundle."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self, site: str, policy: str, *, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """The newest `limit` states with their times, oldest first."""
        query = (
            select(policy_states.c.at_ms, policy_states.c.state)
            .where(policy_states.c.site == site, policy_states.c.policy == policy)
            .order_by(policy_states.c.version.desc())
            .limit(limit)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [(row.at_ms, json.loads(row.state)) for row in reversed(rows)]
