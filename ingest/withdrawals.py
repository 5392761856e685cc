"""A withdrawal reaches what is staged already: a tombstone for the person in every epoch that is not over.

Written in the same transaction as the withdrawal itself, so that once it is answered no later release contains the person. Tombstones name
people by the epoch's pseudonym and go with the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, insert, or_, select, update

from ingest.custody import Custody
from ingest.errors import EpochKeyLost
from ingest.pseudonyms import person
from ingest.staging import Staging
from ingest.tables import tombstones
from tacit.core.clock import Clock
from tacit.core.declaration import Declaration
from tacit.core.errors import UnknownSite

AHEAD_MS = 10 * 60_000
"""An event that passed the gate just before a withdrawal may still be on its way when the next epoch starts."""


class Withdrawals:
    """Implements `consent.ports.StagedData`. Uses the caller's transaction and no lock, since the caller holds the vault's."""

    def __init__(self, engine: Engine, custody: Custody, clock: Clock, declaration: Declaration, staging: Staging) -> None:
        self._engine, self._custody, self._clock = engine, custody, clock
        self._declaration, self._staging = declaration, staging

    def withdraw(self, site: str, id_type: str, subject: str, purposes: Sequence[str], connection: Connection) -> None:
        """Keep everything staged of the person and these purposes out of every later release, once `connection` commits."""
        if named := self._named(site, id_type, subject, purposes, connection):
            connection.execute(delete(tombstones).where(_any_of(named)))
            connection.execute(insert(tombstones).values([{**one, "until_ms": None} for one in named]))

    def readmit(self, site: str, id_type: str, subject: str, purposes: Sequence[str], connection: Connection) -> None:
        """Let what arrives from the next window on be released again; what was staged before stays out."""
        if named := self._named(site, id_type, subject, purposes, connection):
            window = self._staging.book(site).current()
            until_ms = self._clock.now_ms() if window is None else window.end
            connection.execute(update(tombstones).where(_any_of(named), tombstones.c.until_ms.is_(None)).values(until_ms=until_ms))

    def _named(
        self, site: str, id_type: str, subject: str, purposes: Sequence[str], connection: Connection
    ) -> list[dict[str, str | int | bytes]]:
        """What the person is called in each epoch and purpose, as a tombstone has it."""
        found: list[dict[str, str | int | bytes]] = []
        for epoch_ms, end_ms in self._epochs(site, connection):
            try:
                secret = self._custody.epoch_secret(site, epoch_ms, end_ms, connection)
            except EpochKeyLost:
                continue  # whatever was staged under it cannot be read by anybody either
            for purpose in purposes:
                who = person(secret, purpose, id_type, subject)
                found.append({"site": site, "epoch_ms": epoch_ms, "purpose": purpose, "person": who})
        return found

    def _epochs(self, site: str, connection: Connection) -> list[tuple[int, int]]:
        """The current epoch, a next one that is near, and earlier ones whose last windows are still to be released."""
        declared = self._declaration.sites.get(site)
        if declared is None:
            raise UnknownSite()
        now_ms = self._clock.now_ms()
        current = declared.privacy.span_of(now_ms)
        near = declared.privacy.span_of(now_ms + AHEAD_MS)
        window = self._staging.book(site).current()
        staged = declared.privacy.span_of(window.start) if window is not None else current  # ahead of us if the clock went back
        return sorted({current, near, staged, *self._custody.live_epochs(site, connection)})


def is_dead(site: str, epoch_ms: int, purpose: str, who: bytes, window_ms: int, connection: Connection) -> bool:
    """Whether rows of the person in a window that starts then are kept out of every release."""
    one: dict[str, str | int | bytes] = {"site": site, "epoch_ms": epoch_ms, "purpose": purpose, "person": who}
    row = connection.execute(select(tombstones.c.until_ms).where(_any_of([one]))).first()
    return row is not None and (row.until_ms is None or row.until_ms > window_ms)


def _any_of(named: Sequence[Mapping[str, str | int | bytes]]) -> ColumnElement[bool]:
    """One condition for all of them: a withdrawal under load pays for every statement."""
    return or_(*(and_(*(tombstones.c[name] == value for name, value in one.items())) for one in named))
