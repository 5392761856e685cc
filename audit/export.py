"""Writes the log into a folder that stands for itself: entries, tiles, checkpoint and key. Whoever has it needs no database and not us.

The checkpoint is written last: a folder without one is an export that did not come to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from audit import log_store as store
from audit.evidence_errors import ExportRefused
from audit.leaves import assemble
from audit.log import Log
from audit.notary import Notary
from audit.notes import Note
from audit.offline import CHECKPOINT, ENTRIES, TILES
from audit.tiles import path_of, tiles_of
from tacit.core.db import reading

KEY = "key"
_STEP = 1000


def write(log: Log, notary: Notary, folder: Path, *, advance: Callable[[int], None] | None = None) -> Note:
    """Export the log as it is now; the checkpoint that was written. Raises `ExportRefused`."""
    note = notary.checkpoint()
    size = note.checkpoint().size
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ExportRefused("it is not empty", next_step="Name a new folder; an export is never written over another one.")
        with (folder / ENTRIES).open("xb") as lines, reading(log.engine) as connection:
            for number, row in enumerate(store.entries(connection, size), start=1):
                lines.write(assemble(row.idx, row.at_ms, row.kind, row.site, str(row.body).encode()) + b"\n")
                if advance and not number % _STEP:
                    advance(_STEP)
        if advance:
            advance(size % _STEP)
        for level, tile, width in tiles_of(size):
            place = folder / TILES / path_of(level, tile, width)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(log.tile(level, tile, width))
        (folder / KEY).write_text(f"{notary.key}\n", encoding="utf-8")
        (folder / CHECKPOINT).write_bytes(str(note).encode())
    except OSError as error:
        raise ExportRefused(f"it cannot be written ({type(error).__name__})", next_step="Check the folder and the free space.") from error
    return note
