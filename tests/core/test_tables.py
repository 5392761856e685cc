"""What the terminal shows: nothing is cut off, a release fits into 80 columns, the version."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tacit import __version__
from tacit.cli import app
from tacit.experiment_cli import lines
from tacit.tables import release_lines, show

ID = "key_01m86xr4424d7n7e42cn28y0yy"
RELEASE = {
    "measure": "policy.headline",
    "window": {"start": "2026-11-24T14:00:00.000Z"},
    "cells": [
        {"by": {"device": "mobile", "arm": "larger"}, "bin": "1", "value": -4.25, "sd": 6.1},
        {"by": {"category": "news"}, "bin": "count", "value": 1234.0, "sd": 6.1},
    ],
}


def test_a_table_cuts_nothing_off(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    show([{"id": ID, "spent by": "audit.by_age, consent.choices, pages, policy.headline"}], "table")
    shown = capsys.readouterr().out
    assert ID in shown
    assert "…" not in shown


def test_a_release_is_one_short_line_a_cell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = release_lines(RELEASE)
    assert [line["cell"] for line in found] == ["mobile, larger, 1", "news"]
    assert [line["value"] for line in found] == ["-4.2", "1,234.0"]
    show(found, "table")
    assert len([line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]) == len(found)


def test_a_best_guess_lies_in_its_interval_and_no_arm_has_nought_trials_for_certain() -> None:
    sequence = {"name": "policy", "against": "holdout", "low": -1.0, "high": 1.0, "difference": 1.0142, "decided_at": None}
    arm = {"arm": "control", "rate": None, "low": None, "high": None, "trials": 0.0, "trials_sd": 0.0}
    said = lines(
        {
            "sentence": "Too early.",
            "verdict": "too early",
            "windows": 1,
            "as_of": "2026-11-24T15:00:00.000Z",
            "sequences": [sequence],
            "arms": [arm],
        }
    )
    assert "1 window until" in said[2]
    assert "best guess +100.00" in said[3]
    assert said[4] == "  arm control: too few people in every cell"


def test_the_command_line_says_its_version() -> None:
    found = CliRunner().invoke(app, ["--version"])
    assert (found.exit_code, found.output) == (0, f"tacit {__version__}\n")
