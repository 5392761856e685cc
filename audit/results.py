"""What a scan came to, as it is stored and shown. Plain Python: web processes read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit.differences import Verdict
from audit.store import Scan


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The outcome of one audit's scan, as it is stored and shown."""

    scan: Scan
    opened: tuple[str, ...] = ()
    """Ids of findings that this scan opened, for the first time or again."""
    reopened: tuple[str, ...] = ()
    """Those of them that had been decided or closed before."""

    @property
    def audit(self) -> str:
        """The audit's name."""
        return self.scan.audit

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all comparisons."""
        return Verdict(self.scan.verdict)

    @property
    def sentence(self) -> str:
        """The outcome in one line, the interval of the clearest difference before its point."""
        head = f"{self.scan.site} {self.scan.audit}: {self.scan.verdict}"
        judged = [c for c in self.scan.result["comparisons"] if c["verdict"] == self.scan.verdict]
        shown = [c for c in judged if c["interval"] is not None]
        if self.verdict in (Verdict.BREACH, Verdict.ATTENTION) and shown:
            one = max(shown, key=lambda c: abs(c["difference"]))
            low, high = (100 * edge for edge in one["interval"])
            return f"{head}. {one['subject']}: {low:+.1f} to {high:+.1f} points from the rest (best guess {100 * one['difference']:+.1f})."
        releases = self.scan.result["releases"]
        of = f"{len(judged)} of {len(self.scan.result['comparisons'])} comparisons"
        return f"{head} ({of}, {releases} release{'' if releases == 1 else 's'})."

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return self.scan.to_json() | {"opened": list(self.opened), "reopened": list(self.reopened)}
