"""The SQL of notices. Every function works inside the caller's transaction.

A grant and a new version of its notice wait for each other (`hold`), so a grant is either found by the new version or finds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, text, update

from consent.models import Notice, State
from consent.notice_tables import notice_versions, served_notices
from consent.tables import consent_records, consent_state

_versions, _served = notice_versions.c, served_notices.c


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether the very text is registered, and whether a material change came after its version."""

    registered: bool
    outdated: bool


def hold(connection: Connection, site: str, notice: str, *, alone: bool) -> None:
    """Until the transaction ends, keep new versions of a notice out, or with `alone` everybody who relies on it. To be taken before any
    other lock. SQLite has one writer anyway.
    """
    if connection.dialect.name == "sqlite":
        return
    key = int.from_bytes(hashlib.sha256(f"notice\0{site}\0{notice}".encode()).digest()[:8], "big", signed=True)
    take = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    connection.execute(text(f"select {take}(:key)"), {"key": key})


def standing(connection: Connection, site: str, notice: Notice) -> Standing:
    """How the text that a person saw stands now. A version that nobody registered is older than every material change."""
    rows = versions(connection, site, notice.id)
    registered = any((row.version, row.locale, row.sha256) == (notice.version, notice.locale, notice.sha256) for row in rows)
    place = next((row.place for row in rows if row.version == notice.version), 0)
    return Standing(registered, any(row.material and row.place > place for row in rows))


def versions(connection: Connection, site: str, notice: str) -> Sequence[Row[Any]]:
    """All versions and locales of a notice, oldest version first."""
    query = select(notice_versions).where(_versions.site == site, _versions.notice == notice)
    return connection.execute(query.order_by(_versions.place, _versions.locale)).all()


def names(connection: Connection, site: str, *, after: str, limit: int) -> list[str]:
    """Names of a site's notices in order."""
    query = select(_versions.notice).where(_versions.site == site, _versions.notice > after).distinct()
    return list(connection.scalars(query.order_by(_versions.notice).limit(limit)))


def add(connection: Connection, row: dict[str, Any]) -> None:
    """Register one locale of one version."""
    connection.execute(insert(notice_versions).values(**row))


def add_text(connection: Connection, row: Row[Any], words: str) -> None:
    """Keep the words of a text of which only the hash was known."""
    here = (_versions.site == row.site, _versions.notice == row.notice, _versions.version == row.version, _versions.locale == row.locale)
    connection.execute(update(notice_versions).where(*here).values(text=words))


def make_stale(connection: Connection, site: str, notice: str, *, but: str) -> list[int]:
    """Make every grant under another version of a notice stale, also one that has lapsed: a clock may go back. The records it rested on."""
    rests = select(consent_records.c.seq).where(
        consent_records.c.site == site,
        consent_records.c.notice.startswith(f'{{"id":"{notice}",', autoescape=True),  # canonical JSON: id first, version last
        consent_records.c.notice.not_like(_ends_with_version(but), escape="/"),
    )
    grants = (consent_state.c.site == site, consent_state.c.state == State.GRANTED.value, consent_state.c.seq.in_(rests))
    changed = update(consent_state).where(*grants).values(state=State.STALE.value).returning(consent_state.c.seq)
    return sorted(connection.scalars(changed))


def serve(connection: Connection, site: str, pseudonym: bytes, *, notice: str, version: str, locale: str, now_ms: int) -> None:
    """Note that a text was shown to somebody: when first and when last."""
    _note(connection, {"site": site, "pseudonym": pseudonym, "notice": notice, "version": version, "locale": locale}, now_ms, now_ms)


def move_served(connection: Connection, site: str, old: Sequence[bytes], new: bytes) -> None:
    """Let what was shown to somebody under old pseudonyms stand under the new one. What stands there already keeps both its times."""
    here = (_served.site == site, _served.pseudonym.in_(old))
    for row in connection.execute(select(served_notices).where(*here)).all():
        key = {"site": site, "pseudonym": new, "notice": row.notice, "version": row.version, "locale": row.locale}
        _note(connection, key, row.first_ms, row.last_ms)
    connection.execute(delete(served_notices).where(*here))


def served(connection: Connection, site: str, pseudonyms: Sequence[bytes]) -> Sequence[Row[Any]]:
    """What was shown to somebody, in order, with the hash of the text."""
    texts = (
        (_versions.site == _served.site)
        & (_versions.notice == _served.notice)
        & (_versions.version == _served.version)
        & (_versions.locale == _served.locale)
    )
    query = select(served_notices, _versions.sha256).join(notice_versions, texts)
    return connection.execute(query.where(_served.site == site, _served.pseudonym.in_(pseudonyms)).order_by(_served.first_ms)).all()


def forget_served(connection: Connection, site: str, before_ms: int) -> int:
    """Delete what was shown last before a moment. How many."""
    return connection.execute(delete(served_notices).where(_served.site == site, _served.last_ms < before_ms)).rowcount


def forget_person(connection: Connection, site: str, pseudonym: bytes) -> int:
    """Delete what was shown to one person. How many."""
    return connection.execute(delete(served_notices).where(_served.site == site, _served.pseudonym == pseudonym)).rowcount


def last_place(connection: Connection, site: str, notice: str) -> int:
    """The place of a notice's newest version; 0 before the first."""
    query = select(func.max(_versions.place)).where(_versions.site == site, _versions.notice == notice)
    return int(connection.scalar(query) or 0)


def _note(connection: Connection, key: dict[str, Any], first_ms: int, last_ms: int) -> None:
    here = [_served[name] == value for name, value in key.items()]
    known = connection.execute(select(_served.first_ms, _served.last_ms).where(*here).with_for_update()).first()
    if known is None:
        connection.execute(insert(served_notices).values(**key, first_ms=first_ms, last_ms=last_ms))
    else:
        times = {"first_ms": min(first_ms, known.first_ms), "last_ms": max(last_ms, known.last_ms)}
        connection.execute(update(served_notices).where(*here).values(**times))


def _ends_with_version(version: str) -> str:
    escaped = version.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return f'%,"version":"{escaped}"}}'
