"""Closes windows: the one way from staged events to published numbers.

Every step is safe to repeat, so a window that was interrupted anywhere is finished by closing it again, with exactly one charge and
one release for each measure. The order protects the promise: presence is recorded before the charge, the charge is committed before
noise is drawn, staging is destroyed only after publication, and an epoch admits nothing more before its presence is deleted.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from privacy.blocks import Blocks
from privacy.bounding import bounded_counts
from privacy.errors import EpochEnded, EpochMismatch, Overtaken, WindowNotDue
from privacy.ledger import Epoch, Ledger
from privacy.making import Making
from privacy.models import Release, Window
from privacy.ports import Columns, EventSource, SecretStore, Span
from privacy.presence import PresenceBook
from privacy.releases import FAILED, FAILING, FINISHED, Closing, ReleaseStore
from tacit.core.clock import Clock
from tacit.core.declaration import Site
from tacit.core.errors import Problem, StorageUnavailable
from tacit.core.evidence import Entry, EvidenceLog


@dataclass(frozen=True, slots=True)
class Sanitiser:
    """Reads the intake side, writes the released vault, and stands between them."""

    source: EventSource
    presence: PresenceBook
    ledger: Ledger
    releases: ReleaseStore
    evidence: EvidenceLog
    clock: Clock
    secrets: SecretStore

    def due(self, site: str) -> list[Window]:
        """The windows to close, in the order in which `close` takes them: those left unfinished first, those without events included."""
        ended = [_window(span) for span in self.source.closed(site, self.releases.last_closed(site))]
        return sorted({*self.releases.unfinished(site), *ended}, key=lambda w: w.start_ms)

    def close(self, site: Site, window: Window) -> list[Release]:
        """Publish a window and forget its events; answers its releases, also where it was closed before.

        A window that cannot be read publishes nothing: the evidence log says so, and closing it again after a repair releases it as
        long as its epoch has not ended. Raises `WindowNotDue`, `EpochEnded`, `StorageUnavailable`.
        """
        closing = self.releases.closing(site.name, window.start_ms)
        if closing is not None and closing.state == FINISHED:
            return self.releases.of_window(site.name, window.start_ms)
        if closing is None and window not in self.due(site.name)[:1]:
            # Bounding looks back at earlier windows of the epoch, so a window waits for them. Whether it has ended is the source's to say.
            raise WindowNotDue()
        if closing is None or closing.state in (FAILED, FAILING):
            self._release(site, window)
        self._clean_up(site, window)
        return self.releases.of_window(site.name, window.start_ms)

    def end_epochs(self, site: str) -> None:
        """End every epoch whose windows are all decided; afterwards nothing tells who was there. Safe to repeat; done after each window.

        It goes by what the ledger promised, so an epoch ends also where the declaration has another length of epochs by now.
        """
        decided_ms = self.releases.last_closed(site)
        if decided_ms is not None:
            for epoch in self.ledger.over(site, decided_ms):
                self._end_epoch(epoch)
            self.source.sweep(site, decided_ms)

    def _release(self, site: Site, window: Window) -> None:
        published = False
        while not published:
            try:
                self.ledger.open_epoch(site, window.epoch_ms)
                contributions = self.source.contributions(window)
            except StorageUnavailable:
                raise
            except Problem as problem:
                if isinstance(problem, EpochEnded) and self.releases.closing(site.name, window.start_ms) is not None:
                    raise  # it was decided before, and it is too late for a repair
                self.releases.fail(window, problem.type, self.evidence)
                return
            made = self._made(site, window, contributions)
            with self.source.steady(window, contributions) as steady, suppress(Overtaken):
                if steady:  # otherwise somebody withdrew meanwhile: these numbers are thrown away unseen, under the same charge
                    self.releases.publish(made, self.evidence, window=window)
                    published = True

    def _made(self, site: Site, window: Window, contributions: Columns) -> list[Release]:
        used = self.presence.others(window, site.measures)
        found = bounded_counts(contributions, site.measures, used, start_ms=window.start_ms)
        self.presence.record(window, found.people)
        try:
            admitted = self.ledger.charge(site, window, site.measures)
        except EpochEnded:
            # Another process closed this window and its epoch meanwhile: what was just recorded must not outlive the epoch's key.
            self.presence.end_epoch(window.site, window.epoch_ms)
            raise
        making = Making(window, self.clock.now_ms(), Blocks(self.secrets, self.releases))
        return [making.release(m, found, admitted[m.id], contributions.names.get(m.id, {})) for m in site.measures if m.id in admitted]

    def _clean_up(self, site: Site, window: Window) -> None:
        closing = self.releases.closing(window.site, window.start_ms)
        if closing is None or closing.state == FINISHED:
            return
        blocks = Blocks(self.secrets, self.releases)
        blocks.clean(site.name, {m.id for m in site.measures})
        entries = blocks.ended(self.releases.of_window(site.name, window.start_ms))
        if not _kept(closing):
            entries += self._forget(window)
        self.end_epochs(window.site)
        self.releases.finish(window, entries, self.evidence)

    def _forget(self, window: Window) -> list[Entry]:
        # Entered also where there was no key: whether anybody came must not be seen in the log.
        self.source.forget(window)
        return [_destroyed(window.site, scope="window", start=window.start_ms, end=window.end_ms)]

    def _end_epoch(self, epoch: Epoch) -> None:
        self.ledger.end_epoch(epoch.site, epoch.start_ms)
        kept = [closing.window for closing in self.releases.failed(epoch.site, epoch.start_ms) if _kept(closing)]
        entries = [entry for window in kept for entry in self._forget(window)]
        self.presence.end_epoch(epoch.site, epoch.start_ms)
        self.source.end_epoch(epoch.site, epoch.start_ms, epoch.end_ms)
        entries.append(_destroyed(epoch.site, scope="epoch", start=epoch.start_ms, end=epoch.end_ms))
        self.ledger.destroyed(epoch, entries, self.evidence)


def _kept(closing: Closing) -> bool:
    """What can never be released is not kept; what is merely unreadable is, until its epoch ends, for a repair."""
    return closing.state in (FAILING, FAILED) and closing.reason not in (EpochMismatch.type, EpochEnded.type)


def _window(span: Span) -> Window:
    return Window(span.site, span.start_ms, span.end_ms, span.epoch_ms)


def _destroyed(site: str, **body: Any) -> Entry:
    return Entry("key.destroyed", site, body)
