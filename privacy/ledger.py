"""The durable account of what has been promised and what is spent. Charged and committed before any noise is drawn.

The invariant: in every epoch the reservations sum to at most the rho promised when the epoch opened, whatever the configuration says
later and however many processes charge at once. A measure definition reserves its whole share once an epoch; each of its windows then
costs a person the reservation divided by `windows`, and the bounding keeps a person to that many windows.
Where undeclared keys are published, delta is reserved in the same way. Refusals depend on rho, delta, shares and bounds alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, Engine, func, insert, select, update

from privacy import accounting
from privacy.errors import EpochEnded, EpochMismatch
from privacy.models import ATTO, Window
from privacy.tables import charges, definitions, epochs, refusals, spends
from tacit.core.clock import Clock
from tacit.core.db import reading, writing
from tacit.core.declaration import Measure, Site
from tacit.core.evidence import Entry, EvidenceLog, canonical

BUDGET_EXHAUSTED, SHARE_TOO_SMALL, DELTA_EXHAUSTED = "budget_exhausted", "share_too_small", "delta_exhausted"


@dataclass(frozen=True, slots=True)
class Charge:
    """What one release may cost: its window's part of what the measure has reserved. Only undeclared keys use delta."""

    rho_pico: int
    delta_atto: int = 0


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch's promise."""

    site: str
    start_ms: int
    end_ms: int
    rho_pico: int
    keys_atto: int


class Ledger:
    """Promises, reservations and charges in the released vault."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def open_epoch(self, site: Site, epoch_ms: int) -> Epoch:
        """The epoch's promise; made now where there is none. Raises `EpochMismatch`, `EpochEnded`."""
        rho, _ = accounting.terms_of(site)
        with writing(self._engine) as connection:
            _alone(connection)
            return _open(connection, site, epoch_ms, rho)

    def charge(self, site: Site, window: Window, measures: Sequence[Measure]) -> dict[int, Charge]:
        """The admitted measures' ids, each with what its release of this window may cost.

        Safe to repeat: a charge that stands is answered again and never made twice. What does not fit is noted as refused.
        Raises `EpochMismatch`, `EpochEnded`.
        """
        rho, _ = accounting.terms_of(site)
        with writing(self._engine) as connection:
            _alone(connection)
            epoch = _open(connection, site, window.epoch_ms, rho)
            if not (epoch.start_ms <= window.start_ms < window.end_ms <= epoch.end_ms):
                raise EpochMismatch("The window does not lie within its epoch.")
            limit = Charge(min(epoch.rho_pico, rho), min(epoch.keys_atto, accounting.atto(site.delta_for_keys)))
            return _Charging(connection, epoch, window, limit, self._clock.now_ms()).admit(site, measures)

    def end_epoch(self, site: str, epoch_ms: int) -> None:
        """Admit nothing more to an epoch. Safe to repeat."""
        key = (epochs.c.site == site, epochs.c.start_ms == epoch_ms, epochs.c.ended_ms.is_(None))
        with writing(self._engine) as connection:
            _alone(connection)
            connection.execute(update(epochs).where(*key).values(ended_ms=self._clock.now_ms()))

    def over(self, site: str, until_ms: int) -> list[Epoch]:
        """The epochs that ended by `until_ms` and of which something may be left to destroy, oldest first."""
        here = (epochs.c.site == site, epochs.c.end_ms <= until_ms, epochs.c.destroyed_ms.is_(None))
        with reading(self._engine) as connection:
            rows = connection.execute(select(epochs).where(*here).order_by(epochs.c.start_ms)).all()
        return [Epoch(r.site, r.start_ms, r.end_ms, r.rho_pico, r.keys_atto) for r in rows]

    def destroyed(self, epoch: Epoch, entries: Sequence[Entry], evidence: EvidenceLog) -> None:
        """Note that nothing is left of an ended epoch, with what the evidence log says of it. Safe to repeat: it is noted once."""
        key = (epochs.c.site == epoch.site, epochs.c.start_ms == epoch.start_ms, epochs.c.destroyed_ms.is_(None))
        with writing(self._engine) as connection:
            _alone(connection)
            if connection.execute(update(epochs).where(*key).values(destroyed_ms=self._clock.now_ms())).rowcount:
                evidence.append(entries, connection)


