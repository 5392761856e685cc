"""The demonstration as a newcomer runs it: a real service, real people's arrivals where the data are present, the report at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tacit.cases import CASES, ORDER, SIZE
from tacit.demo.shopping import arrivals
from tacit.demo.shops import NEXT, Boutique, Shopper

SHOPPERS = 1_500

ROOT = Path(__file__).parents[2]


def _demo(place: Path, *options: str) -> tuple[str, dict[str, Any]]:
    command = [sys.executable, "-m", "tacit.cli", "demo", "--exit", "--port", "0", "--report", str(place / "report.json"), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=280, env=os.environ | {"COLUMNS": "160"})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout, json.loads((place / "report.json").read_text())


@pytest.mark.slow
def test_the_planted_skew_is_found_and_the_report_has_the_promised_shape(tmp_path: Path) -> None:
    said, report = _demo(tmp_path, "--visitors", "6000", "--windows", "3", "--shoppers", str(SHOPPERS))
    assert list(report) == ["visitors", "events", "releases", "epsilon", "lift", "findings", "cases", "seconds"]
    assert report["visitors"] == 6000
    assert report["events"]["accepted"] > 0
    assert {"no_consent", "refused", "gpc"} <= set(report["events"]["refused"])
    assert 0 < report["epsilon"]["spent"] <= report["epsilon"]["promised"] == 1.0
    assert set(report["lift"]) == {"tacit", "non_private", "kept"}
    # 40 % of 55_plus see `largest` instead of a few per cent: 6,000 visitors put it more than 8 standard errors outside the limit.
    assert "age_band=55_plus exposure largest" in [f["subject"] for f in report["findings"]]
    assert "Breach" in said
    _the_cases_ran_and_learned(report["cases"])


def _the_cases_ran_and_learned(found: dict[str, Any]) -> None:
    assert list(found) == list(CASES)
    for one in found.values():
        assert one["events"]["accepted"] > 0
        assert (one["rejected"], one["opted_out_accepted"]) == ({}, 0)
    # The service was asked for exactly those whose device saw three size changes within two minutes, and for everybody on the shelf.
    hesitating = [s for part in arrivals(Boutique(), SHOPPERS, 1) for s in part if _size_changes(s) >= 3]
    assert found[SIZE]["decisions"] == len(hesitating) < SHOPPERS
    assert found[ORDER]["decisions"] == SHOPPERS
    # About 295 counted steps from each category lead to the commonest next one and 73 to each other: a difference of 222, with a standard
    # deviation of 19 by people and 24 by noise. Half the weight needs one of these 31, 6 are left: the twelve comparisons fail with 2e-8.
    for cell, learned in found[ORDER]["learned"].items():
        assert learned["arm"] == learned["best"] == f"{NEXT[cell]}_first"
        assert learned["weight"] > 0.5


def _size_changes(shopper: Shopper) -> int:
    return sum(name == "size" and ago <= 120 for name, ago in shopper.filters)


@pytest.mark.slow
def test_a_fair_run_has_no_finding(tmp_path: Path) -> None:
    _, report = _demo(tmp_path, "--visitors", "1500", "--windows", "2", "--fair")
    # A breach needs an interval wholly outside the limit of 5 points where there is no difference: beyond 5 standard errors.
    assert report["findings"] == []
