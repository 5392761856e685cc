"""Notices: the texts under which people choose, each version and locale with its hash, and who was shown which.

A version is registered once and never changes. One that is marked material makes every grant under an earlier version stale in the same
transaction, and a later grant that still names an earlier version is stale from the start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import IntegrityError

from consent import notices_store as store
from consent import outbox
from consent.errors import NoticeConflict, NoticeTextMismatch, NoticeUnknown
from consent.subjects import Subjects
from tacit.core.clock import Clock, iso
from tacit.core.db import reading, writing
from tacit.core.errors import StorageUnavailable
from tacit.core.evidence import Entry, EvidenceLog
from tacit.core.mac import subject_bytes

PAGE = 100
_ATTEMPTS = 10
_TOLD_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Text:
    """One locale of one version, as an officer hands it in. Without `sha256` it is the hash of `text`; one of the two is needed."""

    version: str
    locale: str
    sha256: str | None = None
    text: str | None = None
    material: bool = False

    def digest(self) -> str:
        """The hash of the text's bytes in UTF-8. Raises `NoticeTextMismatch`."""
        computed = hashlib.sha256(self.text.encode()).hexdigest() if self.text is not None else None
        stated = self.sha256.lower() if self.sha256 is not None else computed
        if stated is None or (computed is not None and computed != stated):
            raise NoticeTextMismatch
        return stated


class Notices:
    """The notices of all sites of one intake vault."""

    def __init__(self, engine: Engine, subjects: Subjects, evidence: EvidenceLog, clock: Clock) -> None:
        self._engine, self._subjects, self._evidence, self._clock = engine, subjects, evidence, clock

    def put(self, site: str, notice: str, given: Text, *, by: str) -> dict[str, Any]:
        """Register a text, and make grants stale if its version is new and material. Repeating it changes nothing.

        `by` names the key or the command, for the evidence log. Raises `NoticeConflict`, `NoticeTextMismatch`, `StorageUnavailable`.
        """
        sha256 = given.digest()
        for _ in range(_ATTEMPTS):
            try:
                added = self._add(site, notice, given, sha256)
                break
            except IntegrityError:  # Postgres: somebody registered the same text meanwhile
                continue
        else:
            raise StorageUnavailable("too many writes to one notice at once")
        if added:
            content = {"notice": notice, "version": given.version, "locale": given.locale, "sha256": sha256}
            self._evidence.append([Entry("notice.registered", site, {**content, "material": given.material, "by": by})])
        return self.get(site, notice)

    def get(self, site: str, notice: str) -> dict[str, Any]:
        """`{"id", "version", "versions": [...]}`, oldest first; `version` is the newest. Raises `NoticeUnknown`."""
        with reading(self._engine) as connection:
            rows = store.versions(connection, site, notice)
        if not rows:
            raise NoticeUnknown
        return _shown(notice, rows)

    def list(self, site: str, *, after: str = "", limit: int = PAGE) -> dict[str, Any]:
        """All notices of a site with their versions, without texts."""
        size = max(1, min(limit, PAGE))
        with reading(self._engine) as connection:
            names = store.names(connection, site, after=after, limit=size + 1)
            shown = [_shown(name, store.versions(connection, site, name), texts=False) for name in names[:size]]
        return {"notices": shown, "next": names[size - 1] if len(names) > size else None}

    def serve(self, site: str, notice: str, *, id_type: str, subject: str, version: str, locale: str) -> dict[str, Any]:
        """Record that a text was shown to somebody. Raises `NoticeUnknown` for one that is not registered."""
        person, now_ms = subject_bytes(id_type, subject), self._clock.now_ms()
        self._subjects.ring(site)  # before the transaction: the first call of a site makes its key
        for _ in range(_ATTEMPTS):
            try:
                with writing(self._engine) as connection:
                    known = store.versions(connection, site, notice)
                    found = next((row for row in known if (row.version, row.locale) == (version, locale)), None)
                    if found is None:
                        raise NoticeUnknown
                    pseudonym = self._subjects.settle(site, person, connection)
                    store.serve(connection, site, pseudonym, notice=notice, version=version, locale=locale, now_ms=now_ms)
                return {"notice": {"id": notice, "version": version, "locale": locale, "sha256": found.sha256}, "at": iso(now_ms)}
            except IntegrityError:  # Postgres: shown twice at once for the first time
                continue
        raise StorageUnavailable("too many writes for one person at once")

    def _add(self, site: str, notice: str, given: Text, sha256: str) -> bool:
        now_ms = self._clock.now_ms()
        with writing(self._engine) as connection:
            store.hold(connection, site, notice, alone=True)
            same_version = [row for row in store.versions(connection, site, notice) if row.version == given.version]
            if any(row.material != given.material for row in same_version):
                raise NoticeConflict("a version is material in all its locales or in none")
            for row in same_version:
                if row.locale == given.locale:
                    if row.sha256 != sha256:
                        raise NoticeConflict
                    if row.text is None and given.text is not None:
                        store.add_text(connection, row, given.text)
                    return False
            place = same_version[0].place if same_version else store.last_place(connection, site, notice) + 1
            content = {"version": given.version, "locale": given.locale, "sha256": sha256, "text": given.text}
            store.add(connection, {"site": site, "notice": notice, "place": place, **content, "material": given.material, "at_ms": now_ms})
            if given.material and not same_version:
                _make_stale(connection, site, notice, but=given.version, now_ms=now_ms)
        return True


def _make_stale(connection: Connection, site: str, notice: str, *, but: str, now_ms: int) -> None:
    seqs = store.make_stale(connection, site, notice, but=but)
    for start in range(0, len(seqs), _TOLD_AT_ONCE):
        outbox.stale(connection, site, seqs[start : start + _TOLD_AT_ONCE], now_ms=now_ms)


def _shown(notice: str, rows: Iterable[Row[Any]], *, texts: bool = True) -> dict[str, Any]:
    versions = [
        {"version": row.version, "locale": row.locale, "sha256": row.sha256, "material": row.material, "at": iso(row.at_ms)}
        | ({"text": row.text} if texts and row.text is not None else {})
        for row in rows
    ]
    return {"id": notice, "version": versions[-1]["version"], "versions": versions}
