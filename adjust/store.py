"""Published bundles and what had been learned when each was made. A bundle is written once; versions count up from 1 without gaps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from adjust.bundle import Bundle, Payload, verify
from adjust.tables import bundles, policy_states
from tacit.core.clock import iso
from tacit.core.db import reading, writing
from tacit.core.errors import Conflict
from tacit.core.evidence import Entry, EvidenceLog, canonical
from tacit.core.rootkey import RootKey


class BundleStore:
    """Bundles in the released vault, signed with the installation's key."""

    def __init__(self, engine: Engine, root: RootKey) -> None:
        self._engine, self._root = engine, root
        self._public = root.signing_key().public_key()

    def publish(
        self,
        bundle: Bundle,
        evidence: EvidenceLog,
        *,
        entries: tuple[Entry, ...] = (),
        states: Mapping[str, Mapping[str, Any]] | None = None,
        window_end_ms: int = 0,
        also: Callable[[Connection], None] | None = None,
    ) -> str:
        """Sign and store a bundle with its evidence, `entries` before it, the learned `states` and what `also` writes: all or nothing.

        Returns the JWS.

        Raises `Conflict` where that version exists already.
        """
        jws = bundle.sign(self._root)
        body = {
            "version": bundle.version,
            "sha256": hashlib.sha256(jws.encode()).hexdigest(),
            "releases": list(bundle.releases),
            "policies": sorted(bundle.policies),
        }
        try:
            with writing(self._engine) as connection:
                index = evidence.append([*entries, Entry("bundle.published", bundle.site, body)], connection)[-1]
                row = {"site": bundle.site, "version": bundle.version, "published_ms": bundle.published_ms, "jws": jws}
                connection.execute(insert(bundles).values(**row, evidence_index=index))
                for policy, state in (states or {}).items():
                    _record(connection, bundle, policy, state, window_end_ms)
                if also is not None:
                    also(connection)
        except IntegrityError:
            raise Conflict("another process published this bundle's version") from None
        return jws

    def latest_version(self, site: str) -> int | None:
        """Version of the newest bundle, None before the first."""
        with reading(self._engine) as connection:
            version: int | None = connection.scalar(select(func.max(bundles.c.version)).where(bundles.c.site == site))
        return version

    def latest_jws(self, site: str) -> str | None:
        """The newest bundle as it was signed."""
        query = select(bundles.c.jws).where(bundles.c.site == site).order_by(bundles.c.version.desc()).limit(1)
        with reading(self._engine) as connection:
            jws: str | None = connection.scalar(query)
        return jws

    def latest(self, site: str) -> tuple[str, Payload] | None:
        """The newest bundle as it was signed, and its verified content. Raises `BundleInvalid`."""
        jws = self.latest_jws(site)
        return None if jws is None else (jws, verify(jws, self._public))

    def latest_payload(self, site: str) -> Payload | None:
        """The newest bundle's verified content. Raises `BundleInvalid`."""
        found = self.latest(site)
        return None if found is None else found[1]


class PolicyHistory:
    """What had been learned of a policy at the end of each window, for charts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self, site: str, policy: str, *, limit: int = 100) -> list[dict[str, Any]]:
        """The newest `limit` states, oldest first: `{at, window_end_ms, version, weights, arms, cells, windows}`; weights: arm -> share."""
        query = select(policy_states).where(policy_states.c.site == site, policy_states.c.policy == policy)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(policy_states.c.window_end_ms.desc()).limit(limit)).all()
        found = []
        for row in reversed(rows):
            state = json.loads(row.state)
            weights = {arm: one["weight"] for arm, one in state["arms"].items()}
            head = {"at": iso(row.at_ms), "window_end_ms": row.window_end_ms, "version": row.version, "weights": weights}
            found.append(head | state)
        return found


def _record(connection: Connection, bundle: Bundle, policy: str, state: Mapping[str, Any], window_end_ms: int) -> None:
    at = {"site": bundle.site, "policy": policy, "window_end_ms": window_end_ms}
    same = [policy_states.c[name] == value for name, value in at.items()]
    connection.execute(delete(policy_states).where(*same))
    row = at | {"at_ms": bundle.published_ms, "version": bundle.version, "state": canonical(state).decode()}
    connection.execute(insert(policy_states).values(**row))
