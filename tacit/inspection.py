"""Joins the quality suite for what arrived to the reading of a window. Its verdict goes to the operator, on the intake side only:
what is released, and whether the engine may use it, never depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Engine

from ingest import quality
from ingest.source import StagedSource
from privacy.models import Window
from privacy.ports import Columns, Span
from tacit.core import logs
from tacit.core.clock import Clock
from tacit.core.declaration import Declaration

logs.allow(["arrivals.failed", "arrivals.unchecked"])
log = logs.Log("quality")


class InspectedSource:
    """A staged source whose windows are checked as they are read."""

    def __init__(self, source: StagedSource, engine: Engine, declaration: Declaration, clock: Clock) -> None:
        self._source, self._engine, self._declaration, self._clock = source, engine, declaration, clock

    def closed(self, site: str, after_ms: int | None) -> Sequence[Span]:
        """As the source."""
        return self._source.closed(site, after_ms)

    def contributions(self, window: Window) -> Columns:
        """The source's rows; their check cannot hold them up."""
        rows = self._source.contributions(window)
        try:
            passed, failed = quality.check(self._declaration.sites[window.site], rows.columns)
            quality.record(self._engine, window.site, window.start_ms, (passed, failed), self._clock)
            if not passed:
                log.warning("arrivals.failed", site=window.site, checks=len(failed))
        except Exception as error:
            log.fault("arrivals.unchecked", error, site=window.site)
        return rows

    def steady(self, window: Window, rows: Columns) -> AbstractContextManager[bool]:
        """As the source."""
        return self._source.steady(window, rows)

    def forget(self, window: Window) -> bool:
        """As the source."""
        return self._source.forget(window)

    def end_epoch(self, site: str, epoch_ms: int, end_ms: int) -> bool:
        """As the source."""
        return self._source.end_epoch(site, epoch_ms, end_ms)

    def sweep(self, site: str, until_ms: int) -> None:
        """As the source."""
        self._source.sweep(site, until_ms)

    def cut(self, site: str) -> None:
        """As the source."""
        self._source.cut(site)
