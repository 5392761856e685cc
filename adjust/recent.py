"""Which releases the engine and the experiments look at: the newest ones of the definition that is declared now, if usable."""

from __future__ import annotations

from privacy.models import Release
from privacy.releases import ReleaseStore
from tacit.core.declaration import Measure

WINDOWS = 5_000
"""More windows than this cost time and say little: their noise adds up and the site has moved on."""


def recent(releases: ReleaseStore, measure: Measure) -> list[Release]:
    """Oldest first."""
    found, _ = releases.list(measure.site, measure=measure.name, limit=WINDOWS, usable_only=True)
    return [r for r in reversed(found) if r.measure.id == measure.id]
