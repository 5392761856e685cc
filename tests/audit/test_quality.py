"""Releases before they are used: a good one passes, broken ones are held, and nothing is printed or sent."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from audit.quality import check
from privacy.choosing import choose
from privacy.models import Mechanism, Row
from tacit.core.declaration import Dimension, Keys, Kind, Measure, ValueRange
from tests.audit.examples import audit_measure_of, example_site, release_of, with_noise

MEASURE = audit_measure_of(example_site())
GOOD = tuple(with_noise(np.full(MEASURE.cells, 40, dtype=np.int64), 4.0))


def held(**changes: Any) -> set[str]:
    vector = changes.pop("vector", GOOD)
    passed, report = check(replace(release_of(MEASURE, GOOD), **(changes | {"vector": tuple(vector)})))
    assert not passed
    assert report["passed"] is False
    return {name for name, ok in report["checks"].items() if not ok}


def test_a_good_release_passes_with_a_report_of_booleans() -> None:
    passed, report = check(release_of(MEASURE, GOOD))
    assert passed
    assert set(report["checks"].values()) == {True}
    assert json.loads(json.dumps(report)) == report


def test_negative_counts_are_noise_and_pass() -> None:
    assert check(release_of(MEASURE, [-9] * MEASURE.cells, scale=4.0))[0]


def test_a_sum_passes_within_its_declared_range() -> None:
    value = ValueRange("seconds", 0, 120)
    measure = Measure("newsroom", "dwell", Kind.SUM, "dwell", "measurement", (Dimension("zone", ("hero",)),), Decimal("0.1"), value=value)
    release = release_of(measure, [5, 3, 400, -60], mechanism=Mechanism(scale=2.0, sum_scale=60.0))
    assert check(release)[0]
    assert not check(replace(release, mechanism=Mechanism(scale=2.0, sum_scale=None)))[0]


def test_a_broken_release_is_held() -> None:
    assert "cells_complete" in held(vector=GOOD[:-1])
    assert "cells_complete" in held(vector=(*GOOD, 1))
    assert "cells_complete" in held(vector=())
    assert "values_present" in held(vector=(None, *GOOD[1:]))
    assert "values_plausible" in held(vector=(-500, *GOOD[1:]))
    assert "values_plausible" in held(vector=(2**40, *GOOD[1:]))
    assert "noise_positive" in held(mechanism=Mechanism(scale=0.0))
    assert "noise_positive" in held(mechanism=Mechanism(scale=-1.0))
    assert "noise_present" in held(mechanism=Mechanism(scale=float("nan")))


def test_the_suite_opens_no_socket_and_prints_nothing(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    class Recorded(socket.socket):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            opened.append(arguments)
            raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", Recorded)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: opened.append("connection"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: opened.append("name"))
    check(release_of(MEASURE, GOOD))
    held(vector=GOOD[:-1])
    assert opened == []
    assert capfd.readouterr() == ("", "")


def test_undeclared_keys_pass_whether_any_were_shown_or_none() -> None:
    measure = Measure("newsroom", "terms", Kind.KEYS, "search", "measurement", (), Decimal("0.1"), keys=Keys("term", Decimal("0.1")))
    mechanism = Mechanism(name="discrete_gaussian_threshold", scale=20.0)
    shown = release_of(measure, [210, 190], mechanism=mechanism, keys=("budget", "weather"), threshold=150)
    assert check(shown)[0]
    assert check(replace(shown, keys=(), vector=()))[0]
    assert not check(replace(shown, vector=(210,)))[0]
    assert not check(replace(shown, keys=("weather", "weather")))[0]


def test_a_row_of_correlated_noise_is_judged_by_the_windows_it_tells() -> None:
    strategy = choose("prefix", windows=1, length=64, bits=20).strategy
    assert strategy is not None
    row = Row(strategy, "blk", 0, tuple(float(v) for v in GOOD))
    release = replace(release_of(MEASURE, [v << 20 for v in GOOD]), row=row)
    assert check(release)[0]
    assert not check(replace(release, row=replace(row, estimate=(-5e9, *row.estimate[1:]))))[0]
