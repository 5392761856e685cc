"""The gate: may this person be counted for this purpose, now? Only a current grant admits; everything unknown is refused.

Every look reads the latest commit. Nothing is cached: a cached grant would let rows in after a withdrawal has been answered.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError

from consent.models import Standing, State
from consent.rules import OPT_OUT_REGIME, PRESUMED_NECESSARY, Rules, SiteRules
from consent.subjects import Subjects
from tacit.core.clock import Clock
from tacit.core.errors import StorageUnavailable
from tacit.core.mac import subject_bytes

BATCH = 1_000
"""The most pseudonyms one query asks for."""

MAPPED_BYTES = 1 << 30

Row = tuple[bytes, str | None, str, int | None, str | None]
"""A pseudonym's purpose, state, expiry and place; or, without a purpose, the version of a live key where the expiry would be."""

_ATTEMPTS = 10


class Outcome(StrEnum):
    """Only `allow` admits. `gap` is a case that the rules do not cover: refused like `deny`, and for somebody to look at."""

    ALLOW = "allow"
    DENY = "deny"
    GAP = "gap"


class Reason(StrEnum):
    """Why; stable codes that app developers see."""

    GRANTED = "granted"
    OPT_OUT_REGIME = "opt_out_regime"
    BIAS_DETECTION = "bias_detection"
    NO_CONSENT = "no_consent"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"
    RESTRICTED = "restricted"
    EXPIRED = "expired"
    STALE = "stale"
    MINOR = "minor"
    GPC = "gpc"
    TCF = "tcf"
    GPP = "gpp"
    SIGNAL_INVALID = "signal_invalid"
    SIGNAL_UNREADABLE = "signal_unreadable"
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

_PRESUMED = {
    OPT_OUT_REGIME: Decision(Outcome.ALLOW, Reason.OPT_OUT_REGIME),
    PRESUMED_NECESSARY: Decision(Outcome.ALLOW, Reason.BIAS_DETECTION),
}
_SAID = {said: Decision(Outcome.DENY, said) for said in (Reason.WITHDRAWN, Reason.OBJECTED, Reason.RESTRICTED)}
"""What a person has said about the purpose itself: told as such, whatever the browser says."""

_LESS = {
    cause: Decision(Outcome.DENY, cause)
    for cause in (
        Reason.REFUSED,
        Reason.STALE,
        Reason.MINOR,
        Reason.GPC,
        Reason.TCF,
        Reason.GPP,
        Reason.SIGNAL_INVALID,
        Reason.SIGNAL_UNREADABLE,
    )
}


def decide(state: Standing | None, *, gpc: bool, now_ms: int) -> Decision:
    """The answer for one standing. Global Privacy Control turns a grant into a refusal and never the other way round.

    >>> decide(None, gpc=False, now_ms=0).reason.value
    'no_consent'
    """
    if state is None:
        return _NO_CONSENT
    said, expires_ms = state
    if said == State.GRANTED:
        if gpc:
            return _GPC
        return _EXPIRED if expires_ms is not None and expires_ms <= now_ms else _ALLOW
    if (against := _SAID.get(said)) is not None:  # type: ignore[call-overload]  # a StrEnum's members are equal to their text
        return against  # type: ignore[no-any-return]
    found = _LESS.get(said) or _PRESUMED.get(state)  # type: ignore[call-overload]
    if found is None:
        return _GAP
    return _GPC if gpc else found


_PLACE, _NO_PLACE = "jurisdiction", "NULL"


