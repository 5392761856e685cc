"""Software that others wrote accepts our heads, proofs and tiles, and refuses any flipped bit, a dropped entry and a rewritten history."""

from __future__ import annotations

import base64
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit.export import write
from audit.notes import Note
from tests.audit.evidence import KEY, WATCHER, Bench, bench
from tests.go import reference as go
from tests.node import reference as node
from tests.node import sigstore

SIZES = (1, 2, 3, 255, 256, 257, 700)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    found = bench(tmp_path_factory.mktemp("vault"))
    found.fill(max(SIZES))
    return found


def inclusions(made: Bench) -> list[dict[str, Any]]:
    """A question about one entry of each tree, and of some about more; what each verifier needs stands in it."""
    contents = [base64.b64encode(one.content()).decode() for one in made.log.list(limit=1000)[0]]
    found = []
    for size in SIZES:
        for index in sorted({0, size // 2, size - 1, min(255, size - 1), min(256, size - 1)}):
            proof = made.notary.inclusion(index, size)
            found.append(
                {"ask": "inclusion", "index": index, "content": contents[index], "path": proof["path"], "note": proof["checkpoint"]}
            )
    return [one | trusted(made) for one in found]


def trusted(made: Bench) -> dict[str, str]:
    return {"key": str(made.notary.key)}


def flipped(text: str, source: random.Random) -> str:
    """Base64 with one bit changed."""
    content = bytearray(base64.b64decode(text))
    content[source.randrange(len(content))] ^= 1 << source.randrange(8)
    return base64.b64encode(content).decode()


def bent(question: dict[str, Any], source: random.Random) -> list[dict[str, Any]]:
    """The same question with one bit of each part changed."""
    origin, size, root, *rest = question["note"].split("\n")
    mark, name, blob = rest[1].split(" ")
    notes = ["\n".join([origin, size, flipped(root, source), *rest]), "\n".join([origin, f"{int(size) + 1}", root, *rest])]
    signature = base64.b64encode(base64.b64decode(blob)[:4] + base64.b64decode(flipped(blob, source))[4:]).decode()
    if signature != blob:
        notes.append("\n".join([origin, size, root, "", f"{mark} {name} {signature}", *rest[2:]]))
    found = [question | {"note": note} for note in notes]
    if "content" in question:
        found += [question | {"content": flipped(question["content"], source)}, question | {"index": question["index"] + 1}]
    if path := question["path"]:
        place = source.randrange(len(path))
        found += [question | {"path": [*path[:place], flipped(path[place], source), *path[place + 1 :]]}, question | {"path": path[:-1]}]
    return [*found, question | {"path": [*path, root]}]


def test_go_accepts_every_inclusion_proof_and_refuses_any_change(made: Bench) -> None:
    go.install()
    asked, source = inclusions(made), random.Random()
    assert go.ask(asked) == [True] * len(asked)
    wrong = [one for question in asked for _ in range(4) for one in bent(question, source)]
    assert len(wrong) > 400
    assert not any(go.ask(wrong))


def test_sigstore_accepts_every_inclusion_proof_and_refuses_any_change(made: Bench) -> None:
    node.install()
    source, hint = random.Random(), base64.b64encode(made.notary.key.key_id).decode()
    asked = [one | {"key": PEM, "origin": made.notary.key.name, "hint": hint} for one in inclusions(made)]
    assert sigstore.ask(asked) == [True] * len(asked)
    wrong = [one for question in asked for _ in range(4) for one in bent(question, source)]
    assert not any(sigstore.ask(wrong))


def test_go_accepts_every_consistency_proof_and_refuses_any_change(made: Bench) -> None:
    go.install()
    asked, source = [], random.Random()
    for new in SIZES:
        for old in {1, new // 2, new - 1, new, min(256, new)} - {0}:
            shown = made.notary.consistency(old, new)
            since, note = shown["checkpoints"]
            asked.append({"ask": "consistency", "path": shown["path"], "since": since, "note": note} | trusted(made))
    assert go.ask(asked) == [True] * len(asked)
    wrong = [one for question in asked for one in bent(question, source)]
    assert not any(go.ask(wrong))


def test_both_still_accept_a_checkpoint_that_a_witness_has_signed(made: Bench) -> None:
    go.install()
    proof = made.notary.inclusion(5)
    note = made.notary.checkpoint()
    cosigned = str(Note(note.text, (*note.lines, WATCHER.line(note.text, at_seconds=1))))
    content = base64.b64encode(made.log.list(limit=10)[0][5].content()).decode()
    asked = {"ask": "inclusion", "index": 5, "content": content, "path": proof["path"], "note": cosigned} | trusted(made)
    assert go.ask([asked]) == [True]
    node.install()
    hint = base64.b64encode(made.notary.key.key_id).decode()
    assert sigstore.ask([asked | {"key": PEM, "origin": made.notary.key.name, "hint": hint}]) == [True]


def test_go_proves_every_entry_of_an_export_from_its_tiles_alone(made: Bench, tmp_path: Path) -> None:
    go.install()
    folder = tmp_path / "out"
    write(made.log, made.notary, folder)
    entries = [base64.b64encode(line).decode() for line in (folder / "entries.ndjson").read_bytes().splitlines()]
    head = {"note": (folder / "checkpoint").read_text(), "folder": str(folder), "ask": "tiles"} | trusted(made)
    asked = [head | {"index": index, "content": content} for index, content in enumerate(entries)]
    assert go.ask(asked) == [True] * max(SIZES)
    assert go.ask([head | {"index": 300, "content": entries[301]}]) == [False]
    for name in ("tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"):
        bad = Path(shutil.copytree(folder, tmp_path / name.replace("/", "_")))
        content = bytearray((bad / name).read_bytes())
        content[33] ^= 4
        (bad / name).write_bytes(content)
        index = {"tile/0/001": 256, "tile/0/002.p/188": 512, "tile/1/000.p/2": 0}[name]
        assert go.ask([head | {"folder": str(bad), "index": index, "content": entries[index]}]) == [False]


@pytest.mark.parametrize("kind", ["dropped", "rewritten"])
def test_go_refuses_a_history_without_one_entry_or_with_another(made: Bench, tmp_path: Path, kind: str) -> None:
    """Signed anew with the real key, so that only the earlier checkpoint speaks against it."""
    go.install()
    other = bench(tmp_path)
    other.fill(100)
    if kind == "rewritten":
        other.fill(1, kind="consent.forged")
    else:
        other.clock.ms += 1
    other.fill(500 - other.log.size())
    earlier = str(made.notary.checkpoint(200))
    shown = other.notary.consistency(200, 500)
    question = {"ask": "consistency", "path": shown["path"], "note": shown["checkpoints"][1]} | trusted(made)
    assert go.ask([question | {"since": shown["checkpoints"][0]}, question | {"since": earlier}]) == [True, False]
    honest = made.notary.consistency(200, 500)
    assert go.ask([question | {"path": honest["path"], "since": earlier}]) == [False]
