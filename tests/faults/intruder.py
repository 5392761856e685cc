"""Somebody who comes after an epoch has ended, with the root key and everything that any disk ever held, and tries to find people."""

from __future__ import annotations

import ast
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest import frames
from ingest.errors import StagingCorrupt
from ingest.pseudonyms import PERSON_BYTES, PurposeKeys
from tacit.core.declaration import BOOKKEEPING, PURPOSES
from tacit.core.mac import derive, subject_bytes
from tacit.core.rootkey import RootKey, RootKeyUnusable

ROOT = Path(__file__).parents[2]
ROOMS = ("tacit", "consent", "ingest", "privacy", "audit", "adjust", "dashboards")

LABELS = {
    "'tacit wrapping v1'": ("tacit wrapping v1",),
    "f'tacit {purpose} v1'": ("tacit session v1", "tacit signing v1"),
    "'fingerprint'": ("fingerprint",),
    "'receipt'": ("receipt",),
    "'seen messages'": ("seen messages",),
    "'undeclared values'": ("undeclared values",),
    "f'person {purpose}'": tuple(f"person {p}" for p in (*PURPOSES, BOOKKEEPING)),
    "f'message {purpose}'": tuple(f"message {p}" for p in (*PURPOSES, BOOKKEEPING)),
    "f'segment {identity.hex()}'": (),  # `frames.blocks` derives it for the segment at hand
}
"""Every label under which the code derives a key, and what it stands for."""


def labels_in_the_code() -> set[str]:
    """The second argument of every call of `derive`, as the source has it."""
    found = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "derive":
                    found.add(ast.unparse(node.args[1]))
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """What an attempt came to: pseudonyms that were computed, and contents that were opened."""

    pseudonyms: set[bytes] = field(default_factory=set)
    rows: list[bytes] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.pseudonyms or self.rows or self.seen)


@dataclass(frozen=True)
class Intruder:
    """`copies` are all contents that a file of the data directory ever had, by path; `names` are the people who are looked for."""

    root: bytes
    database: Path
    copies: dict[tuple[str, bytes], bytes]
    site: str
    names: Iterable[str]
    workplace: Path

    def keys(self, *given: bytes) -> set[bytes]:
        """Every value of 32 bytes that can be had: the root key, what it opens, `given`, and what is derived from those, twice."""
        keys = {self.root, *given, *self._opened()}
        for _ in range(2):
            keys |= {derive(key, label) for key in keys for labels in LABELS.values() for label in labels}
        return keys

    def attempt(self, keys: set[bytes], pseudonyms: set[bytes]) -> Found:
        """Take each key for an epoch's secret and for a window's key. `pseudonyms` are those that lie in the copies."""
        found = Found()
        people = [subject_bytes("user", name) for name in self.names]
        for key in keys:
            for purpose in (*PURPOSES, BOOKKEEPING):
                pseudonym = PurposeKeys(key, purpose).person.digest
                found.pseudonyms.update({pseudonym(who)[:PERSON_BYTES] for who in people} & pseudonyms)
        for path, content in self._sealed("/seen/"):
            for key in keys:
                with_key = AESGCM(derive(key, "seen messages"))
                try:
                    found.seen.append(with_key.decrypt(content[:12], content[12:], path.name.encode()))
                except (InvalidTag, ValueError):
                    continue
        for path, _ in self._sealed(frames.SUFFIX):
            for key in keys:
                try:
                    found.rows.extend(frames.blocks(path, key))
                except StagingCorrupt:
                    continue
        return found

    def _opened(self) -> Iterator[bytes]:
        """What the root key opens of everything that is stored in the intake vault, under every name that was ever used there."""
        root = RootKey(self.root)
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as database:
            tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
            values = [value for table in tables for row in database.execute(f"select * from {table}") for value in row]
        starts = {str(v) for v in values if isinstance(v, int)}
        names = {v for v in values if isinstance(v, str)} | {f"{self.site}/{kind}-{at}" for kind in ("epoch", "window") for at in starts}
        for blob in {v for v in values if isinstance(v, bytes)}:
            if len(blob) == 32:
                yield blob
            for name in names:
                try:
                    yield root.unwrap(name, blob)
                except RootKeyUnusable:
                    continue

    def _sealed(self, sign: str) -> Iterator[tuple[Path, bytes]]:
        """The longest copy of each sealed file (they only grow), written where it can be read, under its own name."""
        longest: dict[str, bytes] = {}
        for (name, _), content in self.copies.items():
            if sign in name and not Path(name).name.startswith(".") and len(content) > len(longest.get(name, b"")):
                longest[name] = content
        for number, (name, content) in enumerate(longest.items()):
            path = self.workplace / str(number) / Path(name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            yield path, content
