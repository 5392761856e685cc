"""Everything that can be seen besides noisy numbers is the same with a person and without: how many releases there are and how long they
are, keys and their order, sizes, mechanisms and scales, the ledger, refusals, the evidence log, claims, states, HTTP statuses, headers and
error codes, and what other people's requests are answered. Random are only noise, ids, hashes and keys; all else must be equal, to the
millisecond. A rare key of the person may show: with a chance below 1e-6 a run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from privacy.ledger import Ledger
from privacy.models import Window
from tacit.core.declaration import Measure, Site
from tacit.core.errors import Problem
from tacit.core.evidence import Entry
from tacit.worker import Worker
from tests.attack.installation import Installation, without_noise

WINDOWS, IN_EPOCH = 3, 2
CROWD = [f"reader-{i}" for i in range(30)]

YAML = """
sites:
  newsroom:
    privacy: {epsilon: 20.0, delta: 1.0e-6, epoch: 2m, window: 1m}
    measures:
      pages: {event: page, by: {category: [news, tech]}, per_window: 3, per_cell: 2, share: 0.1}
      visits: {event: page, windows: 2, per_window: 2, per_cell: 2, over_time: prefix, block: 2, share: 0.2}
      dwell: {event: dwell, value: {field: seconds, from: 0, to: 120}, over_time: {sliding: 2}, block: 2, share: 0.2}
      terms: {event: search, keys: {field: term, delta_share: 0.5}, per_window: 3, per_cell: 2, share: 0.1}
      moves: {event: page, count: transitions, by: {category: [news, tech]}, per_window: 3, share: 0.05}
      reach: {event: page, count: people, by: {category: [news, tech]}, per_window: 2, share: 0.05}
    policies:
      headline:
        zone: front
        arms: {control: {}, larger: {}}
        context: {device: [mobile, desktop]}
        reward: {event: click}
        share: 0.1
"""
LARGER = YAML.replace("share: 0.1}\n      visits", "share: 0.3}\n      visits")
"""The same after a change that does not fit into the epoch any more, so that something is refused."""

Events = list[dict[str, Any]]


def crowd(at: Installation, window: int) -> Events:
    found = []
    for n, who in enumerate(CROWD):
        name = f"{window}-{n}"
        found += [at.event(f"p{name}", "page", who, category="news"), at.event(f"s{name}", "search", who, term="weather")]
        found.append(at.event(f"d{name}", "dwell", who, seconds=n))
        found.append(at.event(f"t{name}", "trial", who, policy="headline", context={"device": "mobile"}, arm="control", reward=n % 2))
    return found


def fills_everything(at: Installation, window: int, who: str) -> Events:
    found = [at.event(f"{who}{window}-{i}", "page", who, category=("news", "tech", "sport")[i % 3]) for i in range(20)]
    found += [at.event(f"{who}{window}d{i}", "dwell", who, seconds=10**6) for i in range(20)]
    found += [at.event(f"{who}{window}s{i}", "search", who, term=("weather", f"only {who}", f"{who} {i}")[i % 3]) for i in range(20)]
    trial = {"policy": "headline", "context": {"device": "fridge"}, "arm": "larger", "reward": 1}
    return [*found, *(at.event(f"{who}{window}t{i}", "trial", who, **trial) for i in range(20))]


def in_every_window(at: Installation, window: int, who: str) -> Events:
    return fills_everything(at, window, who)[::3]


def late(at: Installation, window: int, who: str) -> Events:
    """In the epoch's last window, with old events; and once more, the same ones, when the epoch is over."""
    if window < IN_EPOCH - 1:
        return []
    return [at.event(f"{who}{i}", "page", who, ago=1.0, category="tech") for i in range(5)]


def with_others_message_ids(at: Installation, window: int, who: str) -> Events:
    return [{**event, "subject": who} for event in crowd(at, window)]


def with_one_message_id(at: Installation, window: int, who: str) -> Events:
    return [at.event(who, "page", who, category=category) for category in ("news", "tech", "news", "sport")]


def alone(at: Installation, window: int, who: str) -> Events:
    return [at.event(f"{who}-{i}", "page", who, category="tech") for i in range(5)] if window == 1 else []


def broken(at: Installation, window: int, who: str) -> Events:
    """Nothing of this can be counted, except the last one."""
    good = at.event(f"{who}{window}", "page", who, category="news")
    return [
        good | {"id": ""},
        good | {"at": "yesterday"},
        good | {"at": "2190-01-01T00:00:00Z"},
        good | {"at": "9999-12-31T23:59:59-14:00"},
        good | {"at": "0001-01-01T00:00:00+14:00"},
        good | {"unknown": 1},
        good | {"properties": {"category": "x" * 40_000}},
        at.event(f"{who}d{window}", "dwell", who, seconds="long"),
        at.event(f"{who}e{window}", "dwell", who, seconds=1e300),
        at.event(f"{who}t{window}", "trial", who, policy="headline", arm="gigantic", reward=7),
        at.event(f"{who}s{window}", "search", who, term="\x00"),
        at.event(f"{who}z{window}", "zoom", who),
        good,
    ]


PEOPLE = (fills_everything, in_every_window, late, with_others_message_ids, with_one_message_id, alone, broken)
NAMES = [sends.__name__ for sends in PEOPLE]