@dataclass(frozen=True, slots=True)
class _Charging:
    """One transaction's view of the epoch. `limit` is the smaller of the epoch's promise and today's configuration."""

    connection: Connection
    epoch: Epoch
    window: Window
    limit: Charge
    now_ms: int

    def admit(self, site: Site, measures: Sequence[Measure]) -> dict[int, Charge]:
        mine = (spends.c.site == site.name, spends.c.epoch_ms == self.epoch.start_ms)
        reserved = {r.measure_id: Charge(r.rho_pico, r.delta_atto) for r in self.connection.execute(select(spends).where(*mine))}
        here = (charges.c.site == site.name, charges.c.window_ms == self.window.start_ms)
        charged = {r.measure_id: Charge(r.rho_pico, r.delta_atto) for r in self.connection.execute(select(charges).where(*here))}
        admitted: dict[int, Charge] = {}
        for measure in {m.id: m for m in measures}.values():
            if measure.id not in charged:
                if measure.id not in reserved:
                    wanted = self._wanted(site, measure)
                    if reason := self._refusal(measure, wanted, _sum(reserved.values())):
                        self._refuse(measure, wanted.rho_pico, reason)
                        continue
                    self._reserve(measure, wanted)
                    reserved[measure.id] = wanted
                charged[measure.id] = _part(measure, reserved[measure.id])
                self._charge(measure, charged[measure.id])
            admitted[measure.id] = charged[measure.id]
        self._note_spent(site, _sum(reserved.values()).rho_pico)
        return admitted

    def _wanted(self, site: Site, measure: Measure) -> Charge:
        delta = accounting.atto(site.privacy.delta * measure.keys.delta_share) if measure.keys else 0
        return Charge(accounting.share_of(self.limit.rho_pico, measure.share), delta)

    def _refusal(self, measure: Measure, wanted: Charge, spent: Charge) -> str:
        part = _part(measure, wanted)
        if not accounting.affordable(measure, part.rho_pico) or (measure.keys and not part.delta_atto):
            return SHARE_TOO_SMALL
        if spent.delta_atto + wanted.delta_atto > self.limit.delta_atto and wanted.delta_atto:
            return DELTA_EXHAUSTED
        return BUDGET_EXHAUSTED if spent.rho_pico + wanted.rho_pico > self.limit.rho_pico else ""

    def _reserve(self, measure: Measure, wanted: Charge) -> None:
        at = {"site": self.epoch.site, "epoch_ms": self.epoch.start_ms, "measure_id": measure.id, "measure": measure.name}
        costs = {"rho_pico": wanted.rho_pico, "delta_atto": wanted.delta_atto}
        self.connection.execute(insert(spends).values(**at, **costs, at_ms=self.now_ms))
        if self.connection.scalar(select(func.count()).where(definitions.c.measure_id == measure.id)) == 0:
            text = canonical(measure.definition).decode()
            self.connection.execute(insert(definitions).values(measure_id=measure.id, definition=text))

    def _charge(self, measure: Measure, part: Charge) -> None:
        at = {"site": self.epoch.site, "window_ms": self.window.start_ms, "measure_id": measure.id}
        costs = {"rho_pico": part.rho_pico, "delta_atto": part.delta_atto}
        self.connection.execute(insert(charges).values(**at, **costs, state="charged", at_ms=self.now_ms))

    def _refuse(self, measure: Measure, wanted: int, reason: str) -> None:
        at = (refusals.c.site == self.epoch.site, refusals.c.epoch_ms == self.epoch.start_ms, refusals.c.measure_id == measure.id)
        if self.connection.scalar(select(func.count()).where(*at)) == 0:
            key = {"site": self.epoch.site, "epoch_ms": self.epoch.start_ms, "measure_id": measure.id, "measure": measure.name}
            self.connection.execute(insert(refusals).values(**key, wanted_pico=wanted, reason=reason, at_ms=self.now_ms))

    def _note_spent(self, site: Site, spent: int) -> None:
        key = (epochs.c.site == site.name, epochs.c.start_ms == self.epoch.start_ms)
        row = self.connection.execute(select(epochs.c.spent_pico, epochs.c.delta, epochs.c.keys_atto).where(*key)).one()
        if row.spent_pico != spent:
            epsilon = accounting.epsilon_of(spent, Decimal(row.delta) - Decimal(row.keys_atto) / ATTO)
            self.connection.execute(update(epochs).where(*key).values(spent_pico=spent, epsilon_spent=repr(epsilon)))


def _open(connection: Connection, site: Site, epoch_ms: int, rho: int) -> Epoch:
    terms = site.privacy
    end_ms = epoch_ms + terms.epoch_ms
    overlap = (epochs.c.site == site.name, epochs.c.start_ms < end_ms, epochs.c.end_ms > epoch_ms)
    rows = connection.execute(select(epochs).where(*overlap)).all()
    if epoch_ms % terms.epoch_ms or any((r.start_ms, r.end_ms) != (epoch_ms, end_ms) for r in rows):
        raise EpochMismatch()
    if rows:
        if rows[0].ended_ms is not None:
            raise EpochEnded()
        return Epoch(site.name, epoch_ms, end_ms, rows[0].rho_pico, rows[0].keys_atto)
    keys = accounting.atto(site.delta_for_keys)
    connection.execute(
        insert(epochs).values(
            site=site.name,
            start_ms=epoch_ms,
            end_ms=end_ms,
            epsilon=str(terms.epsilon),
            delta=str(terms.delta),
            keys_atto=keys,
            rho_pico=rho,
            spent_pico=0,
            epsilon_spent="0.0",
            accumulated=json.dumps(accounting.accumulation(rho, terms.delta - site.delta_for_keys)),
        )
    )
    return Epoch(site.name, epoch_ms, end_ms, rho, keys)


def _sum(several: Iterable[Charge]) -> Charge:
    listed = list(several)
    return Charge(sum(c.rho_pico for c in listed), sum(c.delta_atto for c in listed))


def _part(measure: Measure, reserved: Charge) -> Charge:
    """A window's part of a reservation."""
    return Charge(accounting.per_window(measure, reserved.rho_pico), accounting.per_window(measure, reserved.delta_atto))


def _alone(connection: Connection) -> None:
    """One writer of the ledger at a time. SQLite's `BEGIN IMMEDIATE` sees to it already; Postgres is asked for a lock."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("lock table epochs in share row exclusive mode")
