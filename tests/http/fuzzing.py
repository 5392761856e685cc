"""Schemathesis against a running service: every path of the OpenAPI document, with all checks.

A test runs it with few examples and one seed; `python -m tests.http.fuzzing` goes on with new seeds until it finds something.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import postgres
from tests.conftest import House, build, event, trial

NOBODY = ""
DECLARED = ["newsroom", "pages", "headline", "by_age", "crm", "front.headline"]
"""What some parameter or field has to name, so that more than refusals is tried."""

BEYOND_SCHEMAS = ("/v1/findings/{id}/accept", "/v1/findings/{id}/assign", "/v1/evidence/witness", "/v1/policies/{policy}")
"""What takes a time from now on, a note that only a witness can sign, or a policy that fits its site. No schema can say so: a body that is
valid otherwise may be refused."""

_REFUSABLE = """
[[operations]]
include-path = "{path}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422"]
"""
_NAMED = ("query.measure", "query.audit", "path.site", "path.policy", "path.name", "body.policy", "body.zone")


@contextmanager
def running(place: Path, *, on_postgres: bool) -> Iterator[House]:
    """A service with people, releases, a bundle, a plan and a webhook; without Postgres also with a scan."""
    if on_postgres:
        with postgres.server() as url:
            intake, released = postgres.two_roles(url)
            with _running(build(place, intake_url=intake, released_url=released), "close") as house:
                yield house
    else:
        with _running(build(place), "close", "scan") as house:
            yield house


@contextmanager
def _running(house: House, *commands: str) -> Iterator[House]:
    house.start(sanitiser=False)
    try:
        for i in range(8):
            house.consent(f"reader-{i}", measurement=True, personalisation=True, fairness_audit=True)
            house.send(event(f"page-{i}", "page", f"reader-{i}", category="news"), trial(f"trial-{i}", f"reader-{i}", "larger", i % 2))
        hook = {"url": "https://crm.example/hook", "events": ["consent.granted"]}
        assert house.client("officer").put("/v1/webhooks/crm", json=hook).status_code == 200
        for command in commands:
            done = house.tacit(command, "--site", "newsroom")
            assert done.returncode == 0, done.stderr
        yield house
    finally:
        house.stop()


def failures(house: House, role: str, *, examples: int, seed: int = 27560, phases: str = "coverage,fuzzing,stateful") -> str:
    """What schemathesis has to say against the service for a key of the role, or for `NOBODY`; nothing when all is well."""
    place = house.settings.data
    bound = "".join(f'"{name}" = {{dictionary = "declared", probability = 0.6}}\n' for name in _NAMED)
    site = '"query.site" = "newsroom"\n' if role == "admin" else ""
    relative = "".join(_REFUSABLE.replace("{path}", path) for path in BEYOND_SCHEMAS)
    config = place / f"schemathesis-{role}.toml"
    config.write_text(f"warnings = false\n[dictionaries.declared]\nvalues = {json.dumps(DECLARED)}\n[parameters]\n{site}{bound}{relative}")
    command = ["-m", "schemathesis.cli", "--config-file", str(config), "run", f"{house.url}/openapi.json", "--checks", "all", "--no-color"]
    options = ["--max-examples", str(examples), "--seed", str(seed), "--phases", phases, "--continue-on-failure"]
    key = ["-H", f"Authorization: Bearer {house.keys[role]}"] if role != NOBODY else []
    done = subprocess.run(
        [sys.executable, *command, *options, *key], capture_output=True, text=True, cwd=place, env=house.environment | {"COLUMNS": "160"}
    )
    return "" if done.returncode == 0 else done.stdout[-12_000:] + done.stderr[-4_000:]


def main() -> None:
    """Fuzz both databases with new seeds, all roles, until something is found."""
    for turn in range(1_000):
        with tempfile.TemporaryDirectory() as place, running(Path(place), on_postgres=turn % 2 == 0) as house:
            for role in (*house.keys, NOBODY):
                seed = random.randrange(2**32)
                print(turn, role or "nobody", seed, flush=True)
                if found := failures(house, role, examples=100, seed=seed):
                    sys.exit(found)


if __name__ == "__main__":
    main()
