"""What is staged of one person and will be released, found by computing the person's live pseudonyms. For the person's own request only.

Nothing is written, and the answer goes to whoever presented the identifier: without it these rows name nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine

from ingest.custody import Custody
from ingest.errors import EpochKeyLost
from ingest.pseudonyms import PERSON_BYTES, PurposeKeys
from ingest.rows import PACKING, SIZE
from ingest.staging import Staging
from ingest.withdrawals import is_dead
from tacit.core.db import reading
from tacit.core.declaration import BOOKKEEPING, PURPOSES, Declaration
from tacit.core.errors import UnknownSite
from tacit.core.mac import subject_bytes


class StandingRows:
    """Implements `consent.ports.StagedCounts`."""

    def __init__(self, engine: Engine, custody: Custody, declaration: Declaration, staging: Staging) -> None:
        self._engine, self._custody, self._declaration, self._staging = engine, custody, declaration, staging

    def count(self, site: str, id_type: str, subject: str) -> list[dict[str, Any]]:
        """Rows of live windows that no withdrawal keeps out, by purpose and measure. Raises `StagingCorrupt`, `UnknownSite`."""
        declared = self._declaration.sites.get(site)
        if declared is None:
            raise UnknownSite()
        names = {measure.id: measure.name for measure in declared.measures}
        who = subject_bytes(id_type, subject)
        with reading(self._engine) as connection:
            epochs = self._custody.live_epochs(site, connection)
        found: Counter[tuple[str, str]] = Counter()
        for start_ms, end_ms in epochs:
            try:
                secret = self._custody.epoch_secret(site, start_ms, end_ms)
            except EpochKeyLost:
                continue  # nobody can say any more whose rows those are
            people = {PurposeKeys(secret, p).person.digest(who)[:PERSON_BYTES]: p for p in (*PURPOSES, BOOKKEEPING)}
            for window_ms in self._staging.starts(site):
                if start_ms <= window_ms < end_ms:
                    self._count_window(site, start_ms, window_ms, people, names, found)
        return [{"purpose": purpose, "measure": measure, "rows": rows} for (purpose, measure), rows in sorted(found.items())]

    def _count_window(
        self, site: str, epoch_ms: int, window_ms: int, people: dict[bytes, str], names: dict[int, str], found: Counter[tuple[str, str]]
    ) -> None:
        with reading(self._engine) as connection:
            live = {who: p for who, p in people.items() if not is_dead(site, epoch_ms, p, who, window_ms, connection)}
        with suppress(FileNotFoundError):  # closed and counted meanwhile
            for block in self._staging.blocks(site, window_ms):
                for who, purpose in live.items():
                    for at in _rows_of(block, who):
                        measure_id = PACKING.unpack_from(block, at)[3]
                        if measure_id >= 0:
                            found[purpose, names.get(measure_id, "no longer declared")] += 1


def _rows_of(block: bytes, who: bytes) -> Iterator[int]:
    """Where the rows of a person begin: a match that does not stand at the beginning of a row is chance."""
    at = block.find(who)
    while at >= 0:
        if at % SIZE == 0:
            yield at
        at = block.find(who, at + 1)
