"""Checks an exported log with nothing but the folder and a key that came by another way: no database, no network, no installation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from audit import notes
from audit.evidence_errors import EvidenceDamaged, ExportRefused, KeyRefused, NoteRefused
from audit.examination import Examiner, StoredTiles
from audit.notes import Checkpoint, Note, VerifierKey
from audit.tiles import path_of, split
from audit.tree import HEIGHT, WIDTH

ENTRIES, CHECKPOINT, TILES = "entries.ndjson", "checkpoint", "tile"


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that is what was signed: its head, and which of the witnesses asked for have signed it."""

    checkpoint: Checkpoint
    witnesses: tuple[str, ...]


def read_key(path: Path) -> VerifierKey:
    """The verifier key in a file. Raises `KeyRefused`."""
    try:
        return VerifierKey.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise KeyRefused(f"{path} cannot be read") from error


def read_note(path: Path) -> Note:
    """The note in a file. Raises `NoteRefused`."""
    try:
        return notes.parse(path.read_bytes())
    except OSError as error:
        raise NoteRefused(f"{path} cannot be read", next_step="Name a file with a checkpoint.") from error


def head(folder: Path, key: VerifierKey) -> tuple[Note, Checkpoint]:
    """The signed head of an export. Raises `ExportRefused` where there is none, and `NoteRefused` for one that the key has not signed."""
    if not (folder / CHECKPOINT).is_file() or not (folder / ENTRIES).is_file():
        raise ExportRefused("it has no checkpoint or no entries", next_step="Export again: an export that was broken off is worth nothing.")
    note = read_note(folder / CHECKPOINT)
    return note, notes.checkpoint_of(note, key)


def verify(
    folder: Path,
    key: VerifierKey,
    *,
    since: Sequence[Note] = (),
    witnesses: Sequence[VerifierKey] = (),
    advance: Callable[[int], None] | None = None,
) -> Verified:
    """Check every entry, every tile, the head, and that earlier checkpoints are beginnings of it.

    Raises `EvidenceDamaged` with the first bad index, `NoteRefused`, or `ExportRefused`.
    """
    note, checkpoint = head(folder, key)
    for witness in witnesses:
        if witness.line_of(note) is None:
            raise NoteRefused(f"the witness {witness.name} has not signed it", next_step="Export again once it has, or leave it out.")
    expected = {checkpoint.size: checkpoint.root}
    for earlier in since:
        notes.expect(expected, notes.checkpoint_of(earlier, key))

    def read_tile(level: int, tile: int) -> list[bytes]:
        width = min(WIDTH, (checkpoint.size >> level * HEIGHT) - tile * WIDTH)
        try:
            content = (folder / TILES / path_of(level, tile, width)).read_bytes()
        except OSError:
            return []
        return split(content) if len(content) == width * 32 else []

    examiner = Examiner(StoredTiles(read_tile).hash, expected, advance=advance)
    for line in _lines(folder / ENTRIES):
        if examiner.size == checkpoint.size:
            raise EvidenceDamaged(examiner.size, "there are more entries than the checkpoint was signed for")
        if not line.endswith(b"\n"):
            raise EvidenceDamaged(examiner.size, "the entry is torn: its line has no end")
        examiner.add(line[:-1])
    examiner.finish()
    return Verified(checkpoint, tuple(witness.name for witness in witnesses))


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as lines:
            yield from lines
    except OSError as error:
        raise ExportRefused(f"its entries cannot be read ({type(error).__name__})") from error
