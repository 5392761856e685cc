"""Reads the stores behind the record of processing and the impact assessment pack, for the web and the command line alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from audit.log import Log
from audit.store import AuditStore
from privacy.budget import BudgetView
from privacy.plans import PlanStore
from privacy.releases import ReleaseStore
from tacit import dpia
from tacit.core.clock import Clock
from tacit.core.declaration import Declaration
from tacit.ropa import ropa


def readers(
    declaration: Declaration, released: Engine, clock: Clock
) -> tuple[Callable[[str], dict[str, Any]], Callable[[str], dict[str, Any]]]:
    """What makes a site's record of processing, and what makes its pack. Both read the released vault only."""
    releases = ReleaseStore(released)

    def ran(site: str, measure: str) -> int | None:
        found, _ = releases.list(site, measure=measure, limit=1)
        return found[0].window.end_ms if found else None

    def ropa_of(site: str) -> dict[str, Any]:
        return ropa(declaration.sites[site], ran=ran, now_ms=clock.now_ms())

    def dpia_of(site: str) -> dict[str, Any]:
        return dpia.pack(
            declaration.sites[site],
            budget=BudgetView(released),
            plans=PlanStore(released),
            audits=AuditStore(released),
            evidence=Log(released, clock),
            record_of_processing=ropa_of(site),
            now_ms=clock.now_ms(),
        )

    return ropa_of, dpia_of
