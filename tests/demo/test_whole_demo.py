"""The demonstration as a newcomer runs it: a real service, real people's arrivals where the data are present, the report at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def _demo(place: Path, *options: str) -> tuple[str, dict[str, Any]]:
    command = [sys.executable, "-m", "tacit.cli", "demo", "--exit", "--port", "0", "--report", str(place / "report.json"), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=280, env=os.environ | {"COLUMNS": "160"})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout, json.loads((place / "report.json").read_text())


@pytest.mark.slow
def test_the_planted_skew_is_found_and_the_report_has_the_promised_shape(tmp_path: Path) -> None:
    said, report = _demo(tmp_path, "--visitors", "6000", "--windows", "3")
    assert list(report) == ["visitors", "events", "releases", "epsilon", "lift", "findings", "seconds"]
    assert report["visitors"] == 6000
    assert report["events"]["accepted"] > 0
    assert {"no_consent", "refused", "gpc"} <= set(report["events"]["refused"])
    assert 0 < report["epsilon"]["spent"] <= report["epsilon"]["promised"] == 1.0
    assert set(report["lift"]) == {"tacit", "non_private", "kept"}
    # 40 % of 55_plus see `largest` instead of a few per cent: 6,000 visitors put it more than 8 standard errors outside the limit.
    assert "age_band=55_plus exposure largest" in [f["subject"] for f in report["findings"]]
    assert "Breach" in said


@pytest.mark.slow
def test_a_fair_run_has_no_finding(tmp_path: Path) -> None:
    _, report = _demo(tmp_path, "--visitors", "1500", "--windows", "2", "--fair")
    # A breach needs an interval wholly outside the limit of 5 points where there is no difference: beyond 5 standard errors.
    assert report["findings"] == []
