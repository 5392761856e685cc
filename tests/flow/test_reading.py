"""What a reader gets of every kind of measure: from events over HTTP to estimates on the command line and over HTTP.

Noise here has epsilon 20 split over few measures; what is asserted lies at least 8 standard deviations away, a chance below 1e-14 each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import House, build, event

PEOPLE = 40
TEXT = """
sites:
  newsroom:
    privacy: {epsilon: 20, delta: 1.0e-3, epoch: 1d, window: 1h}
    measures:
      pages: {event: page, by: {category: [news, tech]}, per_window: 3, per_cell: 3, share: 0.1}
      readers: {event: page, count: people, by: {category: [news, tech]}, per_window: 2, share: 0.1, over_time: prefix}
      steps: {event: page, count: transitions, by: {category: [news, tech]}, per_window: 3, per_cell: 3, share: 0.1}
      depth: {event: scroll, by: {percent: {from: 0, to: 100, bins: 4}}, share: 0.1}
      map: {event: tap, by: {x: {from: 0, to: 1, bins: 2}, y: {from: 0, to: 1, bins: 2}}, share: 0.1}
      dwell: {event: dwell, value: {field: seconds, from: 0, to: 120}, share: 0.2}
      terms: {event: search, keys: {field: term, delta_share: 0.5}, share: 0.1}
      mood: {event: mood, by: {face: [good, bad]}, local: {epsilon: 4}, share: 0.2}
"""


def tacit(house: House, *arguments: str) -> Any:
    done = house.tacit(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose 40 people all did the same, in a window that is closed."""
    place = tmp_path_factory.mktemp("reading")
    house = build(place, TEXT)
    house.start(sanitiser=False)
    exact = place / "exact.ndjson"
    for n in range(PEOPLE):
        who = f"reader-{n}"
        house.consent(who, measurement=True)
        common = [event(f"s{n}", "search", who, term=" Budget  2026 "), event(f"r{n}", "search", who, term=f"only me {n}")][: 1 + (n == 0)]
        house.send(
            *[event(f"p{n}{i}", "page", who, category=c) | {"at": f"{day()}:{i:02d}:00Z"} for i, c in enumerate(("news", "tech", "tech"))],
            event(f"d{n}", "scroll", who, percent=30 if n % 4 else 90),
            event(f"t{n}", "tap", who, x=0.9, y=0.1),
            event(f"w{n}", "dwell", who, seconds=50),
            *common,
        )
    exact.write_text("\n".join(json.dumps(event(f"m{n}", "mood", f"reader-{n}", face="good")) for n in range(PEOPLE)))
    command = [sys.executable, "-m", "tacit.cli", "randomise", str(exact), "--site", "newsroom"]
    environment = os.environ | {"TACIT_CONFIG": str(house.settings.config)}
    drawn = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert house.send(*map(json.loads, drawn))["accepted"] == PEOPLE
    assert house.tacit("close", "--site", "newsroom").returncode == 0
    yield house
    house.stop()


def day() -> str:
    import time

    return time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() - 3_600))


def within(number: dict[str, Any], truth: float) -> bool:
    """Whether the truth lies within 8 standard deviations, seen from the 95 % interval."""
    low, high = number["interval"]
    return abs(number["value"] - truth) <= 8 / 1.96 * (high - low) / 2


def cells(answer: dict[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    return {tuple(c["by"].values()): c for c in answer["cells"]}


def test_steps_join_what_one_person_did_one_after_the_other(read: House) -> None:
    found = cells(tacit(read, "estimates", "--site", "newsroom", "--measure", "steps", "--format", "json"))
    assert found["news", "tech"]["value"] == pytest.approx(PEOPLE, abs=PEOPLE / 2)
    assert found["tech", "tech"]["value"] == pytest.approx(PEOPLE, abs=PEOPLE / 2)
    assert abs(found["tech", "news"]["value"]) < PEOPLE / 2


def test_people_are_counted_once_in_a_cell_and_events_as_often_as_they_happen(read: House) -> None:
    people = cells(tacit(read, "estimates", "--site", "newsroom", "--measure", "readers", "--format", "json"))
    pages = cells(tacit(read, "estimates", "--site", "newsroom", "--measure", "pages", "--format", "json"))
    assert people["tech",]["value"] == pytest.approx(PEOPLE, abs=PEOPLE / 2)
    assert pages["tech",]["value"] == pytest.approx(2 * PEOPLE, abs=PEOPLE / 2)


def test_quantiles_means_and_grids_over_http(read: House) -> None:
    client = read.client("officer")
    depth = client.get("/v1/estimates", params={"measure": "depth", "quantile": [0.5, 0.9]}).json()
    half, most = depth["quantiles"]["percent"]["quantiles"]
    assert 25 <= half["value"] <= 50
    assert most["interval"][1] >= 75
    dwell = client.get("/v1/estimates", params={"measure": "dwell"}).json()
    assert within(dwell["cells"][0]["mean"], 50)
    grid = client.get("/v1/estimates", params={"measure": "map"}).json()
    assert max(cells(grid).items(), key=lambda item: item[1]["estimate"])[0] == ("0.5..1", "0..0.5")
    assert set(grid["marginals"]) == {"x", "y"}
    assert within(grid["total"], PEOPLE)


def test_a_key_that_many_sent_is_shown_in_normal_form_and_a_rare_one_is_suppressed(read: House) -> None:
    answer = tacit(read, "estimates", "--site", "newsroom", "--measure", "terms", "--format", "json")
    assert [c["by"] for c in answer["cells"]] == [{"term": "budget 2026"}]
    assert answer["suppressed"]["below"] > 1
    (release,) = (r for r in read.client().get("/v1/releases", params={"measure": "terms"}).json()["releases"])
    assert release["mechanism"]["name"] == "discrete_gaussian_threshold"
    assert release["suppressed"]["below"] == answer["suppressed"]["below"]


def test_what_devices_randomised_is_debiased(read: House) -> None:
    answer = cells(read.client().get("/v1/estimates", params={"measure": "mood"}).json())
    assert answer["good",]["value"] == pytest.approx(PEOPLE, abs=8 * answer["good",]["sd"])
    assert answer["good",]["estimate"] > answer["bad",]["estimate"]
    (mood,) = (m for m in read.client().get("/v1/measures").json()["measures"] if m["name"] == "mood")
    assert mood["local"] == {"epsilon": 4.0, "cells": 3, "keep": pytest.approx(0.9647, abs=1e-4)}
    refused = read.client().post("/v1/events", json={"events": [event("x", "mood", "reader-1", face="good")]}).json()
    assert refused["rejected"] == [{"index": 0, "code": "not_randomised"}]


def test_bad_questions_get_clear_answers(read: House) -> None:
    client = read.client("officer")
    assert client.get("/v1/estimates", params={"measure": "nothing"}).status_code == 404
    assert client.get("/v1/estimates", params={"measure": "depth", "quantile": 1.5}).status_code == 422
    assert client.get("/v1/estimates", params={"measure": "depth", "from": "yesterday"}).status_code == 422
    differs = client.get("/v1/estimates", params={"measure": "pages", "with": "depth"})
    assert (differs.status_code, differs.json()["title"]) == (409, "These releases do not add up")
    later = client.get("/v1/estimates", params={"measure": "depth", "from": "2999-01-01T00:00:00Z"}).json()
    assert (later["windows"], later["cells"], later["total"]) == (0, [], None)
    done = read.tacit("estimates", "--site", "newsroom", "--measure", "nothing")
    assert done.returncode == 1
    assert "declares no measure" in done.stderr
