"""The log's paths: who may, what each gives, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from audit import notes
from audit.evidence_api import HASH_READERS, router
from audit.evidence_errors import NoSuchEntry, NoteRefused
from audit.tree import check_inclusion, fold
from tacit.core.access import READERS, Role
from tacit.core.errors import Forbidden, Unauthenticated
from tacit.core.evidence import Entry
from tests.audit.evidence import WATCHER, Bench, bench
from tests.audit.test_api import authorise

HASHES = [
    "/v1/evidence/checkpoint",
    "/v1/evidence/proof?index=5",
    "/v1/evidence/consistency?from=5",
    "/v1/evidence/tile/0/000",
]
ENTRIES = "/v1/evidence/entries"
KEY = "/v1/evidence/key"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    found = bench(tmp_path_factory.mktemp("vault"))
    found.fill(297)
    found.log.append([Entry("scan.done", "elsewhere", {"a": 1}), Entry("scan.done", "newsroom", {"text": "ü"}), Entry("x", "*", {})])
    return found


def ask(made: Bench, method: str, path: str, *, public: bool = False, role: str = "", content: bytes | None = None) -> httpx.Response:
    """An answer of the room's paths in this process; a problem comes out as it is."""
    app = FastAPI()
    app.include_router(router(made.log, made.notary, authorise, public=public))

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tacit") as client:
            headers: Mapping[str, str] = {"role": role} if role else {}
            return await client.request(method, path, headers=headers, content=content)

    return asyncio.run(once())


def get(made: Bench, path: str, **how: Any) -> httpx.Response:
    return ask(made, "GET", path, **({"role": "auditor"} | how))


@pytest.mark.parametrize("path", [*HASHES, ENTRIES])
def test_what_tells_of_the_log_asks_for_a_role_first(made: Bench, path: str) -> None:
    allowed = READERS if path == ENTRIES else HASH_READERS
    with pytest.raises(Unauthenticated):
        get(made, path, role="")
    for role in set(Role) - allowed:
        with pytest.raises(Forbidden):
            get(made, path, role=role.value)
    for role in allowed:
        assert get(made, path, role=role.value).status_code == 200
    with pytest.raises(Forbidden):
        get(made, f"{path}{'&' if '?' in path else '?'}site=elsewhere")


def test_the_declaration_can_open_hashes_to_everybody_and_never_entries(made: Bench) -> None:
    for path in HASHES:
        assert get(made, path, role="", public=True).status_code == 200
    with pytest.raises(Unauthenticated):
        get(made, ENTRIES, role="", public=True)
    assert get(made, HASHES[3], public=True).headers["cache-control"].startswith("public, max-age=31536000")
    assert get(made, HASHES[3]).headers["cache-control"].startswith("private, max-age=31536000")


def test_the_key_is_for_everybody(made: Bench) -> None:
    answer = get(made, KEY, role="")
    assert notes.VerifierKey.parse(answer.text) == made.notary.key
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_the_checkpoint_is_a_note_and_never_cached(made: Bench) -> None:
    answer = get(made, HASHES[0])
    assert notes.checkpoint_of(notes.parse(answer.content), made.notary.key).size == 300
    assert answer.headers["cache-control"] == "no-cache"
    assert get(made, f"{HASHES[0]}?size=7").text.split("\n")[1] == "7"


def test_entries_are_those_of_the_callers_site_and_hash_to_the_leaves_of_proofs(made: Bench) -> None:
    first = get(made, f"{ENTRIES}?limit=297").json()
    assert [one["index"] for one in first["entries"]] == list(range(297))
    second = get(made, f"{ENTRIES}?cursor={first['next']}").json()
    assert [(one["index"], one["site"]) for one in second["entries"]] == [(298, "newsroom")]
    assert second["next"] is None
    assert get(made, f"{ENTRIES}?kind=scan.done").json()["entries"] == second["entries"]
    (entry,) = second["entries"]
    leaf = hashlib.sha256(b"\x00" + entry["content"].encode()).digest()
    proof = get(made, "/v1/evidence/proof?index=298").json()
    assert (proof["index"], proof["size"], base64.b64decode(proof["leaf"]).hex()) == (298, 300, leaf.hex())
    head = notes.checkpoint_of(notes.parse(proof["checkpoint"].encode()), made.notary.key)
    check_inclusion(298, 300, leaf, [base64.b64decode(one) for one in proof["path"]], head.root)
    assert get(made, "/v1/evidence/proof?index=298&format=text").text.startswith("c2sp.org/tlog-proof@v1\nindex 298\n")


def test_tiles_are_named_as_the_specification_says(made: Bench) -> None:
    full, partial = get(made, "/v1/evidence/tile/0/000").content, get(made, "/v1/evidence/tile/0/001.p/44").content
    assert (len(full), len(partial)) == (8192, 44 * 32)
    assert get(made, "/v1/evidence/tile/0/001.p/7").content == partial[: 7 * 32]
    assert get(made, "/v1/evidence/tile/1/000.p/1").content == fold([full[i : i + 32] for i in range(0, 8192, 32)])


NO_TILES = """0/001 0/001.p/45 0/001.p/0 0/000.p/256 0/1 0/x000/001.p/1 00/000 1/000 1/000.p/2 2/000.p/1 63/000.p/1 64/000 entries/000
0/000/ -1/000 0/000.p/01 0/x999/x999/x999/x999/x999/999 0/x001"""


@pytest.mark.parametrize("path", NO_TILES.split())
def test_no_other_tile_is_given(made: Bench, path: str) -> None:
    with pytest.raises(NoSuchEntry):
        get(made, f"/v1/evidence/tile/{path}")


@pytest.mark.parametrize(
    "path", ["proof?index=300", "proof?index=5&size=301", "proof?index=5&size=5", "consistency?from=301", "checkpoint?size=301"]
)
def test_what_the_log_has_not_grown_to_is_not_found(made: Bench, path: str) -> None:
    with pytest.raises(NoSuchEntry):
        get(made, f"/v1/evidence/{path}")


@pytest.mark.parametrize(
    "path", ["proof", "proof?index=-1", "proof?index=x", "consistency", "entries?cursor=x", "entries?limit=0", "checkpoint?size=-1"]
)
def test_parameters_that_cannot_be_read_are_refused(made: Bench, path: str) -> None:
    assert get(made, f"/v1/evidence/{path}").status_code == 422


def test_a_witness_needs_no_key_but_its_own(made: Bench) -> None:
    note = made.notary.checkpoint()
    content = str(notes.Note(note.text, (WATCHER.line(note.text, at_seconds=9),))).encode()
    for refused in (content.replace(b"\n300\n", b"\n299\n"), b"", b"x" * 70_000, str(note).encode()):
        with pytest.raises(NoteRefused):
            ask(made, "POST", "/v1/evidence/witness", content=refused)
    assert ask(made, "POST", "/v1/evidence/witness", content=content).json() == {"witnesses": ["witness.example/w1"]}
    shown = notes.parse(get(made, "/v1/evidence/checkpoint?witnessed=true").content)
    assert WATCHER.verifier.line_of(shown) is not None
