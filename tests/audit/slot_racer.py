"""One process of a race for slots: `python -m tests.audit.slot_racer URL FIRST LAST LEASE_MS [KILL_AT]`.

At `KILL_AT` it dies by SIGKILL in the middle of the transaction that stores the scan. Prints how many slots it scanned itself.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Sequence

from sqlalchemy import Connection

from audit.log import Log
from audit.scan import Scanner
from audit.schedule import Schedule
from audit.store import AuditStore
from privacy.releases import ReleaseStore
from tacit.core.claims import Claims
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.evidence import Entry
from tests.audit.examples import example_site


class DyingLog(Log):
    """A log in whose process the power goes off."""

    kill_at: int | None = None

    def append(self, entries: Sequence[Entry], connection: Connection | None = None) -> list[int]:
        indices = super().append(entries, connection)
        if self.kill_at is not None and entries[0].body.get("slot") == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return indices


def main(url: str, first: int, last: int, lease_ms: int, kill_at: int | None) -> None:
    engine, clock, site = connect(url), SystemClock(), example_site()
    (audit,) = site.audits.values()
    log = DyingLog(engine, clock)
    log.kill_at = kill_at
    releases, store = ReleaseStore(engine), AuditStore(engine)
    claims = Claims(engine, owner=secrets.token_hex(8), lease_ms=lease_ms)
    schedule = Schedule(claims, Scanner(releases, store, log, clock), releases, store, clock)
    for slot in range(first, last):
        schedule.await_slot(site, audit, slot)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]) if len(sys.argv) > 5 else None)
