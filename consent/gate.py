"""The gate: may this person be counted for this purpose, now? Only a current grant admits; everything unknown is refused.

Every look reads the latest commit. Nothing is cached: a cached grant would let rows in after a withdrawal has been answered.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError

from consent.models import State
from consent.subjects import Subjects
from tacit.core.clock import Clock
from tacit.core.errors import StorageUnavailable
from tacit.core.mac import subject_bytes

BATCH = 1_000
"""The most pseudonyms one query asks for."""

Standing = tuple[str, int | None]
"""A stored state and when it expires, in milliseconds."""

Row = tuple[bytes, str | None, str, int | None]
"""A pseudonym's purpose, state and expiry; or, without a purpose, the version of a live key where the expiry would be."""

_ATTEMPTS = 10


class Outcome(StrEnum):
    """Only `allow` admits. `gap` is a case that the rules do not cover: refused like `deny`, and for somebody to look at."""

    ALLOW = "allow"
    DENY = "deny"
    GAP = "gap"


class Reason(StrEnum):
    """Why; stable codes that app developers see."""

    GRANTED = "granted"
    NO_CONSENT = "no_consent"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    GPC = "gpc"
    OBJECTED = "objected"
    RESTRICTED = "restricted"
    UNKNOWN_STATE = "unknown_state"


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's answer for one person and purpose."""

    outcome: Outcome
    reason: str


_ALLOW = Decision(Outcome.ALLOW, Reason.GRANTED)
_GAP = Decision(Outcome.GAP, Reason.UNKNOWN_STATE)
_NO_CONSENT = Decision(Outcome.DENY, Reason.NO_CONSENT)
_EXPIRED = Decision(Outcome.DENY, Reason.EXPIRED)
_GPC = Decision(Outcome.DENY, Reason.GPC)
_REMOVED = {
    State.REFUSED: Decision(Outcome.DENY, Reason.REFUSED),
    State.WITHDRAWN: Decision(Outcome.DENY, Reason.WITHDRAWN),
    State.OBJECTED: Decision(Outcome.DENY, Reason.OBJECTED),
    State.RESTRICTED: Decision(Outcome.DENY, Reason.RESTRICTED),
}


def decide(state: Standing | None, *, gpc: bool, now_ms: int) -> Decision:
    """The answer for one stored state. Global Privacy Control turns a grant into a refusal and never the other way round.

    >>> decide(None, gpc=False, now_ms=0).reason.value
    'no_consent'
    """
    if state is None:
        return _NO_CONSENT
    said, expires_ms = state
    if gpc and said in (State.GRANTED, State.REFUSED):
        return _GPC  # a refusal that the signal made is reported as the signal's
    if said != State.GRANTED:
        return _REMOVED.get(said, _GAP)  # type: ignore[call-overload, no-any-return]  # a StrEnum's members are equal to their text
    if expires_ms is not None and expires_ms <= now_ms:
        return _EXPIRED
    return _ALLOW


