from __future__ import annotations

import stat
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from ingest.custody import Custody
from ingest.errors import EpochKeyDestroyed, EpochKeyLost
from tacit.core.db import connect, intake_metadata, writing
from tacit.core.rootkey import RootKey, RootKeyUnusable
from tests.ingest.world import DAY, SITE, START, FixedClock, World

END = START + DAY


def key_file(world: World, name: str):
    return world.path / "custody" / SITE / name


def test_every_process_gets_the_one_key_of_an_epoch(world):
    key = world.custody.epoch_secret(SITE, START, END)
    assert len(key) == 32
    assert world.again().custody.epoch_secret(SITE, START, END) == key
    assert world.custody.epoch_secret(SITE, END, END + DAY) != key
    assert stat.S_IMODE(key_file(world, f"epoch-{START}").stat().st_mode) == 0o600
    assert key not in key_file(world, f"epoch-{START}").read_bytes()


def test_a_lost_epoch_key_is_never_replaced(world):
    world.custody.epoch_secret(SITE, START, END)
    key_file(world, f"epoch-{START}").unlink()
    for custody in (world.custody, world.again().custody):
        with pytest.raises(EpochKeyLost):
            custody.epoch_secret(SITE, START, END)
    assert not key_file(world, f"epoch-{START}").exists()


def test_another_epochs_key_in_the_file_is_a_lost_key(world):
    world.custody.epoch_secret(SITE, START, END)
    path = key_file(world, f"epoch-{START}")
    path.write_bytes(RootKey(b"r" * 32).wrap(f"{SITE}/epoch-{START}", b"x" * 32))
    with pytest.raises(EpochKeyLost):
        world.again().custody.epoch_secret(SITE, START, END)


def test_a_file_that_a_crash_left_without_its_row_is_adopted(world, tmp_path):
    path = key_file(world, f"epoch-{START}")
    path.parent.mkdir(parents=True)
    path.write_bytes(RootKey(b"r" * 32).wrap(f"{SITE}/epoch-{START}", b"x" * 32))
    assert world.custody.epoch_secret(SITE, START, END) == b"x" * 32


def test_a_destroyed_epoch_gets_no_second_key_and_leaves_no_bytes(world):
    other = world.again()
    key = world.custody.epoch_secret(SITE, START, END)
    assert other.custody.epoch_secret(SITE, START, END) == key
    assert world.custody.destroy_epoch(SITE, START, END)
    assert not world.custody.destroy_epoch(SITE, START, END)
    for custody in (world.custody, other.custody, world.again().custody):
        with pytest.raises(EpochKeyDestroyed):
            custody.epoch_secret(SITE, START, END)


def test_an_epoch_destroyed_before_it_had_a_key_never_gets_one(world):
    assert not world.custody.destroy_epoch(SITE, START, END)
    with pytest.raises(EpochKeyDestroyed):
        world.custody.epoch_secret(SITE, START, END)


def test_a_key_made_in_a_transaction_that_is_rolled_back_stays_the_only_one(world):
    class Undone(Exception):
        pass

    kept = []

    def undone() -> None:
        with writing(world.engine) as connection:
            kept.append(world.custody.epoch_secret(SITE, START, END, connection))
            raise Undone

    with pytest.raises(Undone):
        undone()
    assert world.custody.epoch_secret(SITE, START, END) == kept[0]


def test_window_keys_come_and_go(world):
    assert world.custody.window_key(SITE, 5, create=False) is None
    key = world.custody.window_key(SITE, 5, create=True)
    other = world.again().custody
    assert other.window_key(SITE, 5, create=False) == key == world.custody.window_key(SITE, 5, create=True)
    assert world.custody.destroy_window(SITE, 5)
    assert not world.custody.destroy_window(SITE, 5)
    assert other.window_key(SITE, 5, create=False) is None
    assert world.custody.window_key(SITE, 5, create=False) is None


def test_the_root_key_alone_opens_the_files(world):
    world.custody.window_key(SITE, 5, create=True)
    stranger = Custody(world.path / "custody", world.engine, RootKey(b"s" * 32), world.clock)
    with pytest.raises(RootKeyUnusable):
        stranger.window_key(SITE, 5, create=False)


def test_an_epoch_that_overlaps_one_of_another_length_gets_no_key(world):
    world.custody.epoch_secret(SITE, START, END)
    half = DAY // 2
    for start, end in ((START, START + half), (START + half, END), (START - half, START + half), (START, END + DAY), (START - DAY, END)):
        for custody in (world.custody, world.again().custody):
            with pytest.raises(EpochKeyLost):
                custody.epoch_secret(SITE, start, end)
    world.custody.destroy_epoch(SITE, START, END)
    with pytest.raises(EpochKeyLost):
        world.custody.epoch_secret(SITE, START + half, END + half)
    assert world.custody.epoch_secret(SITE, START - half, START)
    assert world.custody.epoch_secret(SITE, END, END + 5 * DAY)
    assert world.custody.epoch_secret("other", START + half, END + half)


def test_of_two_lengths_that_start_at_once_one_gets_the_key_on_postgres_too(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a container without XDG_RUNTIME_DIR makes the server's package warn at import
        from tests import postgres
    with postgres.server() as url:
        engine = connect(postgres.empty_database(url, "custody"))
        intake_metadata.create_all(engine)
        custody = Custody(tmp_path / "custody", engine, RootKey(b"r" * 32), FixedClock())

        def make(span: tuple[int, int]) -> bool:
            try:
                return bool(custody.epoch_secret(SITE, *span))
            except EpochKeyLost:
                return False

        spans = [(START + i * 1000, END + i * 1000) for i in range(6)]
        with ThreadPoolExecutor(6) as threads:
            assert sum(threads.map(make, spans)) == 1
        engine.dispose()
