"""The same audit for people who come through the real door, under a clock that the test sets: who sends everything again and again, comes
late, comes on both sides of an epoch's end under two pseudonyms, meets a restarted process, or shares a batch with others.

The unit that is hidden is what a person sends in the first epoch; what the same person sends in the second one is there in both runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from privacy.accounting import plan_window
from privacy.bounding import Bounded
from privacy.models import Window
from privacy.presence import PresenceBook
from tacit.core import configuration
from tests.attack.auditor import Auditor
from tests.attack.frozen import Ints, answers, attacks, before_noise, changed, loss, remembered, terms, vectors
from tests.ingest.world import MINUTE, SITE, START, World, open_world

WINDOWS, IN_EPOCH = 8, 4
TIMES = 1_200
ME, OTHERS = "me", [f"reader-{i}" for i in range(5)]

BY = "by: {category: [news, tech]}, per_window: 3, per_cell: 2, share: 0.3"
YAML = f"""
sites:
  newsroom:
    privacy: {{epsilon: 20.0, delta: 1.0e-6, epoch: {IN_EPOCH}m, window: 1m}}
    measures:
      once: {{event: page, {BY}}}
      thrice: {{event: page, windows: 3, over_time: prefix, block: {WINDOWS}, {BY}}}
      seconds: {{event: page, windows: 2, value: {{field: seconds, from: 0, to: 120}}, {BY}}}
"""
DECLARED = configuration.parse(YAML).sites[SITE]

Events = list[dict[str, Any]]
Person = Callable[[World, int], Events]


def page(world: World, name: str, subject: str = ME, category: str = "news", seconds: object = 120) -> dict[str, Any]:
    return world.event(name, "page", subject, category=category, seconds=seconds)


def again_and_again(world: World, window: int) -> Events:
    """The same ten events, as a client sends them that never hears an answer, and each twice."""
    return [page(world, str(i), category=("news", "tech")[i % 2]) for i in range(10)] * 2


def with_new_ids(world: World, window: int) -> Events:
    return [page(world, f"{window}-{i}", category=("news", "tech")[i % 2]) for i in range(10)]


def on_both_sides_of_midnight(world: World, window: int) -> Events:
    """In the last window of one epoch and the first of the next, with the same ids and with new ones."""
    return again_and_again(world, window) + with_new_ids(world, window) if window in (IN_EPOCH - 1, IN_EPOCH) else []


def late(world: World, window: int) -> Events:
    """Events that happened in the first window arrive in the third, and those of the second again in the fourth."""
    old = START + (window - 2) * MINUTE
    return [e | {"at": world.event("", at=old)["at"]} for e in with_new_ids(world, window)] if window in (2, 3) else []


def with_broken_ones(world: World, window: int) -> Events:
    return [
        page(world, "", category="tech"),
        page(world, "b0", seconds="many"),
        page(world, "b1", seconds=10**400),
        page(world, "b2", category="\ud800"),
        page(world, "b3") | {"at": "never"},
        *with_new_ids(world, window),
    ]


def counted(place: Path, person: Person, *, present: bool) -> dict[str, Ints]:
    """Exact bounded vectors by measure, (windows, length), with the person in the first epoch or without. Windows close as in service.

    In the second epoch the person sends one event a window in both runs: more than is counted would be cut by keys that no two runs share.
    """
    world = open_world(place, text=YAML)
    world.clock.at_ms = START
    world.grant(ME, *OTHERS)
    book = PresenceBook(world.engine)
    windows: list[Bounded] = []
    for number in range(WINDOWS):
        world.clock.at_ms = START + number * MINUTE + 1_000
        mine = person(world, number)[-1 if number >= IN_EPOCH else 0 :] if present or number >= IN_EPOCH else []
        verdict = world.send(*mine, *(page(world, f"{number}", who, seconds=30) for who in OTHERS))
        assert verdict["accepted"] >= len(OTHERS)
        if number in (1, 2):  # everything starts anew, with what lies in files
            world.close()
            world = open_world(place, text=YAML, clock=world.clock)
            book = PresenceBook(world.engine)
            world.send(*mine[::2])
        world.clock.at_ms = START + (number + 1) * MINUTE
        (span,) = [w for w in world.windows() if w.start_ms == START + number * MINUTE]
        at = Window(SITE, span.start_ms, span.end_ms, span.epoch_ms)
        windows.append(remembered(book, at, DECLARED.measures, world.source.contributions(at)))
        world.source.forget(at)
        if number % IN_EPOCH == IN_EPOCH - 1:
            book.end_epoch(SITE, at.epoch_ms)
            world.source.end_epoch(SITE, at.epoch_ms, at.end_ms)
    world.close()
    return vectors(DECLARED.measures, windows)


@pytest.mark.parametrize("person", [again_and_again, with_new_ids, on_both_sides_of_midnight, late, with_broken_ones])
def test_whoever_comes_through_the_door_costs_no_more_than_was_charged(auditor: Auditor, tmp_path_factory: Any, person: Person) -> None:
    here, gone = (counted(tmp_path_factory.mktemp("door"), person, present=present) for present in (True, False))
    for measure in DECLARED.measures:
        sold = terms(measure, epsilon="20")
        plan = plan_window(measure, sold.charge.rho_pico)
        assert plan is not None
        windows = {at for at, _ in changed(measure, here[measure.name], gone[measure.name])}
        assert 0 < len(windows) <= measure.bounds.windows
        assert max(windows) < IN_EPOCH, "only the epoch of which something was taken away"
        pair = present, absent = before_noise(plan, here[measure.name]), before_noise(plan, gone[measure.name])
        assert loss(measure, plan, present, absent) <= sold.claim.rho * (1 + 1e-12)
        places = changed(measure, present, absent)
        one, other = (answers(measure, plan, exact, places, TIMES) for exact in pair)
        found = auditor.paired(one, other, sold.claim, attacks=attacks(measure, plan, present, absent, places))
        assert not found.refutes(sold.claim), found


def test_the_rows_of_others_are_the_same_to_the_last_bit_whether_i_come_or_not(tmp_path: Path) -> None:
    """One installation in the middle of a window, copied with its keys: in one copy I come first, in between and with everybody's ids."""
    (tmp_path / "here").mkdir()
    first = open_world(tmp_path / "here", text=YAML)
    first.clock.at_ms = START + 1_000
    first.grant(ME, *OTHERS)
    first.send(page(first, "opens the window", OTHERS[0]))
    first.close()
    shutil.copytree(tmp_path / "here", tmp_path / "gone")
    found = []
    for name in ("here", "gone"):
        world = open_world(tmp_path / name, text=YAML, clock=first.clock)
        mine = with_new_ids(world, 0) if name == "here" else []
        for who in OTHERS:
            theirs = [page(world, f"0-{i}", who, category=("news", "tech")[i % 2]) for i in range(10)]
            world.send(*mine, *theirs[:5])
            world.send(*theirs, *mine)
        world.source.cut(SITE)
        found.append(sorted(tuple(sorted(row.items())) for row in world.rows()))
        world.close()
    here, gone = found
    assert set(gone) <= set(here)
    assert len({dict(row)["p1"] for row in set(here) - set(gone)}) == 1
    assert len(gone) == 3 * (1 + 10 * len(OTHERS))
