from __future__ import annotations

from sqlalchemy import select

from ingest.errors import StagingCorrupt
from ingest.pseudonyms import person
from ingest.tables import tombstones
from privacy.ports import EventSource
from tacit.core.db import reading
from tests.ingest.world import DAY, MINUTE, SITE, START, World

ALL = {"measurement": True, "personalisation": True, "fairness_audit": True}


def test_it_satisfies_the_sanitisers_port(world):
    source: EventSource = world.source
    assert source.closed(SITE, None) == []


def test_a_withdrawal_drops_what_is_staged_already(world):
    world.grant("ada", "bob", **ALL)
    world.send(world.event("1"), world.event("2", subject="bob"), world.trial("3"), world.trial("4", "bob"))
    world.withdraw("ada", "measurement")
    world.later()
    found = world.rows()
    assert sorted(n for n, _, _ in world.labelled()) == [
        "audit.by_age",
        "audit.by_age",
        "pages",
        "policy.headline",
        "policy.headline",
        "visits",
    ]
    assert found


def test_a_withdrawal_reaches_the_last_windows_of_the_epoch_before_and_the_first_of_the_next(world):
    world.grant("ada")
    world.clock.at_ms = START + DAY - 30_000
    world.send(world.event("1"))
    world.clock.at_ms = START + DAY + 20_000  # the window before midnight is not released yet
    world.withdraw("ada", "measurement")
    assert [n for n, _, _ in world.labelled()] == []

    world.grant("bob")
    world.clock.at_ms = START + 2 * DAY - 5_000
    late = world.again()
    measured = late.door
    world.withdraw("bob", "measurement")
    # An event that had passed the gate before the withdrawal and is staged just after midnight.
    from ingest.plans import SitePlan
    from tacit.core.mac import subject_bytes
    from tests.ingest.world import DECLARATION

    plan = SitePlan(DECLARATION.sites[SITE])
    world.clock.at_ms = START + 2 * DAY + 5_000
    from collections import Counter
    from datetime import UTC, datetime

    from ingest.events import Event

    contributions = plan.contributions(Event("x", "page", "bob", datetime.fromtimestamp(world.clock.at_ms / 1000, UTC)))
    assert measured._stage(SITE, plan, [(subject_bytes("user", "bob"), b"x", contributions)], Counter()) == 1
    late.staging.sync()
    world.later(2 * MINUTE)
    assert [n for n, _, _ in world.labelled()] == []
    late.close()


def test_after_a_new_grant_old_rows_stay_out_and_later_windows_count(world):
    world.grant("ada")
    world.send(world.event("1"))
    world.withdraw("ada", "measurement")
    world.grant("ada")
    assert world.send(world.event("2"))["accepted"] == 1
    world.later()
    assert world.send(world.event("3"))["accepted"] == 1
    world.later()
    first, second = ([n for n, _, _ in world.labelled([w])] for w in world.windows())
    assert first == []
    assert second == ["pages", "visits"]
    world.withdraw("ada", "measurement")
    assert [n for n, _, _ in world.labelled()] == []


def test_a_message_of_an_earlier_window_of_the_epoch_counts_once(world):
    world.grant("ada", "bob")
    world.send(world.event("1"), world.event("1", subject="bob"))
    world.later()
    other = world.again()
    other.door.forget_recent()
    world.source.forget(world.windows()[0])
    # A process that knows nothing of it stages it again.
    other.door._recent[SITE] = type(
        "Blank", (), {"current": set(), "previous": set(), "move_to": lambda *_: None, "add": lambda *_: None}
    )()
    assert other.send(other.event("1"), other.event("new"))["accepted"] == 2
    world.later()
    window = world.windows()[1]
    messages = {r["m"] for r in world.rows([window])}
    assert len(messages) == 1
    other.close()


def test_forgetting_destroys_rows_and_key_and_can_be_repeated(world):
    world.grant("ada")
    world.send(world.event("1"))
    world.later()
    [window] = world.windows()
    assert len(world.rows([window])) == 2
    assert world.source.forget(window)
    assert not world.source.forget(window)
    assert world.rows([window]) == []
    assert world.segments() == []
    assert [p.name for p in (world.path / "custody" / SITE).iterdir()] == [f"epoch-{START}"]