class Gate:
    """Reads current states. One connection a thread, outside the pool, with a transaction of its own for every look.

    Works on the driver's cursor: it is the one query on the way of every event, and SQLAlchemy's part would be a sixth of its time.
    """

    def __init__(self, engine: Engine, subjects: Subjects, clock: Clock, *, rules: Rules | None = None) -> None:
        self._engine, self._subjects, self._clock = engine, subjects, clock
        self._rules = rules or Rules()
        self._local = threading.local()
        self._open: list[DBAPIConnection] = []
        self._error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._mark = "?" if engine.dialect.paramstyle == "qmark" else "%s"
        self._texts: dict[tuple[int, str], str] = {}

    def states(self, site: str, pseudonyms: Sequence[bytes]) -> dict[bytes, dict[str, Standing]]:
        """What is stored under these pseudonyms, by purpose; nothing is presumed of the silent. Raises `StorageUnavailable`."""
        found: dict[bytes, dict[str, Standing]] = {}
        self._look(site, pseudonyms, BATCH, found)
        return found

    def standings(self, site: str, people: Sequence[bytes]) -> tuple[dict[bytes, dict[str, Standing]], list[bytes]]:
        """What stands for each person of `subject_bytes`, under whichever key, and those who stand under an older one. Without a record
        nothing does, unless the site's rules presume something of the silent.

        The look itself says which keys are live, so that a key which another process has just made is never missed. Raises
        `StorageUnavailable`.
        """
        if not people:
            return {}, []
        declared, now_ms = self._rules.of(site), self._clock.now_ms()
        ring = self._subjects.ring(site)
        for _ in range(_ATTEMPTS):
            rules = declared.with_keys(ring.versions)
            places: dict[bytes, set[str | None]] | None = {} if rules.presumed(now_ms=now_ms) else None
            newest, *older = ring.macs
            owners = {mac.digest(person): person for person in people for mac in ring.macs}
            found: dict[bytes, dict[str, Standing]] = {}
            # One statement for all pseudonyms of a person: between two, the person could move from the one to the other and seem silent.
            if self._look(site, list(owners), max(1, BATCH // len(ring.macs)) * len(ring.macs), found, places) == set(ring.versions):
                said = {owners[pseudonym]: purposes for pseudonym, purposes in found.items()}
                met = [owners[p] for p in found if newest.digest(owners[p]) != p] if older else []
                if places is not None:
                    said = _with_silent(people, said, {owners[p]: named for p, named in places.items()}, rules, now_ms=now_ms)
                return said, met
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

    def _look(
        self,
        site: str,
        pseudonyms: Sequence[bytes],
        at_once: int,
        found: dict[bytes, dict[str, Standing]],
        places: dict[bytes, set[str | None]] | None = None,
    ) -> set[int]:
        """Put what stands into `found`, by pseudonym and purpose, and where it was said into `places`; the versions of the live keys."""
        versions: set[int] = set()
        if places is not None:
            places.clear()
        for start in range(0, len(pseudonyms), at_once):
            rows = self._rows(site, pseudonyms[start : start + at_once], _NO_PLACE if places is None else _PLACE)
            for pseudonym, purpose, state, expires_ms, place in rows:
                if purpose is None:
                    versions.add(cast(int, expires_ms))
                    continue
                person = found.get(pseudonym)
                if person is None:
                    found[pseudonym] = {purpose: (state, expires_ms)}
                else:
                    person[purpose] = (state, expires_ms)
                if places is not None:
                    places.setdefault(pseudonym, set()).add(place)
        return versions

    def _rows(self, site: str, pseudonyms: Sequence[bytes], place: str) -> Sequence[Row]:
        # Filled up to a power of two, a handful of statements serves all batches and stays prepared.
        size = 1 << (len(pseudonyms) - 1).bit_length()
        parameters = (site, *pseudonyms, *(pseudonyms[0],) * (size - len(pseudonyms)), site)
        try:
            return self._read(self._text(size, place), parameters)
        except self._error:
            pass  # the server may have been restarted since this thread's last look: once more with a new connection
        try:
            return self._read(self._text(size, place), parameters)
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
            if self._engine.dialect.name == "sqlite":
                _map(connection)
            self._local.connection = connection
            self._open.append(connection)
        return connection

    def _drop(self, connection: DBAPIConnection) -> None:
        self._local.connection = None
        if connection in self._open:
            self._open.remove(connection)
        connection.close()

    def _text(self, size: int, place: str) -> str:
        text = self._texts.get((size, place))
        if text is None:
            marks = ", ".join([self._mark] * size)
            told = (
                "CASE WHEN objected_ms IS NOT NULL THEN 'objected' WHEN restricted_ms IS NOT NULL THEN 'restricted' "
                "ELSE coalesce(cause, state) END"
            )
            text = self._texts[size, place] = (
                f"SELECT pseudonym, purpose, {told}, expires_ms, {place} FROM consent_state "  # noqa: S608 - made of constants alone
                f"WHERE site = {self._mark} AND pseudonym IN ({marks}) UNION ALL "
                f"SELECT NULL, NULL, NULL, version, NULL FROM subject_keys WHERE site = {self._mark} AND destroyed_ms IS NULL"
            )
        return text


def _with_silent(
    people: Sequence[bytes],
    said: Mapping[bytes, dict[str, Standing]],
    places: Mapping[bytes, set[str | None]],
    rules: SiteRules,
    *,
    now_ms: int,
) -> dict[bytes, dict[str, Standing]]:
    """What stands for each of these people when something is presumed of those who have said nothing about a purpose."""
    return {p: {**rules.presumed_in(places.get(p, ()), now_ms=now_ms), **said.get(p, {})} for p in people}


def _map(connection: DBAPIConnection) -> None:
    """Read the database's pages where the system has them anyway, instead of copying each into a small cache of the connection."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA mmap_size={MAPPED_BYTES}")
    cursor.fetchall()
    cursor.close()
