"""Checkpoints, proofs with their checkpoints, and witnesses."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from audit import notes
from audit.evidence_errors import EvidenceDamaged, NoSuchEntry, NoteRefused
from audit.evidence_tables import signatures
from audit.notary import as_text
from audit.notes import Checkpoint, Note, Signer
from audit.tables import evidence
from audit.tree import EMPTY, check_consistency, check_inclusion
from tacit.core.db import writing
from tacit.core.evidence import Entry
from tests.audit.evidence import KEY, ORIGIN, WATCHER, WITNESS_KEY, Bench, bench


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    found = bench(tmp_path)
    found.fill(300)
    return found


def cosigned(made: Bench, size: int | None = None, *, at_seconds: int | None = None, signer: Signer = WATCHER) -> bytes:
    note = made.notary.checkpoint(size)
    seconds = made.clock.ms // 1000 if at_seconds is None else at_seconds
    return str(Note(note.text, (*note.lines, signer.line(note.text, at_seconds=seconds)))).encode()


def raw(texts: list[str]) -> list[bytes]:
    return [base64.b64decode(text) for text in texts]


def test_a_checkpoint_of_any_size_is_signed_and_stays_what_it_was(made: Bench) -> None:
    before = str(made.notary.checkpoint())
    made.fill(300)
    assert str(made.notary.checkpoint(300)) == before
    head = notes.checkpoint_of(made.notary.checkpoint(), made.notary.key)
    assert (head.origin, head.size, head.root) == (ORIGIN, 600, made.log.examine().root())
    assert notes.checkpoint_of(made.notary.checkpoint(0), made.notary.key).root == EMPTY
    with pytest.raises(NoSuchEntry):
        made.notary.checkpoint(601)


def test_an_installation_without_a_declared_origin_has_one_of_its_own(tmp_path: Path) -> None:
    key = bench(tmp_path, origin=None).notary.key
    assert key.name == "tacit/56475aa75463474c"
    assert key.public == KEY.public_key().public_bytes_raw()


def test_every_proof_leads_to_the_checkpoint_that_comes_with_it(made: Bench) -> None:
    entries, _ = made.log.list(limit=1000)
    for index in (0, 255, 256, 299):
        for size in (None, index + 1):
            proof = made.notary.inclusion(index, size)
            head = notes.checkpoint_of(notes.parse(proof["checkpoint"].encode()), made.notary.key)
            assert head.size == proof["size"] == (size or 300)
            assert base64.b64decode(proof["root"]) == head.root
            assert base64.b64decode(proof["leaf"]) == entries[index].leaf
            check_inclusion(index, head.size, entries[index].leaf, raw(proof["path"]), head.root)
    for old, new in ((0, None), (1, 2), (100, 300), (256, 300), (300, None)):
        shown = made.notary.consistency(old, new)
        older, newer = (notes.checkpoint_of(notes.parse(text.encode()), made.notary.key) for text in shown["checkpoints"])
        assert (older.size, newer.size) == (old, new or 300)
        check_consistency(older.size, newer.size, older.root, newer.root, raw(shown["path"]))
    for refused in (lambda: made.notary.inclusion(300), lambda: made.notary.inclusion(5, 5), lambda: made.notary.consistency(301)):
        with pytest.raises(NoSuchEntry):
            refused()


def test_a_proof_as_text_is_one_file(made: Bench) -> None:
    proof = made.notary.inclusion(7)
    first, index, *rest = as_text(proof).split("\n")
    assert (first, index) == ("c2sp.org/tlog-proof@v1", "index 7")
    assert rest[: rest.index("")] == proof["path"]
    assert "\n".join(rest[rest.index("") + 1 :]) == proof["checkpoint"]


def test_a_witness_stands_under_its_checkpoint_from_then_on(made: Bench) -> None:
    with pytest.raises(NoSuchEntry, match="no witness"):
        made.notary.checkpoint(witnessed=True)
    assert made.notary.cosign(cosigned(made)) == ["witness.example/w1"]
    assert made.notary.cosign(cosigned(made, at_seconds=5)) == ["witness.example/w1"]
    made.fill(1)
    assert made.notary.checkpoint().lines[1:] == ()
    witnessed = made.notary.checkpoint(witnessed=True)
    assert witnessed.checkpoint().size == 300
    assert WATCHER.verifier.line_of(witnessed) is not None
    assert made.notary.inclusion(3, 300)["checkpoint"] == str(witnessed)
    assert made.notary.verify().size == 301


@pytest.mark.parametrize("kind", ["unknown witness", "other root", "other origin", "future", "flipped", "larger"])
def test_what_is_not_a_configured_witness_under_our_checkpoint_is_refused(made: Bench, kind: str) -> None:
    note = cosigned(made)
    if kind == "unknown witness":
        note = cosigned(made, signer=Signer("stranger.example", WITNESS_KEY, notes.WITNESS))
    if kind == "future":
        note = cosigned(made, at_seconds=made.clock.ms // 1000 + 3600)
    if kind == "flipped":
        note = note.replace(b"\n300\n", b"\n299\n")
    if kind in ("other root", "other origin", "larger"):
        head = {"other root": Checkpoint(ORIGIN, 300, bytes(32)), "other origin": Checkpoint("x", 300, made.log.root()[1])}
        text = head.get(kind, Checkpoint(ORIGIN, 301, bytes(32))).text()
        note = str(Note(text, (WATCHER.line(text, at_seconds=1),))).encode()
    with pytest.raises(NoSuchEntry if kind == "larger" else NoteRefused):
        made.notary.cosign(note)
    assert made.notary.checkpoint().lines[1:] == ()


def test_nothing_of_an_empty_log_is_kept(tmp_path: Path) -> None:
    assert bench(tmp_path).notary.keep() is None


def rewrite(made: Bench, start: int) -> None:
    """Change an entry and everything that depends on it, as somebody would who can write to the tables."""
    rows, _ = made.log.list(limit=1000)
    fresh = bench(made.engine)
    with writing(made.engine) as connection:
        for table in ("evidence", "evidence_subtrees"):
            connection.exec_driver_sql(f"delete from {table}")
    fresh.log.append([Entry(r.kind, r.site, {"rewritten": 1} if r.index == start else r.body) for r in rows])


def test_a_history_that_was_rewritten_whole_shows_against_what_was_kept_or_what_somebody_has(made: Bench) -> None:
    elsewhere = made.notary.checkpoint(200)
    rewrite(made, 150)
    assert made.log.verify() is None, "the tables alone agree with each other"
    assert made.notary.verify().size == 300
    with pytest.raises(EvidenceDamaged, match="first bad index 0: between here and entry 200"):
        made.notary.verify([elsewhere])
    with pytest.raises(EvidenceDamaged, match="signed with different roots"):
        made.notary.verify([elsewhere, made.notary.checkpoint(200)])


def test_no_second_root_is_signed_for_a_size_that_was_kept(made: Bench) -> None:
    early = made.notary.checkpoint(100)
    assert made.notary.keep() is not None
    rewrite(made, 150)
    with pytest.raises(EvidenceDamaged, match="another root"):
        made.notary.checkpoint()
    with pytest.raises(EvidenceDamaged, match="first bad index 100: between here and entry 300"):
        made.notary.verify([early])
    with pytest.raises(EvidenceDamaged, match="first bad index 0"):
        made.notary.verify()


def test_a_log_that_was_cut_off_ends_before_its_checkpoint(made: Bench) -> None:
    made.notary.keep()
    with writing(made.engine) as connection:
        connection.execute(evidence.delete().where(evidence.c.idx >= 290))
    with pytest.raises(EvidenceDamaged, match="first bad index 290: the log ends here; a signed checkpoint has 300 entries"):
        made.notary.verify()


@pytest.mark.parametrize("change", [{"line": "— example.org/evidence AAAAAAAA\n"}, {"root": bytes(32)}])
def test_a_kept_signature_that_was_changed_is_refused(made: Bench, change: dict[str, Any]) -> None:
    made.notary.keep()
    with writing(made.engine) as connection:
        connection.execute(update(signatures).values(change))
    with pytest.raises(NoteRefused):
        made.notary.verify()


def test_a_signature_is_kept_once(made: Bench) -> None:
    made.notary.keep()
    made.notary.keep()
    row = {"size": 300, "name": "other", "root": made.log.root()[1], "line": str(WATCHER.line("x")), "at_ms": 0}
    with writing(made.engine) as connection:
        connection.execute(insert(signatures).values(row))
        assert len(connection.execute(signatures.select()).all()) == 2