def test_a_crash_between_the_steps_of_forgetting_loses_no_seen_message(world):
    world.grant("ada")
    world.send(world.event("1"))
    world.later()
    [window] = world.windows()
    messages = sorted({r["m"] for r in world.rows([window])})
    world.staging.seen.record(SITE, window.start_ms, b"".join(m.to_bytes(8, "little") for m in messages))
    assert sorted({r["m"] for r in world.rows([window])}) == messages  # its own list does not empty a window that is read again
    world.segments()[0].unlink()
    assert world.source.forget(window)
    assert b"".join(world.staging.seen.before(SITE, window.end_ms)) == b"".join(m.to_bytes(8, "little") for m in messages)


def test_the_end_of_an_epoch_leaves_nothing_of_it(world):
    world.grant("ada")
    world.send(world.event("1"))
    world.withdraw("ada", "measurement")
    world.later()
    for window in world.windows():
        world.source.forget(window)
    world.clock.at_ms = START + DAY + MINUTE
    assert world.source.end_epoch(SITE, START, START + DAY)
    assert not world.source.end_epoch(SITE, START, START + DAY)
    assert list((world.path / "custody" / SITE).iterdir()) == []
    assert list((world.path / "staging" / SITE / "seen").iterdir()) == []
    with reading(world.engine) as connection:
        assert connection.execute(select(tombstones)).all() == []
    world.withdraw("ada")  # of a person whose epoch is gone: nothing to bury, nothing to fail


def test_the_end_of_an_epoch_leaves_no_pseudonym_in_the_write_ahead_log(world):
    world.grant("ada")
    world.withdraw("ada", "measurement")
    who = person(world.custody.epoch_secret(SITE, START, START + DAY), "measurement", "user", "ada")
    log = world.path / "intake.db-wal"
    assert who in log.read_bytes()
    with reading(world.engine) as connection:  # somebody is looking at the database
        connection.execute(select(tombstones)).all()
        world.source.end_epoch(SITE, START, START + DAY)
        assert who in log.read_bytes()
        world.source.sweep(SITE, START)
    world.source.sweep(SITE, START)
    assert log.read_bytes() == b""
    assert who not in (world.path / "intake.db").read_bytes()


def test_after_shredding_the_root_key_holder_cannot_find_a_person(world):
    """Everything that is left, root key included, gives no way from a name to the rows that were copied before."""
    world.grant("ada")
    world.send(world.event("1"))
    world.later()
    [window] = world.windows()
    copied = {(r["p1"], r["p2"]) for r in world.rows([window])}
    sealed = world.segments()[0].read_bytes()
    world.source.forget(window)
    world.source.end_epoch(SITE, START, START + DAY)
    left = b"".join(p.read_bytes() for p in world.path.rglob("*") if p.is_file())
    for p1, p2 in copied:
        assert p1.to_bytes(8, "little") not in left
        assert p2.to_bytes(8, "little") not in left
    assert sealed[8:40] not in left
    assert b"ada" not in left


def test_damage_is_reported_and_nothing_is_returned(world):
    world.grant("ada")
    world.send(world.event("1"))
    world.later()
    path = max(world.segments(), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[20] ^= 4
    path.write_bytes(content)
    [window] = world.windows()
    try:
        world.source.contributions(window)
    except StagingCorrupt:
        pass
    else:
        raise AssertionError("a damaged window was read")
    assert world.source.forget(window)


def test_a_cut_ends_the_open_window(world: World):
    world.grant("ada")
    world.send(world.event("1"))
    world.later(5)
    world.source.cut(SITE)
    [window] = world.windows()
    assert (window.start_ms, window.end_ms, window.epoch_ms) == (START + 10 * MINUTE, START + 10 * MINUTE + 5, START)
    assert world.send(world.event("1"))["refused"] == {"duplicate": 1}


def test_a_withdrawal_between_reading_and_publishing_is_noticed(world):
    world.grant("ada", "bob")
    world.send(world.event("1"), world.event("2", subject="bob"))
    world.later()
    source, window = world.source, world.windows()[-1]
    rows = source.contributions(window)
    with source.steady(window, rows) as steady:
        assert steady
    world.withdraw("ada", "measurement")
    with source.steady(window, rows) as steady:
        assert not steady
    again = source.contributions(window)
    with source.steady(window, again) as steady:
        assert steady
    assert len(again.columns["m"]) < len(rows.columns["m"])