class Gate:
    """Reads current states. One connection a thread, outside the pool, with a transaction of its own for every look.

    Works on the driver's cursor: it is the one query on the way of every event, and SQLAlchemy's part would be a sixth of its time.
    """

    def __init__(self, engine: Engine, subjects: Subjects, clock: Clock) -> None:
        self._engine, self._subjects, self._clock = engine, subjects, clock
        self._local = threading.local()
        self._open: list[DBAPIConnection] = []
        self._error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._mark = "?" if engine.dialect.paramstyle == "qmark" else "%s"
        self._texts: dict[int, str] = {}

    def states(self, site: str, pseudonyms: Sequence[bytes]) -> dict[bytes, dict[str, Standing]]:
        """What stands under these pseudonyms, by purpose; nobody without a record is in it. Raises `StorageUnavailable`."""
        return self._look(site, pseudonyms)[1]

    def _look(self, site: str, pseudonyms: Sequence[bytes]) -> tuple[set[int], dict[bytes, dict[str, Standing]]]:
        found: dict[bytes, dict[str, Standing]] = {}
        versions: set[int] = set()
        for start in range(0, len(pseudonyms), BATCH):
            for pseudonym, purpose, state, expires_ms in self._rows(site, pseudonyms[start : start + BATCH]):
                if purpose is None:
                    versions.add(cast(int, expires_ms))
                    continue
                person = found.get(pseudonym)
                if person is None:
                    found[pseudonym] = {purpose: (state, expires_ms)}
                else:
                    person[purpose] = (state, expires_ms)
        return versions, found

    def standings(self, site: str, people: Sequence[bytes]) -> tuple[dict[bytes, dict[str, Standing]], list[bytes]]:
        """What each person of `subject_bytes` said, under whichever key they stand, and those who stand under an older one.

        The look itself says which keys are live, so that a key which another process has just made is never missed. Raises
        `StorageUnavailable`.
        """
        ring = self._subjects.ring(site)
        for _ in range(_ATTEMPTS):
            newest, *older = ring.macs
            owners = {newest.digest(person): person for person in people}
            old = {mac.digest(person): person for mac in older for person in people}
            versions, found = self._look(site, [*owners, *old])
            if versions == set(ring.versions):
                owners |= old
                return {owners[p]: said for p, said in found.items()}, [old[p] for p in found if p in old] if old else []
            ring = self._subjects.reload(site)
        raise StorageUnavailable("the lookup keys change faster than they can be read")

    def check(self, site: str, id_type: str, subject: str, purpose: str, *, gpc: bool = False) -> Decision:
        """The answer for one person and purpose, now. Raises `StorageUnavailable`, which admits nobody."""
        person = subject_bytes(id_type, subject)
        state = self.standings(site, [person])[0].get(person, {}).get(purpose)
        return decide(state, gpc=gpc, now_ms=self._clock.now_ms())

    def close(self) -> None:
        """Close the connections of all threads. For the end of a process."""
        while self._open:
            self._open.pop().close()
        self._local = threading.local()

    def _rows(self, site: str, pseudonyms: Sequence[bytes]) -> Sequence[Row]:
        # Filled up to a power of two, a handful of statements serves all batches and stays prepared.
        size = 1 << (len(pseudonyms) - 1).bit_length()
        parameters = (site, *pseudonyms, *(pseudonyms[0],) * (size - len(pseudonyms)), site)
        try:
            return self._read(self._text(size), parameters)
        except self._error:
            pass  # the server may have been restarted since this thread's last look: once more with a new connection
        try:
            return self._read(self._text(size), parameters)
        except self._error as error:
            raise StorageUnavailable("consent cannot be read") from error

    def _read(self, text: str, parameters: tuple[object, ...]) -> Sequence[Row]:
        connection = self._connection()
        try:
            cursor = connection.cursor()
            cursor.execute(text, parameters)
            rows = cursor.fetchall()
            cursor.close()
            connection.rollback()  # ends the look's transaction, so that the next one sees what was committed since
        except BaseException:
            self._drop(connection)
            raise
        return rows

    def _connection(self) -> DBAPIConnection:
        connection: DBAPIConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            try:
                pooled = self._engine.raw_connection()
            except SQLAlchemyError as error:
                raise StorageUnavailable("consent cannot be read") from error
            pooled.detach()  # threads keep theirs, so the pool must not count it
            connection = cast(DBAPIConnection, pooled.dbapi_connection)
            self._local.connection = connection
            self._open.append(connection)
        return connection

    def _drop(self, connection: DBAPIConnection) -> None:
        self._local.connection = None
        if connection in self._open:
            self._open.remove(connection)
        connection.close()

    def _text(self, size: int) -> str:
        text = self._texts.get(size)
        if text is None:
            marks = ", ".join([self._mark] * size)
            text = self._texts[size] = (
                "SELECT pseudonym, purpose, CASE WHEN objected_ms IS NOT NULL THEN 'objected' "  # noqa: S608 - made of placeholders alone
                "WHEN restricted_ms IS NOT NULL THEN 'restricted' ELSE state END, expires_ms FROM consent_state "
                f"WHERE site = {self._mark} AND pseudonym IN ({marks}) UNION ALL "
                f"SELECT NULL, NULL, NULL, version FROM subject_keys WHERE site = {self._mark} AND destroyed_ms IS NULL"
            )
        return text
