"""An exported log is checked with the folder and a key alone, and each kind of damage has its first bad index."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from audit import notes, offline
from audit.evidence_errors import EvidenceDamaged, ExportRefused, KeyRefused, NoteRefused
from audit.export import write
from audit.notes import Note
from tests.audit.evidence import ORIGIN, WATCHER, Bench, bench

SIZE = 700


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    found = bench(tmp_path_factory.mktemp("vault"))
    found.fill(SIZE)
    return found


@pytest.fixture(scope="module")
def exported(made: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "out"
    write(made.log, made.notary, folder)
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def lines(folder: Path) -> list[bytes]:
    return (folder / "entries.ndjson").read_bytes().splitlines(keepends=True)


def put(folder: Path, texts: list[bytes]) -> None:
    (folder / "entries.ndjson").write_bytes(b"".join(texts))


def test_a_whole_export_verifies_and_tells_its_progress(made: Bench, exported: Path) -> None:
    told: list[int] = []
    found = offline.verify(exported, made.notary.key, advance=told.append)
    assert found.checkpoint == made.notary.checkpoint().checkpoint()
    assert sum(told) == SIZE
    assert offline.read_key(exported / "key") == made.notary.key
    assert sorted(p.relative_to(exported).as_posix() for p in exported.rglob("*") if p.is_file()) == [
        "checkpoint",
        "entries.ndjson",
        "key",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/188",
        "tile/1/000.p/2",
    ]


def test_an_empty_log_can_be_exported_and_verified(tmp_path: Path) -> None:
    empty = bench(tmp_path)
    write(empty.log, empty.notary, tmp_path / "out")
    assert offline.verify(tmp_path / "out", empty.notary.key).checkpoint.size == 0


def _changed(folder: Path) -> None:
    texts = lines(folder)
    texts[300] = texts[300].replace(b"consent.changed", b"consent.changes")
    put(folder, texts)


def _respelled(folder: Path) -> None:
    texts = lines(folder)
    texts[300] = texts[300].replace(b'"body":', b'"body": ')
    put(folder, texts)


def _not_json(folder: Path) -> None:
    texts = lines(folder)
    texts[300] = b"[" * 100_000 + b"\n"
    put(folder, texts)


def _other_members(folder: Path) -> None:
    texts = lines(folder)
    texts[300] = b'{"index":300}\n'
    put(folder, texts)


def _dropped(folder: Path) -> None:
    texts = lines(folder)
    del texts[300]
    put(folder, texts)


def _dropped_with_its_hash(folder: Path) -> None:
    _dropped(folder)
    tile = folder / "tile/0/001"
    content = tile.read_bytes()
    tile.write_bytes(content[: 44 * 32] + content[45 * 32 :] + content[44 * 32 : 45 * 32])


def _swapped(folder: Path) -> None:
    texts = lines(folder)
    texts[300], texts[400] = texts[400], texts[300]
    put(folder, texts)


def _swapped_with_their_hashes(folder: Path) -> None:
    _swapped(folder)
    tile = folder / "tile/0/001"
    content = [tile.read_bytes()[i : i + 32] for i in range(0, 8192, 32)]
    content[44], content[144] = content[144], content[44]
    tile.write_bytes(b"".join(content))


def _doubled(folder: Path) -> None:
    texts = lines(folder)
    put(folder, [*texts[:301], *texts[300:]])


def _torn(folder: Path) -> None:
    put(folder, [*lines(folder)[:-1], lines(folder)[-1][:-20]])


def _without_its_last_newline(folder: Path) -> None:
    put(folder, [*lines(folder)[:-1], lines(folder)[-1][:-1]])


def _cut(folder: Path) -> None:
    put(folder, lines(folder)[:-3])


def _longer(folder: Path) -> None:
    put(folder, [*lines(folder), lines(folder)[-1]])


def _leaf_hash(folder: Path) -> None:
    tile = folder / "tile/0/002.p/188"
    content = bytearray(tile.read_bytes())
    content[88 * 32] ^= 1
    tile.write_bytes(content)


def _subtree_hash(folder: Path) -> None:
    tile = folder / "tile/1/000.p/2"
    content = bytearray(tile.read_bytes())
    content[40] ^= 1
    tile.write_bytes(content)


def _missing_tile(folder: Path) -> None:
    (folder / "tile/0/001").unlink()


def _short_tile(folder: Path) -> None:
    tile = folder / "tile/0/001"
    tile.write_bytes(tile.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "first_bad", "reason"),
    [
        (_changed, 300, "not the entry whose hash"),
        (_respelled, 300, "not an entry in canonical JSON"),
        (_not_json, 300, "cannot be read"),
        (_other_members, 300, "not an entry"),
        (_dropped, 300, "another place"),
        (_dropped_with_its_hash, 300, "another place"),
        (_swapped, 300, "another place"),
        (_swapped_with_their_hashes, 300, "another place"),
        (_doubled, 301, "another place"),
        (_torn, SIZE - 1, "torn"),
        (_without_its_last_newline, SIZE - 1, "torn"),
        (_cut, SIZE - 3, "the log ends here"),
        (_longer, SIZE, "more entries"),
        (_leaf_hash, 600, "not the entry whose hash"),
        (_subtree_hash, 256, "stored hash over this and the next 255"),
        (_missing_tile, 256, "not the entry whose hash"),
        (_short_tile, 256, "not the entry whose hash"),
    ],
)
def test_damage_is_reported_with_the_first_bad_index(
    made: Bench, folder: Path, damage: Callable[[Path], None], first_bad: int, reason: str
) -> None:
    damage(folder)
    with pytest.raises(EvidenceDamaged, match=reason) as found:
        offline.verify(folder, made.notary.key)
    assert found.value.first_bad == first_bad
    assert f"first bad index {first_bad}:" in found.value.detail


def test_a_history_rewritten_with_the_real_key_shows_only_against_an_earlier_checkpoint(made: Bench, tmp_path: Path) -> None:
    other = bench(tmp_path)
    other.fill(100)
    other.fill(1, kind="consent.forged")
    other.fill(SIZE - 101)
    write(other.log, other.notary, tmp_path / "out")
    key = made.notary.key
    assert offline.verify(tmp_path / "out", key).checkpoint.size == SIZE
    early, later = made.notary.checkpoint(100), made.notary.checkpoint(256)
    assert offline.verify(tmp_path / "out", key, since=[early]).checkpoint.size == SIZE
    with pytest.raises(EvidenceDamaged, match="first bad index 100: between here and entry 256"):
        offline.verify(tmp_path / "out", key, since=[later, early])
    with pytest.raises(EvidenceDamaged, match=f"two checkpoints of size {SIZE}"):
        offline.verify(tmp_path / "out", key, since=[made.notary.checkpoint()])


def test_a_log_shorter_than_an_earlier_checkpoint_was_cut(made: Bench, tmp_path: Path) -> None:
    short = bench(tmp_path)
    short.fill(100)
    write(short.log, short.notary, tmp_path / "out")
    with pytest.raises(EvidenceDamaged, match=f"first bad index 100: the log ends here; a signed checkpoint has {SIZE}"):
        offline.verify(tmp_path / "out", made.notary.key, since=[made.notary.checkpoint()])


def test_the_key_and_the_witnesses_asked_for_must_have_signed(made: Bench, folder: Path) -> None:
    with pytest.raises(NoteRefused, match="not signed with this key"):
        offline.verify(folder, WATCHER.verifier)
    with pytest.raises(NoteRefused, match="has not signed"):
        offline.verify(folder, made.notary.key, witnesses=[WATCHER.verifier])
    note = made.notary.checkpoint()
    cosigned = Note(note.text, (*note.lines, WATCHER.line(note.text, at_seconds=1)))
    (folder / "checkpoint").write_bytes(str(cosigned).encode())
    assert offline.verify(folder, made.notary.key, witnesses=[WATCHER.verifier]).witnesses == ("witness.example/w1",)
    broken = str(cosigned).replace(f"\n{SIZE}\n", f"\n{SIZE - 1}\n").encode()
    (folder / "checkpoint").write_bytes(broken)
    with pytest.raises(NoteRefused, match="does not fit"):
        offline.verify(folder, made.notary.key)
    (folder / "checkpoint").unlink()
    with pytest.raises(ExportRefused):
        offline.verify(folder, made.notary.key)
    with pytest.raises(KeyRefused):
        offline.read_key(folder / "nothing")


def test_an_export_is_never_written_over_anything(made: Bench, folder: Path) -> None:
    with pytest.raises(ExportRefused, match="not empty"):
        write(made.log, made.notary, folder)
    (folder / "file").write_text("")
    with pytest.raises(ExportRefused, match="cannot be written"):
        write(made.log, made.notary, folder / "file")


def test_checking_a_folder_opens_no_database(made: Bench, exported: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom audit import offline\n"
        f"found = offline.verify(Path({str(exported)!r}), offline.read_key(Path({str(exported / 'key')!r})))\n"
        "print(found.checkpoint.origin, any(m in sys.modules for m in ('sqlite3', 'psycopg', 'audit.log', 'tacit.core.db')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=60)
    assert done.stdout.split() == [ORIGIN, "False"], done.stderr


def test_notes_are_read_from_files(made: Bench, exported: Path) -> None:
    assert notes.checkpoint_of(offline.read_note(exported / "checkpoint"), made.notary.key).size == SIZE
    with pytest.raises(NoteRefused):
        offline.read_note(exported / "nothing")
