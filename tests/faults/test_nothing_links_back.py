"""After an epoch has ended, nobody can tell whose rows they were: not with the root key, not with every byte that a disk ever held.

The test plays the house, and beside it a witness who reads the keys while they live and copies the data directory again and again, which is
the most that a file system may keep: staged segments before they are deleted, every state of the database and its write-ahead log. The
custody directory is not copied: by default it is memory, and `docs/custody.md` says what changes where it is a disk.

Consent records are left out. The root key links an identifier to them, and is meant to: the law wants them kept and found.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ingest.pseudonyms import PurposeKeys, person
from ingest.rows import SIZE as ROW_BYTES
from tacit.core.declaration import BOOKKEEPING, PURPOSES
from tacit.core.mac import subject_bytes
from tacit.core.rootkey import RootKey, RootKeyUnusable
from tests.conftest import NEWSROOM, House, build, event, trial
from tests.faults.intruder import LABELS, Intruder, labels_in_the_code

SITE = "newsroom"
EPOCH_MS, WINDOW_MS = 4_000, 2_000
SHORT = NEWSROOM.replace("epoch: 1d, window: 1h", f"epoch: {EPOCH_MS // 1000}s, window: {WINDOW_MS // 1000}s").replace(
    "share: 0.2\n      dwell", "over_time: prefix\n        block: 2\n        share: 0.2\n      dwell"
)
PEOPLE = tuple(f"reader-{i}@example.org" for i in range(8))
AGES = ("under_35", "35_to_54", "55_plus")
MESSAGES = tuple(f"{kind}-{i}" for kind in ("page", "dwell", "trial") for i in range(len(PEOPLE)))


class Witness:
    """Reads the keys while they live, and copies whatever the data directory holds, until told to stop."""

    def __init__(self, house: House) -> None:
        self._data, self._custody = house.settings.data, house.settings.custody_directory / SITE
        self.root = bytes.fromhex((self._data / "root.key").read_text())
        self.keys: dict[str, bytes] = {}
        self.states: dict[str, bytes] = {}
        """What correlated noise remembers."""
        self.key_files: set[bytes] = set()
        self.copies: dict[tuple[str, bytes], bytes] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            for path, sealed in files(self._custody):
                name = path.relative_to(self._custody).as_posix()
                with suppress(RootKeyUnusable):  # destroyed at this moment
                    content = RootKey(self.root).unwrap(f"{SITE}/{name}", sealed)
                    if name.startswith("secrets/"):
                        self.states[name] = content
                    else:
                        self.keys[name] = content
                        self.key_files.add(sealed)
            for path, content in files(self._data):
                self.copies.setdefault((str(path), hashlib.sha256(content).digest()), content)


def files(directory: Path) -> list[tuple[Path, bytes]]:
    found = []
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):
            found.append((path, path.read_bytes()))
    return found


def hashes(secret: bytes) -> tuple[set[bytes], set[bytes]]:
    """Everybody's pseudonyms (16 bytes) and message hashes (8 bytes) under one epoch's secret, for every purpose."""
    people, messages = set(), set()
    for keys in (PurposeKeys(secret, purpose) for purpose in (*PURPOSES, BOOKKEEPING)):
        for name in PEOPLE:
            whole = keys.person.digest(subject_bytes("user", name))
            people.add(whole[:16])
            messages.update(keys.message.digest(whole + message.encode())[:8] for message in MESSAGES)
    return people, messages


def until(what: Callable[[], Any], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def blocks_over(house: House) -> set[str]:
    """The blocks of the measure `pages` that are full: of two windows each."""
    with sqlite3.connect(f"file:{house.settings.data / 'released.db'}?mode=ro", uri=True) as released:
        query = "select block from releases where measure = 'pages' group by block having max(position) = 1"
        return {block for (block,) in released.execute(query)}


def everybody_comes(house: House) -> int:
    """Pages, dwell and trials with groups of everybody, at the beginning of an epoch; when that began, in milliseconds."""
    until(lambda: time.time() * 1000 % EPOCH_MS < WINDOW_MS / 4)
    for i, name in enumerate(PEOPLE):
        verdict = house.send(
            event(f"page-{i}", "page", name, category="news"),
            event(f"dwell-{i}", "dwell", name, zone="hero", seconds=30),
            trial(f"trial-{i}", name, "larger", i % 2, age_band=AGES[i % 3]),
        )
        assert verdict["accepted"] == 3
    return int(time.time() * 1000)


def is_over(house: House, at_ms: int) -> bool:
    """Whether the epoch of that moment has ended and the sanitiser has noted that nothing is left of it."""
    with sqlite3.connect(f"file:{house.settings.data / 'released.db'}?mode=ro", uri=True) as released:
        query = "select count(*) from epochs where start_ms <= ? and end_ms > ? and destroyed_ms is not null"
        return released.execute(query, (at_ms, at_ms)).fetchone() == (1,)


def test_the_intruder_knows_every_label_of_the_code() -> None:
    assert labels_in_the_code() - {"purpose"} == set(LABELS)


@pytest.mark.slow
def test_when_an_epoch_has_ended_nothing_that_is_left_links_a_person_to_a_row(tmp_path: Path) -> None:
    house = build(tmp_path, SHORT)
    try:
        house.start()
        for name in PEOPLE:
            house.consent(name, **dict.fromkeys(PURPOSES, True))
        until(lambda: house.client("officer").get("/v1/releases").json()["releases"])
        witness = Witness(house)
        try:
            at_ms = everybody_comes(house)
            until(lambda: is_over(house, at_ms))
            wal = (house.settings.data / "intake.db-wal").read_bytes()
            over = blocks_over(house)
            time.sleep(0.5)
        finally:
            witness.stop()
        custody = {
            p.relative_to(house.settings.custody_directory / SITE).as_posix() for p, _ in files(house.settings.custody_directory / SITE)
        }
    finally:
        house.stop()
    epochs = [key for name, key in witness.keys.items() if name.startswith("epoch-")]
    windows = [key for name, key in witness.keys.items() if name.startswith("window-")]
    people, messages = (set().union(*sets) for sets in zip(*map(hashes, epochs), strict=True))
    linkable = {p for p in people if any(p in content for content in witness.copies.values())}

    # The witness saw what there was to see, so what follows is not empty talk.
    assert epochs
    assert windows
    assert linkable, "no copy of the database holds anybody's presence"
    assert {Path(name).suffix for name, _ in witness.copies} >= {".seg", ".db", ".db-wal"}

    # No key is left, and none was ever in a file of the data directory.
    assert all(name.startswith("secrets/block-") for name in custody)
    assert not any(key in content for content in witness.copies.values() for key in {*witness.keys.values(), *witness.key_files})

    # What correlated noise remembered of a block that is over went with the block.
    ended = {name: content for name, content in witness.states.items() if any(f"-{block}-" in name for block in over)}
    assert ended
    assert not custody & set(ended)
    kept = [content for _, content in [*files(house.settings.data), *files(house.settings.custody_directory)]]
    assert not any(content in one for content in ended.values() for one in (*kept, *witness.copies.values()))

    # Nothing that is left holds a pseudonym, a message hash or a name; the write-ahead log did not while the house was running either.
    left = [*files(house.settings.data), *files(house.settings.custody_directory)]
    assert len(left) > 5
    for path, content in [*left, (Path("write-ahead log"), wal)]:
        assert not any(p[:8] in content for p in people), path
        assert not any(m in content for m in messages), path
        assert not any(name.encode() in content for name in PEOPLE), path

    intruder = Intruder(witness.root, house.settings.data / "intake.db", witness.copies, SITE, PEOPLE, tmp_path / "intruder")
    assert len(intruder.keys()) > 100
    assert not intruder.attempt(intruder.keys(), linkable)

    # With the epoch's secret the same attempts succeed, and with the windows' keys too: it is their destruction that protects.
    with_secret = intruder.attempt(intruder.keys(*epochs), linkable)
    assert with_secret.pseudonyms == linkable
    assert with_secret.seen
    assert not with_secret.rows
    with_all = intruder.attempt(intruder.keys(*epochs, *windows), linkable)
    rows = b"".join(with_all.rows)
    in_rows = {rows[at : at + ROW_BYTES][:16] for at in range(0, len(rows), ROW_BYTES)}
    assert in_rows <= people
    for name in PEOPLE:
        assert {person(secret, "measurement", "user", name) for secret in epochs} & in_rows & linkable
