"""What a page is built from: the declaration, a clock and readers of the released vault. Nothing here can write."""

from __future__ import annotations

from dataclasses import dataclass

from tacit.core.clock import Clock
from tacit.core.declaration import Declaration, Site
from tacit.core.errors import UnknownSite

from .ports import (
    AlertReader,
    BudgetReader,
    EvidenceReader,
    FindingReader,
    LiftReader,
    PlanReader,
    PolicyReader,
    ReleaseReader,
    ScanReader,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardServices:
    """Handed in by `tacit.wiring`."""

    declaration: Declaration
    releases: ReleaseReader
    budget: BudgetReader
    plans: PlanReader
    policies: PolicyReader
    lift: LiftReader
    scans: ScanReader
    findings: FindingReader
    evidence: EvidenceReader
    alerts: AlertReader
    clock: Clock

    def site(self, name: str) -> Site:
        """The declared site. Raises `UnknownSite`."""
        try:
            return self.declaration.sites[name]
        except KeyError:
            raise UnknownSite("the installation declares no site of that name") from None
