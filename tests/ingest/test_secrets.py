"""The contract of `privacy.ports.SecretStore`, and what lies in the custody directory while it is kept."""

from __future__ import annotations

import os
import secrets as random
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ingest.secrets import Secrets
from privacy.ports import SecretStore
from tacit.core.errors import StorageUnavailable
from tacit.core.rootkey import RootKey, RootKeyUnusable

SITE = "newsroom"
ROOT = RootKey(b"r" * 32)


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    return Secrets(tmp_path / "custody", ROOT)


def folder(tmp_path: Path, site: str = SITE) -> Path:
    return tmp_path / "custody" / site / "secrets"


def test_a_secret_of_several_megabytes_is_given_back_to_every_process(store: SecretStore, tmp_path: Path) -> None:
    content = random.token_bytes(5 * 2**20)
    store.keep(SITE, "block-7.pages", content)
    assert store.secret(SITE, "block-7.pages") == content
    assert Secrets(tmp_path / "custody", ROOT).secret(SITE, "block-7.pages") == content
    store.keep(SITE, "empty", b"")
    assert store.secret(SITE, "empty") == b""


def test_what_was_never_kept_is_none(store: SecretStore) -> None:
    assert store.secret(SITE, "block-7") is None
    assert store.secrets(SITE, "") == []
    assert store.destroy_secrets(SITE, "") == 0


def test_a_name_is_written_once(store: SecretStore) -> None:
    store.keep(SITE, "block-7", b"first")
    store.keep(SITE, "block-7", b"first")
    with pytest.raises(StorageUnavailable):
        store.keep(SITE, "block-7", b"second")
    assert store.secret(SITE, "block-7") == b"first"


def test_of_many_writers_of_one_name_one_wins_and_the_others_are_told(store: SecretStore) -> None:
    def keep(number: int) -> bool:
        try:
            store.keep(SITE, "block-7", b"%d" % number)
        except StorageUnavailable:
            return False
        return store.secret(SITE, "block-7") == b"%d" % number

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(keep, range(40))) == 1


def test_the_file_is_sealed_private_and_bound_to_its_name_and_site(store: SecretStore, tmp_path: Path) -> None:
    content = b"exact counts of a block"
    store.keep(SITE, "block-7", content)
    path = folder(tmp_path) / "block-7"
    assert content not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(p.stat().st_mode) for p in path.parents[:3]} == {0o700}
    (folder(tmp_path) / "block-8").write_bytes(path.read_bytes())
    folder(tmp_path, "other").mkdir(parents=True)
    (folder(tmp_path, "other") / "block-7").write_bytes(path.read_bytes())
    for site, name in ((SITE, "block-8"), ("other", "block-7")):
        with pytest.raises(RootKeyUnusable):
            store.secret(site, name)
    with pytest.raises(RootKeyUnusable):
        Secrets(tmp_path / "custody", RootKey(b"s" * 32)).secret(SITE, "block-7")


def test_destroyed_means_gone_for_the_prefix_and_for_nothing_else(store: SecretStore) -> None:
    for name in ("block-7.pages", "block-7.dwell", "block-8.pages"):
        store.keep(SITE, name, name.encode())
    store.keep("other", "block-7.pages", b"another site's")
    assert store.secrets(SITE, "block-7") == ["block-7.dwell", "block-7.pages"]
    assert store.destroy_secrets(SITE, "block-7") == 2
    assert store.destroy_secrets(SITE, "block-7") == 0
    assert store.secret(SITE, "block-7.pages") is None
    assert store.secrets(SITE, "") == ["block-8.pages"]
    assert store.secret("other", "block-7.pages") == b"another site's"


def test_destruction_overwrites_before_it_unlinks(store: SecretStore, tmp_path: Path) -> None:
    store.keep(SITE, "block-7", random.token_bytes(3 * 2**20))
    other_name = tmp_path / "another link to the same blocks"
    os.link(folder(tmp_path) / "block-7", other_name)
    size = other_name.stat().st_size
    store.destroy_secrets(SITE, "block-7")
    assert other_name.read_bytes() == bytes(size)


def test_a_file_that_a_crash_left_half_overwritten_is_destroyed_and_not_replaced(store: SecretStore, tmp_path: Path) -> None:
    store.keep(SITE, "block-7", b"x" * 100)
    path = folder(tmp_path) / "block-7"
    path.write_bytes(bytes(20) + path.read_bytes()[20:])
    assert store.secret(SITE, "block-7") is None
    with pytest.raises(StorageUnavailable):
        store.keep(SITE, "block-7", b"x" * 100)
    assert store.destroy_secrets(SITE, "block-7") == 1
    assert list(folder(tmp_path).iterdir()) == []


def test_what_a_crash_in_the_middle_of_keeping_left_behind_is_destroyed_too(store: SecretStore, tmp_path: Path) -> None:
    store.keep(SITE, "block-7", b"kept")
    leftover = folder(tmp_path) / ".block-7.0123456789ab"
    leftover.write_bytes(ROOT.wrap(f"{SITE}/secrets/block-7", b"never kept"))
    os.link(leftover, tmp_path / "blocks")
    assert store.secrets(SITE, "") == ["block-7"]
    assert store.destroy_secrets(SITE, "block-7") == 1
    assert list(folder(tmp_path).iterdir()) == []
    assert not any((tmp_path / "blocks").read_bytes())


def test_a_directory_that_takes_nothing_is_unavailable_storage(tmp_path: Path) -> None:
    (tmp_path / "custody").write_bytes(b"a file where a directory is needed")
    with pytest.raises(StorageUnavailable):
        Secrets(tmp_path / "custody", ROOT).keep(SITE, "block-7", b"x")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a\0", "ä", "x" * 201])
def test_a_name_cannot_lead_out_of_the_folder(store: Any, name: str) -> None:
    with pytest.raises(AssertionError):
        store.keep(SITE, name, b"x")
    with pytest.raises(AssertionError):
        store.secret(SITE, name)
