"""Identifiers to pseudonyms. Each site has random, long-lived keys, wrapped by the root key, so a copy of the database names nobody.

A site's key can be replaced: the older one then still finds people, each moves to the newest at the next contact, and after a declared
time the older one is destroyed. These pseudonyms find a person's consent and nothing else: staged rows have others.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from consent import subjects_store as store
from consent.ports import PersonRows
from tacit.core.clock import Clock
from tacit.core.db import reading, writing
from tacit.core.errors import StorageUnavailable
from tacit.core.mac import Mac, derive, subject_bytes
from tacit.core.rootkey import RootKey

RECEIPT_BYTES = 16

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Ring:
    """The live keys of one site, newest first. A person has one pseudonym under each and rows under one of them."""

    versions: tuple[int, ...]
    macs: tuple[Mac, ...] = field(repr=False)
    receipts: Mac = field(repr=False)

    def pseudonyms(self, person: bytes) -> tuple[bytes, ...]:
        """From `subject_bytes`, 32 bytes each, newest first."""
        return tuple(mac.digest(person) for mac in self.macs)

    def on_receipt(self, receipt_id: str, person: bytes) -> bytes:
        """What stands for the person on one receipt: two receipts of a person have nothing in common for those without the key."""
        return self.receipts.digest(receipt_id.encode() + b"\0" + person)[:RECEIPT_BYTES]


class Subjects:
    """Pseudonyms of all sites of one intake vault. Safe for threads: every process reads the stored keys.

    `others` are rows of other rooms or parts that stand under the same pseudonym and move with it.
    """

    def __init__(self, engine: Engine, root: RootKey, clock: Clock, *, others: Sequence[PersonRows] = ()) -> None:
        self._engine, self._root, self._clock, self.others = engine, root, clock, tuple(others)
        self._rings: dict[str, Ring] = {}
        self._prints: dict[str, Mac] = {}

    def ring(self, site: str) -> Ring:
        """The keys as this process last saw them. Makes the first one, so not to be called inside a transaction."""
        found = self._rings.get(site)
        return found if found is not None else self.reload(site)

    def reload(self, site: str) -> Ring:
        """The keys as they are stored now. Not to be called inside a transaction."""
        for _ in range(_ATTEMPTS):
            with reading(self._engine) as connection:
                ring = self._load(site, connection)
            if ring is None:
                try:
                    with writing(self._engine) as connection:
                        self._make(site, 1, connection)
                except IntegrityError:
                    pass  # somebody else was first; theirs is the key
                continue
            self._rings[site] = ring
            return ring
        raise StorageUnavailable("the lookup keys cannot be read")

    def held(self, site: str, connection: Connection) -> Ring:
        """The keys, which stay as they are until `connection`'s transaction ends. `ring` must have been called for the site before."""
        store.hold(connection, site)
        known = self._rings.get(site)
        if known is None or store.live(connection, site) != known.versions:
            known = self._load(site, connection)
            if known is None:
                raise StorageUnavailable("the lookup keys cannot be read")
            self._rings[site] = known
        return known

    def settle(self, site: str, person: bytes, connection: Connection, *, ring: Ring | None = None) -> bytes:
        """The person's newest pseudonym, under which all rows stand from here on: what an older key still names is moved. `ring` is what
        `held` has just given in the same transaction.
        """
        newest, *older = (ring or self.held(site, connection)).pseudonyms(person)
        if older:
            for old in store.stands(connection, site, older):
                store.move(connection, site, old, newest)
            for rows in self.others:
                rows.move(connection, site, older, newest)
        return newest

    def bring_forward(self, site: str, people: Iterable[bytes]) -> None:
        """`settle` for people, from `subject_bytes`, in a transaction of its own."""
        self.ring(site)
        with writing(self._engine) as connection:
            for person in sorted(people):  # one order for all, so that two of these never wait for each other
                self.settle(site, person, connection)

    def pseudonym(self, site: str, id_type: str, subject: str) -> bytes:
        """A person's pseudonym under the newest key. May write on a site's first call: not inside a transaction."""
        return self.ring(site).macs[0].digest(subject_bytes(id_type, subject))

    def fingerprint(self, site: str, content: bytes) -> bytes:
        """A keyed hash of anything else that must be recognised and not be read, such as an idempotency key. Its key is never replaced."""
        found = self._prints.get(site)
        if found is None:
            found = self._prints[site] = Mac(self._kept(f"consent fingerprints {site}"))
        return found.digest(content)

    def make_next(self, site: str, connection: Connection, *, destroy_ms: int) -> int:
        """Replace the newest key by a fresh one; every older one ends at `destroy_ms`. Returns the new version."""
        store.hold(connection, site, alone=True)
        version = max((row.version for row in store.all_versions(connection, site)), default=0) + 1
        self._make(site, version, connection)
        store.retire(connection, site, version, destroy_ms=destroy_ms)
        return version

    def destroy_due(self, site: str, connection: Connection) -> tuple[int, ...]:
        """Destroy the keys whose time has come; their versions."""
        now_ms = self._clock.now_ms()
        store.hold(connection, site, alone=True)
        versions = store.due(connection, site, now_ms=now_ms)
        for version in versions:
            store.destroy(connection, site, version, _name(site, version), now_ms=now_ms)
        return versions

    def _load(self, site: str, connection: Connection) -> Ring | None:
        keys: list[bytes] = []
        versions = store.live(connection, site)
        for version in versions:
            wrapped = store.wrapped(connection, _name(site, version))
            if wrapped is None:
                return None  # destroyed between the two looks
            keys.append(self._root.unwrap(_name(site, version), wrapped))
        if not keys:
            return None
        return Ring(versions, tuple(map(Mac, keys)), Mac(derive(keys[0], "receipt")))

    def _make(self, site: str, version: int, connection: Connection) -> None:
        name, now_ms = _name(site, version), self._clock.now_ms()
        store.keep_key(connection, name, self._root.wrap(name, secrets.token_bytes(32)), now_ms=now_ms)
        store.add_version(connection, site, version, now_ms=now_ms)

    def _kept(self, name: str) -> bytes:
        with reading(self._engine) as connection:
            wrapped = store.wrapped(connection, name)
        if wrapped is None:
            fresh = self._root.wrap(name, secrets.token_bytes(32))
            try:
                with writing(self._engine) as connection:
                    store.keep_key(connection, name, fresh, now_ms=self._clock.now_ms())
                wrapped = fresh
            except IntegrityError:  # somebody else was first; theirs is the key
                return self._kept(name)
        return self._root.unwrap(name, wrapped)


def _name(site: str, version: int) -> str:
    return f"consent subjects {site}" + (f" {version}" if version > 1 else "")
