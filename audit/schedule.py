"""Scheduled scans: each slot of each audit is scanned exactly once, by whichever process comes first.

A slot is claimed under a lease. The result, the findings and the end of the claim are one transaction. So a process that dies leaves
nothing behind and the next one takes the slot over when the lease has run out; one that was only asleep finds its claim gone and writes
nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from audit.errors import SlotBusy, SlotInvalid, SlotNotReady
from audit.results import ScanResult
from audit.scan import Scanner, SlotTakenOver
from audit.slots import due, slot_at
from audit.store import AuditStore
from privacy.releases import ReleaseStore
from tacit.core.claims import Claims
from tacit.core.clock import Clock, from_iso, iso
from tacit.core.declaration import Audit, Site

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 150.0
"""How long a command waits for another process's scan: two leases and a half."""


class Schedule:
    """Runs slots for one process. Reads releases and writes findings; it is handed nothing that could spend budget."""

    def __init__(self, claims: Claims, scanner: Scanner, releases: ReleaseStore, store: AuditStore, clock: Clock) -> None:
        self._claims, self._scanner, self._releases, self._store, self._clock = claims, scanner, releases, store, clock
        self._handled: dict[tuple[str, str], int] = {}

    def run_due(self, site: Site) -> list[ScanResult]:
        """Scan every slot that is due, the missed ones too, oldest first.

        A slot is due when all windows that end before it are decided and their releases checked. Slots that another process holds are left
        to it, and are looked at again at the next call.
        """
        closed = self._releases.last_closed(site.name)
        waiting = [a for a in site.audits.values() if closed is not None and self._newest(site, a) != slot_at(a.terms, closed)]
        if closed is None or not waiting or self._releases.unchecked(site.name):
            return []
        return [result for audit in waiting for result in self._run_due(site, audit, closed)]

    def run_named(self, site: Site, text: str) -> list[ScanResult]:
        """Every audit's result of a slot as somebody writes it: a moment in ISO 8601, or a whole number that only labels the run.

        Raises `SlotInvalid`, `SlotNotReady` and `SlotBusy`.
        """
        if re.fullmatch(r"\d{1,18}", text):
            return [self.await_slot(site, audit, int(text)) for audit in site.audits.values()]
        try:
            at_ms = from_iso(text)
        except ValueError:
            raise SlotInvalid from None
        return [self.run_moment(site, audit, at_ms) for audit in site.audits.values()]

    def run_moment(self, site: Site, audit: Audit, at_ms: int) -> ScanResult:
        """The result of the newest slot at a moment or before it, scanned now if it was not. Raises `SlotNotReady` and `SlotBusy`."""
        slot = slot_at(audit.terms, at_ms)
        closed = self._releases.last_closed(site.name)
        if closed is None or closed < slot or self._releases.unchecked(site.name):
            raise SlotNotReady(f"windows before {iso(slot)} are still open or unchecked")
        return self.await_slot(site, audit, slot, until_ms=slot)

    def await_slot(self, site: Site, audit: Audit, slot: int, *, until_ms: int | None = None) -> ScanResult:
        """The result of a slot, also if another process is at it: if that one dies, this one takes over. Raises `SlotBusy`."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (result := self.run(site, audit, slot, until_ms=until_ms)) is None:
            if time.monotonic() > deadline:
                raise SlotBusy
            time.sleep(POLL_SECONDS)
        return result

    def run(self, site: Site, audit: Audit, slot: int, *, until_ms: int | None = None) -> ScanResult | None:
        """The result of a slot, scanned now if nobody has; None while another process holds it.

        Only windows that end by `until_ms` are read, so that a slot made up for says what it would have said in time.
        """
        job = f"scan:{site.name}:{audit.name}"
        if (done := self._store.scan_of_slot(site.name, audit.name, slot)) is not None:
            return ScanResult(done)
        if self._claims.take(job, slot, now_ms=self._clock.now_ms()):
            settle: Callable[..., bool] = lambda connection: self._claims.settle(job, slot, connection)  # noqa: E731 - one use
            try:
                return self._scanner.scan_audit(site, audit, slot, until_ms=until_ms, settle=settle)
            except SlotTakenOver:
                pass
        done = self._store.scan_of_slot(site.name, audit.name, slot)
        return ScanResult(done) if done is not None else None

    def _run_due(self, site: Site, audit: Audit, closed: int) -> list[ScanResult]:
        first = self._releases.first_window(site.name, f"audit.{audit.name}")
        if first is None:
            return []
        newest = slot_at(audit.terms, closed)
        oldest = slot_at(audit.terms, closed) - (audit.terms.catch_up - 1) * audit.terms.schedule_ms
        given_up = self._store.last_skipped(site.name, audit.name)
        base = max(first, given_up or first, self._store.last_slot(site.name, audit.name, before=oldest) or first)
        owed = due(audit.terms, after_ms=base, until_ms=closed)
        if owed.skipped:
            self._scanner.skip(site, audit, owed.skipped)
        known = self._store.slots_since(site.name, audit.name, oldest)
        results = [self.run(site, audit, slot, until_ms=slot) for slot in owed.slots if slot not in known]
        if None not in results:
            self._handled[site.name, audit.name] = newest
        return [result for result in results if result is not None]

    def _newest(self, site: Site, audit: Audit) -> int | None:
        return self._handled.get((site.name, audit.name))
