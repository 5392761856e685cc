"""Identifiers to pseudonyms. Each site has one random, long-lived key, wrapped by the root key, so a copy of the database names nobody.

These pseudonyms find a person's consent and nothing else: staged rows have others, whose keys are destroyed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from consent.tables import wrapped_keys
from tacit.core.clock import Clock
from tacit.core.db import reading, writing
from tacit.core.mac import Mac, derive, subject_bytes
from tacit.core.rootkey import RootKey


class Subjects:
    """Pseudonyms of all sites of one intake vault. Safe for threads: every process reads the one stored key."""

    def __init__(self, engine: Engine, root: RootKey, clock: Clock) -> None:
        self._engine, self._root, self._clock = engine, root, clock
        self._macs: dict[str, tuple[Mac, Mac]] = {}

    def pseudonym(self, site: str, id_type: str, subject: str) -> bytes:
        """The 32 bytes that stand for a person in consent tables. May write on a site's first call: not inside a transaction."""
        return self._of(site)[0].digest(subject_bytes(id_type, subject))

    def of_bytes(self, site: str) -> Callable[[bytes], bytes]:
        """The same pseudonym from `subject_bytes`, for the door, which hashes many people of one site."""
        return self._of(site)[0].digest

    def fingerprint(self, site: str, content: bytes) -> bytes:
        """A keyed hash of anything else that must be recognised and not be read, such as an idempotency key."""
        return self._of(site)[1].digest(content)

    def _of(self, site: str) -> tuple[Mac, Mac]:
        found = self._macs.get(site)
        if found is None:
            key = self._key(f"consent subjects {site}")
            found = self._macs[site] = (Mac(key), Mac(derive(key, "fingerprint")))
        return found

    def _key(self, name: str) -> bytes:
        wrapped = self._stored(name)
        if wrapped is None:
            fresh = self._root.wrap(name, secrets.token_bytes(32))
            try:
                with writing(self._engine) as connection:
                    connection.execute(insert(wrapped_keys).values(name=name, wrapped=fresh, created_ms=self._clock.now_ms()))
                wrapped = fresh
            except IntegrityError:  # somebody else was first; theirs is the key
                wrapped = self._stored(name)
                if wrapped is None:
                    raise
        return self._root.unwrap(name, wrapped)

    def _stored(self, name: str) -> bytes | None:
        with reading(self._engine) as connection:
            return connection.scalar(select(wrapped_keys.c.wrapped).where(wrapped_keys.c.name == name))