Plant = Callable[[Installation], None]


def life(
    place: Path, *, others: Sequence[str] = (), present: Sequence[str] = (), windows: int = WINDOWS, plant: Plant | None = None
) -> dict[str, Any]:
    """Three windows in two epochs, with a restart and a change of configuration in between; what is seen at the end.

    The people of `PEOPLE` all consent; those of `present` also come. A fault may be planted before the sanitiser passes.
    """
    at = Installation(place, YAML)
    told: list[Any] = []
    try:
        at.consent([*others, *NAMES], "measurement", "personalisation")
        for window in range(windows):
            at.at(window + 0.2)
            for sends in PEOPLE:
                if sends.__name__ in present and (mine := sends(at, window, sends.__name__)):
                    at.send(mine)
            at.at(window + 0.5)
            if others:
                told.append(at.send([*crowd(at, window), at.event("x", "page", "stranger", category="news")]))
            if window == IN_EPOCH - 1:
                at.restart(LARGER)
            if plant is not None:
                plant(at)
            at.at(window + 1)
            at.work()
        return at.seen() | {"verdicts on others": told}
    finally:
        at.close()
        shutil.rmtree(place / "custody", ignore_errors=True)


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What looks different."""
    return [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]


def test_a_crowd_looks_the_same_with_the_worst_people_in_it_and_without(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All of them at once: had any of them an effect that shows, so would have all."""
    places = [tmp_path_factory.mktemp("crowd") for _ in range(2)]
    without, found = (life(place, others=CROWD, present=people) for place, people in zip(places, ([], NAMES), strict=True))
    assert differing(found, without) == []
    status, _, budget = found["officer /v1/budget"]
    assert status == 200
    assert [refused["reason"] for epoch in budget["budget"] for refused in epoch["refused"]] == ["budget_exhausted"]
    assert len(found["evidence"]) > 20
    terms = [r for r in found["officer /v1/releases?limit=1000"][2]["releases"] if r["measure"] == "terms"]
    assert [[cell["by"]["term"] for cell in r["cells"]] for r in terms] == [["weather"], [], ["weather"]], "once an epoch"


@pytest.mark.parametrize("person", ["fills_everything", "broken"])
def test_somebody_who_is_the_only_one_at_all_is_not_seen(tmp_path_factory: pytest.TempPathFactory, person: str) -> None:
    found, without = (life(tmp_path_factory.mktemp("alone"), present=people, windows=1) for people in ([person], []))
    assert differing(found, without) == []


class Hasty:
    """The event source, in a hurry: a window without rows is not worth reading."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def contributions(self, window: Window) -> Any:
        rows = self._source.contributions(window)
        if not len(rows.columns["m"]):
            raise NothingCame
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


class NothingCame(Problem):
    type = "nothing-came"


def skip_empty_windows(at: Installation) -> None:
    sanitiser = at.services.sanitiser
    at.worker = Worker(replace(at.services, sanitiser=replace(sanitiser, source=Hasty(sanitiser.source))))


def log_how_many_came(at: Installation) -> None:
    source, evidence = at.services.sanitiser.source, at.services.evidence

    class Telling(Hasty):
        def contributions(self, window: Window) -> Any:
            rows = source.contributions(window)
            evidence.append([Entry("window.read", window.site, {"rows": len(rows.columns["m"])})])
            return rows

    at.worker = Worker(replace(at.services, sanitiser=replace(at.services.sanitiser, source=Telling(source))))


def charge_where_somebody_came(at: Installation) -> None:
    ledger = at.services.sanitiser.ledger
    source = at.services.sanitiser.source

    class Thrifty:
        def charge(self, site: Site, window: Window, measures: Sequence[Measure]) -> Any:
            came = set(source.contributions(window).columns["measure"].tolist())
            return ledger.charge(site, window, [m for m in measures if m.id in came])

        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

    at.worker = Worker(replace(at.services, sanitiser=replace(at.services.sanitiser, ledger=cast(Ledger, Thrifty()))))


@pytest.mark.parametrize(
    ("plant", "shows"),
    [
        (skip_empty_windows, {"releases", "closings", "evidence", "charges", "officer /v1/releases?limit=1000"}),
        (log_how_many_came, {"evidence"}),
        (charge_where_somebody_came, {"releases", "spends", "charges", "officer /v1/budget"}),
    ],
)
def test_what_tells_that_somebody_came_is_found_out(tmp_path_factory: pytest.TempPathFactory, plant: Plant, shows: set[str]) -> None:
    found, without = (
        life(tmp_path_factory.mktemp("planted"), present=people, windows=1, plant=plant) for people in (["fills_everything"], [])
    )
    assert shows <= set(differing(found, without))


def test_only_noise_and_random_names_are_left_out_of_the_comparison() -> None:
    release = {"id": "rel_01hf7y" + "a" * 20, "rho": 0.5, "cells": [{"by": {"term": "tax"}, "value": 3, "sd": 2.0}]}
    plain = without_noise(release)
    assert plain == {"id": "~", "rho": 0.5, "cells": [{"by": {"term": "tax"}, "value": "~", "sd": 2.0}]}
    assert without_noise({"values": [1, 2]}) != without_noise({"values": [1, 2, 3]})
