"""The ledger as pages and `GET /v1/budget` read it: what each epoch promises, what is reserved of it, what was refused.

Reading costs nothing, and everything here is public: it depends on the configuration and the time, never on what people did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, select

from privacy.models import ATTO, PICO
from privacy.tables import epochs, refusals, spends
from tacit.core.clock import iso
from tacit.core.db import reading


@dataclass(frozen=True, slots=True)
class Spend:
    """What one measure definition has reserved of an epoch."""

    measure: str
    measure_id: int
    rho_pico: int
    at_ms: int
    delta_atto: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A measure that did not fit into what was left of an epoch; it starts with the next one."""

    measure: str
    measure_id: int
    wanted_pico: int
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class EpochBudget:
    """One epoch's promise and its spends. `accumulated` is the epsilon over so many epochs for a person present in all of them."""

    site: str
    start_ms: int
    end_ms: int
    epsilon: str
    delta: str
    rho_pico: int
    spent_pico: int
    epsilon_spent: str
    accumulated: Mapping[str, float]
    ended_ms: int | None
    spends: tuple[Spend, ...]
    refusals: tuple[Refusal, ...]
    keys_atto: int = 0

    def to_json(self) -> dict[str, Any]:
        """The public form; rho in its natural unit, and in the whole numbers in which the ledger and the plan have it."""
        return {
            "epoch": {"start": iso(self.start_ms), "end": iso(self.end_ms), "ended": None if self.ended_ms is None else iso(self.ended_ms)},
            "epsilon": {"promised": float(self.epsilon), "spent": float(self.epsilon_spent)},
            "delta": float(self.delta),
            "delta_for_keys": {"promised": self.keys_atto / ATTO, "spent": sum(s.delta_atto for s in self.spends) / ATTO},
            "rho": {
                "promised": self.rho_pico / PICO,
                "spent": self.spent_pico / PICO,
                "promised_pico": self.rho_pico,
                "spent_pico": self.spent_pico,
            },
            "accumulated": dict(self.accumulated),
            "spends": [
                {
                    "measure": s.measure,
                    "rho": s.rho_pico / PICO,
                    "rho_pico": s.rho_pico,
                    "delta": s.delta_atto / ATTO,
                    "delta_atto": s.delta_atto,
                    "at": iso(s.at_ms),
                }
                for s in self.spends
            ],
            "refused": [{"measure": r.measure, "rho": r.wanted_pico / PICO, "reason": r.reason, "at": iso(r.at_ms)} for r in self.refusals],
        }


class BudgetView:
    """Reads the ledger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def epochs(self, site: str, limit: int = 30) -> list[EpochBudget]:
        """The latest epochs, newest first."""
        query = select(epochs).where(epochs.c.site == site).order_by(epochs.c.start_ms.desc()).limit(limit)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
            oldest = rows[-1].start_ms if rows else 0
            spent = connection.execute(
                select(spends).where(spends.c.site == site, spends.c.epoch_ms >= oldest).order_by(spends.c.at_ms, spends.c.measure)
            ).all()
            refused = connection.execute(
                select(refusals)
                .where(refusals.c.site == site, refusals.c.epoch_ms >= oldest)
                .order_by(refusals.c.at_ms, refusals.c.measure)
            ).all()
        return [_epoch(r, [s for s in spent if s.epoch_ms == r.start_ms], [s for s in refused if s.epoch_ms == r.start_ms]) for r in rows]

    def current(self, site: str, now_ms: int) -> EpochBudget | None:
        """The epoch that holds a moment, or the latest before it."""
        return next((e for e in self.epochs(site) if e.start_ms <= now_ms), None)


def _epoch(row: Row[Any], spent: list[Row[Any]], refused: list[Row[Any]]) -> EpochBudget:
    return EpochBudget(
        site=row.site,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        epsilon=row.epsilon,
        delta=row.delta,
        rho_pico=row.rho_pico,
        spent_pico=row.spent_pico,
        epsilon_spent=row.epsilon_spent,
        accumulated=json.loads(row.accumulated),
        ended_ms=row.ended_ms,
        spends=tuple(Spend(s.measure, s.measure_id, s.rho_pico, s.at_ms, s.delta_atto) for s in spent),
        refusals=tuple(Refusal(r.measure, r.measure_id, r.wanted_pico, r.reason, r.at_ms) for r in refused),
        keys_atto=row.keys_atto,
    )
