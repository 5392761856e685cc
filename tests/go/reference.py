"""Builds and asks the Go program that holds our log against golang.org/x/mod/sumdb. Go and its library come from Debian's packages and are
installed where we are root there; elsewhere the tests that need them are skipped, loudly.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import pytest

SOURCE = Path(__file__).parent / "verify.go"
LIBRARIES = Path("/usr/share/gocode")
NEEDED = LIBRARIES / "src/golang.org/x/mod/sumdb/tlog"


def install() -> Path:
    """The program, built once for each version of its source."""
    if not (shutil.which("go") and NEEDED.is_dir()) and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command = "apt-get update -qq && apt-get install -y -qq golang-go golang-golang-x-mod-dev"
        subprocess.run(command, shell=True, env=environment, capture_output=True)
    if not (shutil.which("go") and NEEDED.is_dir()):
        _skip("Go is missing and could not be installed; run `apt-get install golang-go golang-golang-x-mod-dev` as root.")
    place = Path(tempfile.gettempdir()) / f"tacit-go-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != os.getuid() or place.stat().st_mode & 0o077:
        _skip(f"{place} is not ours alone.")
    built = place / f"verify-{sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    if not built.exists():
        environment = os.environ | {"GO111MODULE": "off", "GOPATH": str(LIBRARIES), "GOFLAGS": "", "GOCACHE": str(place / "cache")}
        fresh = f"{built}.{os.getpid()}"
        done = subprocess.run(["go", "build", "-o", fresh, str(SOURCE)], env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        Path(fresh).rename(built)
    return built


def ask(questions: Sequence[dict[str, Any]]) -> list[bool]:
    """Whether Go accepts each of them."""
    given = "".join(json.dumps(one) + "\n" for one in questions)
    done = subprocess.run([str(install())], input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(questions)
    assert all(bool(one["reason"]) is not one["ok"] for one in answers)
    assert "no such question" not in done.stdout
    return [one["ok"] for one in answers]


def _skip(why: str) -> NoReturn:
    reason = f"NOT TESTED: verification of the evidence log by Go's x/mod/sumdb. {why}"
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(reason, stacklevel=1)
    pytest.skip(reason)
