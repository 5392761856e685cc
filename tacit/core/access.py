"""API keys and what each may do. Only hashes are stored; a key is shown once, when it is made."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, Engine, LargeBinary, String, Table, insert, select, update

from tacit.core.db import reading, released_metadata, writing
from tacit.core.errors import Forbidden, Unauthenticated, UnknownKey, UnknownSite
from tacit.core.ids import new_id


class Role(StrEnum):
    """`write` may send events and ask for decisions; `app` also handles consent; `officer` reads and answers for findings and consent;
    `auditor` reads and verifies and changes nothing; `manager` reads and looks after policies; `admin` may do everything.
    """

    WRITE = "write"
    APP = "app"
    OFFICER = "officer"
    AUDITOR = "auditor"
    MANAGER = "manager"
    ADMIN = "admin"


SENDERS = frozenset({Role.WRITE, Role.APP, Role.ADMIN})
CONSENT_KEEPERS = frozenset({Role.APP, Role.ADMIN})
READERS = frozenset({Role.OFFICER, Role.AUDITOR, Role.MANAGER, Role.ADMIN})
RESPONSIBLE = frozenset({Role.OFFICER, Role.ADMIN})
"""Who decides on findings, signs them and says who is told."""

CREDENTIALS = {b"x-api-key": "x-api-key", b"authorization": "authorization"}
"""The headers that a key may stand in, as the server hands them over and as text."""

PUBLIC: dict[str, Any] = {"security": []}
"""`openapi_extra` of a path that needs no key; all others say in the OpenAPI document that they do."""
POLICY_WRITERS = frozenset({Role.MANAGER, Role.ADMIN})
POLICY_STOPPERS = frozenset({Role.OFFICER, Role.MANAGER, Role.ADMIN})

keys = Table(
    "api_keys",
    released_metadata,
    Column("id", String(40), primary_key=True),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("site", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking. `site` is `*` for an admin key."""

    key_id: str
    site: str
    role: Role

    def site_for(self, named: str | None) -> str:
        """The site a request is about: the key's own, or for an admin key the one it names."""
        if self.site != "*":
            if named and named != self.site:
                raise Forbidden("this key belongs to another site")
            return self.site
        if not named:
            raise UnknownSite("an admin key has to name the site")
        return named


def credentials(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Of a request's raw headers those that tell who is asking; nobody pays for decoding the others.

    >>> credentials([(b"host", b"localhost"), (b"x-api-key", b"tacit_write_x")])
    {'x-api-key': 'tacit_write_x'}
    """
    return {CREDENTIALS[name]: value.decode("latin-1") for name, value in headers if name in CREDENTIALS}


class KeyStore:
    """Keys in the released vault."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, site: str, role: Role, *, now_ms: int) -> str:
        """Make a key and return it, this one time."""
        key = f"tacit_{role.value}_{secrets.token_urlsafe(30)}"
        with writing(self._engine) as connection:
            connection.execute(
                insert(keys).values(id=new_id("key", now_ms=now_ms), sha256=_hash(key), site=site, role=role.value, created_ms=now_ms)
            )
        return key

    def all(self, site: str | None = None) -> list[dict[str, Any]]:
        """Every key that was made, oldest first, without the key itself; with `site` those of it and of admins."""
        found = select(keys.c.id, keys.c.role, keys.c.site, keys.c.created_ms, keys.c.revoked_ms).order_by(keys.c.created_ms, keys.c.id)
        if site is not None:
            found = found.where(keys.c.site.in_((site, "*")))
        with reading(self._engine) as connection:
            return [dict(row) for row in connection.execute(found).mappings()]

    def revoke(self, key_id: str, *, now_ms: int) -> None:
        """End a key; one that has ended already stays as it is. Raises `UnknownKey`."""
        with writing(self._engine) as connection:
            if connection.execute(select(keys.c.id).where(keys.c.id == key_id)).first() is None:
                raise UnknownKey
            connection.execute(update(keys).where(keys.c.id == key_id, keys.c.revoked_ms.is_(None)).values(revoked_ms=now_ms))

    def exists_any(self) -> bool:
        """Whether the installation has a key at all."""
        with reading(self._engine) as connection:
            return connection.execute(select(keys.c.id).limit(1)).first() is not None

    def identify(self, key: str) -> Caller:
        """The caller behind a key. Raises `Unauthenticated`."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(keys.c.id, keys.c.site, keys.c.role).where(keys.c.sha256 == _hash(key), keys.c.revoked_ms.is_(None))
            ).first()
        if row is None:
            raise Unauthenticated("the key is not known or was revoked")
        return Caller(row.id, row.site, Role(row.role))

    def by_id(self, key_id: str) -> Caller:
        """The caller behind a session that was opened with this key. Raises `Unauthenticated` once it is revoked."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(keys.c.id, keys.c.site, keys.c.role).where(keys.c.id == key_id, keys.c.revoked_ms.is_(None))
            ).first()
        if row is None:
            raise Unauthenticated("the session's key was revoked")
        return Caller(row.id, row.site, Role(row.role))


def _hash(key: str) -> bytes:
    """Keys have 240 random bits, so one SHA-256 is enough; there is nothing to guess."""
    return hashlib.sha256(key.encode()).digest()
