"""What is kept for how long, deleted by a job a day, with a row that proves each run and an alarm when one is late.

A job deletes and notes that it has in one transaction, so there is no run without its proof and no proof without its run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine

from consent import notices_store
from consent import retention_store as store
from tacit.core.clock import Clock, iso
from tacit.core.db import reading, writing
from tacit.core.declaration import Declaration, Site
from tacit.core.evidence import Entry

DAY_MS = 86_400_000
LATE_MS = 2 * DAY_MS
"""A job that has not run for so long is late."""


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of data, for how long it is kept, and what deletes the rest. A room that keeps more adds a line to `jobs`."""

    name: str
    keeps: str
    keep_ms: int
    delete: Callable[[Connection, str, int], int]


def jobs(site: Site) -> tuple[Job, ...]:
    """All jobs of a site, with its own limits."""
    # Who once agreed, perhaps in a place with opt-in rules, must not become a stranger of whom something is presumed.
    presumes = site.terms.opt_out or site.terms.bias_detection is not None
    records = partial(store.delete_records, forget_lapsed=not presumes)
    return (
        Job("records", "consent records after a grant has lapsed or a choice was made", site.retention.records_ms, records),
        Job("messages", "webhook messages that were delivered or given up", site.retention.messages_ms, store.delete_messages),
        Job("rights", "rights requests after they were finished", site.retention.records_ms, store.delete_requests),
        Job("served", "who was shown which notice, since the last time", site.retention.served_ms, notices_store.forget_served),
        Job("idempotency", "idempotency keys, as keyed hashes", store.IDEMPOTENCY_MS, store.delete_keys),
    )


class Retention:
    """Runs the jobs of all sites and says how they stand."""

    def __init__(self, engine: Engine, declaration: Declaration, clock: Clock) -> None:
        self._engine, self._declaration, self._clock = engine, declaration, clock

    def run(self, site: str) -> list[Entry]:
        """Run every job of a site; an entry for the evidence log for each, without numbers. May be repeated."""
        now_ms, entries = self._clock.now_ms(), []
        for job in jobs(self._declaration.sites[site]):
            before_ms = now_ms - job.keep_ms
            with writing(self._engine) as connection:
                deleted = job.delete(connection, site, before_ms)
                store.prove(connection, site, job.name, at_ms=now_ms, before_ms=before_ms, deleted=deleted)
            entries.append(Entry("retention.run", site, {"job": job.name, "before": iso(before_ms)}))
        return entries

    def standing(self, site: str, *, limit: int = 10) -> dict[str, Any]:
        """Each job with its limit, its latest runs and whether it is late."""
        now_ms, shown = self._clock.now_ms(), []
        with reading(self._engine) as connection:
            for job in jobs(self._declaration.sites[site]):
                runs = store.runs(connection, site, job.name, limit=limit)
                last_ms = runs[0].at_ms if runs else None
                shown.append(
                    {
                        "job": job.name,
                        "keeps": job.keeps,
                        "days": job.keep_ms / DAY_MS,
                        "last_run_at": iso(last_ms) if last_ms is not None else None,
                        "late": last_ms is None or not 0 <= now_ms - last_ms <= LATE_MS,
                        "runs": [{"at": iso(r.at_ms), "before": iso(r.before_ms), "deleted": r.deleted} for r in runs],
                    }
                )
        return {"site": site, "late": any(job["late"] for job in shown), "jobs": shown}
