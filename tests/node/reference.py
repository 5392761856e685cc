"""Software of other people from npm: reference decoders and what pages load. Node and npm are installed where we are
root on Debian; elsewhere the tests that need them are skipped, loudly.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

HERE = Path(__file__).parent
INSTALLED = HERE / "node_modules" / ".tacit-lock"


def install() -> None:
    """The libraries of `package-lock.json` in `tests/node/node_modules`, made once and again when the lock file changes."""
    if not (shutil.which("node") and shutil.which("npm")) and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run("apt-get update -qq && apt-get install -y -qq nodejs npm", shell=True, env=environment, capture_output=True)
    if not (shutil.which("node") and shutil.which("npm")):
        _skip("node and npm are missing and could not be installed; run `apt-get install nodejs npm` as root.")
    locked = (HERE / "package-lock.json").read_text()
    if INSTALLED.exists() and INSTALLED.read_text() == locked:
        return
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=HERE, capture_output=True, text=True, timeout=180
    )
    if done.returncode != 0:
        _skip(f"`npm ci` in tests/node failed: {done.stderr.strip().splitlines()[-1:]}")
    INSTALLED.write_text(locked)


def decode(asked: Sequence[dict[str, str]], *, limit_ms: int = 2000) -> list[dict[str, Any]]:
    """`{"value"}`, `{"error"}` or `{"timeout": true}` for each `{"tcf"}` or `{"gpp"}`."""
    answers = _run(["decode.mjs", str(limit_ms)], "".join(json.dumps(one) + "\n" for one in asked))
    assert len(answers) == len(asked)
    return answers


def encode(seed: int, count: int) -> list[dict[str, str]]:
    """As many strings, TCF and GPP by turns, as the libraries themselves encode them from random content."""
    return _run(["encode.mjs", str(seed), str(count)], "")


def bundled(entry: str, place: Path) -> Path:
    """A script of this folder with all it imports, as one file for a browser; `install` comes first."""
    made = place / f"{Path(entry).stem}.js"
    command = ["node_modules/.bin/esbuild", entry, "--bundle", "--format=iife", f"--outfile={made}", "--log-level=error"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return made


def _run(arguments: list[str], given: str) -> list[dict[str, Any]]:
    done = subprocess.run(["node", *arguments], cwd=HERE, input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def _skip(why: str) -> NoReturn:
    reason = f"NOT TESTED: what npm packages of others make of Tacit. {why}"
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(reason, stacklevel=1)
    pytest.skip(reason)
