"""`tacit demo`: a real installation in a folder of its own, served on loopback, that `tacit.demo` drives from outside over HTTP."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import typer
import yaml

from tacit import cases, installation, wiring
from tacit.core import configuration, logs
from tacit.core.access import KeyStore, Role
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.errors import Problem
from tacit.core.settings import Settings
from tacit.demo.run import run as drive
from tacit.worker import Worker

SITE = "newsroom"
START_SECONDS = 60.0


def run(
    *,
    visitors: int,
    windows: int,
    seed: int,
    fair: bool,
    stop: bool,
    port: int,
    real: Path | None,
    report: Path,
    shoppers: int | None = None,
) -> None:
    """Run the whole main job; afterwards serve the dashboard until interrupted, or with `stop` end there."""
    place = Path(tempfile.mkdtemp(prefix="tacit-demo-"))
    settings = Settings(config=place / "tacit.yaml", data=place / "data")
    settings.config.write_text(_declaration(), encoding="utf-8")
    port = _free_port(port)
    url = f"http://127.0.0.1:{port}"
    try:
        installation.prepare(settings)
        keys = _keys(settings)
        with _service(settings, port):
            _wait(url)
            close, scan = _sanitiser(settings)
            answer = drive(
                url,
                keys,
                close=close,
                scan=scan,
                visitors=visitors,
                windows=windows,
                seed=seed,
                fair=fair,
                data=real,
                report=report,
                shoppers=shoppers,
            )
            spent, promised = answer["epsilon"]["spent"], answer["epsilon"]["promised"]
            if spent > promised:
                raise Problem(f"the ledger says epsilon {spent} was spent of {promised} promised", next_step="This is a fault of Tacit.")
            if not stop:
                typer.echo(f"\nThe dashboard is at {url}/ - log in with this key, then Ctrl-C to end:\n  {keys[SITE]['officer']}")
                with contextlib.suppress(KeyboardInterrupt):
                    signal.pause()
    finally:
        shutil.rmtree(settings.custody_directory, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)


def _declaration() -> str:
    """All cases of the library as the sites of one installation."""
    sites = [yaml.safe_load(cases.text(name))["sites"] for name in cases.CASES]
    return yaml.safe_dump({"sites": {name: site for group in sites for name, site in group.items()}}, sort_keys=False)


def _keys(settings: Settings) -> dict[str, dict[str, str]]:
    sites = configuration.load(settings.config).sites
    engine = connect(settings.released_location)
    try:
        store = KeyStore(engine)
        now = SystemClock().now_ms()
        return {site: {role.value: store.create(site, role, now_ms=now) for role in (Role.APP, Role.OFFICER)} for site in sites}
    finally:
        engine.dispose()


def _sanitiser(settings: Settings) -> tuple[Callable[[Sequence[str]], None], Callable[[], None]]:
    """`tacit close` and `tacit scan` in this process: the sanitiser's heavy libraries are then loaded only once."""
    declaration = configuration.load(settings.config)
    logs.allow_declared(declaration)
    services = wiring.sanitiser(settings, declaration)
    worker = Worker(services)

    def close(sites: Sequence[str]) -> None:
        for site in sites:
            services.source.cut(site)
        while True:
            worker.once()
            if not any(services.sanitiser.due(site) for site in sites):
                return
            time.sleep(0.2)  # the service's own sanitiser has it

    def scan() -> None:
        services.scanner.scan(declaration.sites[SITE])

    return close, scan


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise Problem("no free port on 127.0.0.1")


@contextlib.contextmanager
def _service(settings: Settings, port: int) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "tacit.cli",
        "serve",
        "--config",
        str(settings.config),
        "--data",
        str(settings.data),
        "--port",
        str(port),
    ]
    log = settings.data.parent / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | {"TACIT_DATA": str(settings.data)})  # noqa: S603
    try:
        yield
    except BaseException:
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace")[-4000:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        time.sleep(0.1)
    raise Problem("the service did not start in time")
