"""People withdraw while four threads of two worker processes send events of everybody and windows are closed and published.

What is checked is exact: the rows that the sanitiser was given for what it published, and the moment from which no withdrawal could come
before that publication any more. The real door, staging, vaults and sanitiser; no number of a release is looked at.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from audit.log import Log
from consent.models import ConsentRequest, Notice
from ingest.custody import Custody
from ingest.pseudonyms import person
from ingest.secrets import Secrets
from ingest.source import ClosedWindow, StagedRows, StagedSource
from ingest.windows import Window
from privacy.ledger import Ledger
from privacy.presence import PresenceBook
from privacy.releases import ReleaseStore
from privacy.service import Sanitiser
from tacit import wiring
from tacit.core import configuration, rootkey
from tacit.core.clock import SystemClock
from tacit.core.declaration import Declaration
from tests import postgres
from tests.conftest import House, build

SITE = "newsroom"
STAYING, LEAVING = 40, 200
PROCESSES, THREADS = 2, 2
YAML = """
sites:
  newsroom:
    privacy: {epsilon: 1.0, delta: 1.0e-6, epoch: 1d, window: 1h}
    measures:
      pages: {event: page, purpose: measurement, share: 0.5}
      clicks: {event: click, purpose: personalisation, share: 0.5}
"""
NOTICE = Notice("banner", "3", "en-GB", "ab" * 32)
GRANTS = {"measurement": True, "personalisation": True}


@dataclass
class Published:
    """What went into one window's releases, and since when no withdrawal could come before them."""

    at: float
    measured: set[str]
    personalised: set[str]


@dataclass
class Witness:
    """The staged source, telling what it gave for each window that was published."""

    source: StagedSource
    custody: Custody
    declaration: Declaration
    published: list[Published] = field(default_factory=list)
    left_out: int = 0
    rows: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def contributions(self, window: ClosedWindow) -> StagedRows:
        rows = self.source.contributions(window)
        staged = len(self.source._staging.read(window.site, Window(window.start_ms, window.end_ms)))
        self.left_out += staged - len(rows.columns["m"])
        self.rows += staged
        return rows

    @contextmanager
    def steady(self, window: ClosedWindow, rows: StagedRows) -> Iterator[bool]:
        with self.source.steady(window, rows) as steady:
            if steady:
                self.published.append(Published(time.monotonic(), *self._people(window, rows)))
            yield steady

    def _people(self, window: ClosedWindow, rows: StagedRows) -> tuple[set[str], set[str]]:
        secret = self.custody.epoch_secret(SITE, window.epoch_ms, window.epoch_ms + self.declaration.sites[SITE].privacy.epoch_ms)
        columns = rows.columns
        here = {a.tobytes() + b.tobytes() for a, b in zip(columns["p1"], columns["p2"], strict=True)}
        names = [f"reader-{i}" for i in range(STAYING + LEAVING)]
        found = [{n for n in names if person(secret, purpose, "user", n) in here} for purpose in GRANTS]
        assert sum(map(len, found)) == len(here)
        return found[0], found[1]


@dataclass
class Run:
    """What happened: when each withdrawal was answered, what was published, what became of each batch."""

    answered: dict[str, float]
    witness: Witness
    batches: list[tuple[float, str, str, int, dict[str, int]]]
    staged_after: list[int]


def _sanitiser(house: House, declaration: Declaration, web: wiring.WebServices) -> tuple[Sanitiser, Witness]:
    intake, released = web.vaults
    clock, root = SystemClock(), rootkey.load(house.settings)
    custody = Custody(house.settings.custody_directory, intake, root, clock)
    witness = Witness(StagedSource(web.staging, custody, intake, declaration, clock), custody, declaration)
    kept = Secrets(house.settings.custody_directory, root)
    parts = (PresenceBook(intake), Ledger(released, clock), ReleaseStore(released, clock), Log(released, clock), clock, kept)
    return Sanitiser(witness, *parts), witness


def _run(house: House) -> Run:
    declaration = configuration.load(house.settings.config)
    web = wiring.web(house.settings, declaration)
    sanitiser, witness = _sanitiser(house, declaration, web)
    site = declaration.sites[SITE]
    for i in range(STAYING + LEAVING):
        web.consent.record(SITE, ConsentRequest(f"reader-{i}", GRANTS, NOTICE, "banner"))
    settings = {name: str(value) for name, value in house.settings.model_dump(include=set(_NEEDED)).items()}
    command = [sys.executable, "-m", "tests.faults.writer", json.dumps(settings), str(STAYING + LEAVING), str(THREADS)]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "started\n"

    def close() -> None:
        witness.cut(SITE)
        for window in sanitiser.due(SITE):
            sanitiser.close(site, window)

    stop, faults = threading.Event(), []

    def keep_closing() -> None:
        try:
            while not stop.wait(0.3):
                close()
        except BaseException as fault:
            faults.append(fault)

    closing = threading.Thread(target=keep_closing)
    closing.start()
    _wait(lambda: bool(faults) or any(p.measured for p in witness.published))
    answered = {}
    for i in range(LEAVING):
        web.consent.withdraw(SITE, "user", f"reader-{i}", ["measurement"])
        answered[f"reader-{i}"] = time.monotonic()
    known = len(witness.published)
    _wait(lambda: bool(faults) or len(witness.published) > known + 1)
    batches = []
    for writer in writers:
        lines, _ = writer.communicate()
        assert writer.returncode == 0
        batches += [json.loads(line) for line in lines.splitlines()]
    stop.set()
    closing.join()
    assert not faults
    close()
    after = web.staging.starts(SITE)
    web.close()
    return Run(answered, witness, batches, after)


def _wait(until: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not until() and time.monotonic() < limit:
        time.sleep(0.01)


_NEEDED = ("config", "data", "custody", "intake_url", "released_url")


@pytest.fixture(params=["sqlite", "postgres"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Run]:
    if request.param == "sqlite":
        yield _run(build(tmp_path, YAML))
    else:
        with postgres.server() as url:
            intake, released = postgres.two_roles(url)
            yield _run(build(tmp_path, YAML, intake_url=intake, released_url=released))


def test_nothing_of_a_withdrawn_purpose_is_admitted_or_published_after_the_answer(run: Run) -> None:
    late = [
        (who, kind) for began, who, kind, accepted, _ in run.batches if accepted and kind == "page" and began > run.answered.get(who, began)
    ]
    assert late == []
    for published in run.witness.published:
        gone = {who for who, at in run.answered.items() if at < published.at}
        assert not published.measured & gone
    assert run.staged_after == []

    # and it was a test: there was something to keep out, before and after, and the other purpose went on
    last = max(run.answered.values())
    refused = Counter(reason for *_, refusals in run.batches for reason in refusals)
    everybody = set(run.answered)
    assert refused["withdrawn"] > 50
    assert sum(accepted for *_, accepted, _ in run.batches) > 2_000
    assert run.witness.left_out > 100
    assert any(p.measured & everybody for p in run.witness.published)
    assert any(p.personalised & everybody for p in run.witness.published if p.at > last)
