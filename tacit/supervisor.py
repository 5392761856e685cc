"""`tacit serve`: the API in this process (or in several), and one sanitiser as a child that is started again should it die."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import typer
import uvicorn

from tacit import installation
from tacit.core import configuration, logs
from tacit.core.settings import Settings

RESTART_SECONDS = 2.0


def run(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Serve until interrupted. Everything that can be wrong is checked before the first socket opens."""
    declaration = configuration.load(settings.config)
    for line in installation.prepare(settings):
        typer.echo(f"Made {line}")
    environment = {
        "TACIT_CONFIG": str(settings.config.resolve()),
        "TACIT_DATA": str(settings.data.resolve()),
    }
    os.environ.update(environment)
    logs.configure()
    typer.echo(f"Tacit serves {', '.join(declaration.sites)} at http://{host}:{port}/")
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_sanitiser, args=(stop,), daemon=True, name="sanitiser-keeper")
    keeper.start()
    try:
        uvicorn.run(
            "tacit.app:build",
            factory=True,
            host=host,
            port=port,
            workers=workers if workers > 1 else None,
            access_log=False,  # client addresses are personal data
            log_config=None,
            server_header=False,
            proxy_headers=False,
        )
    finally:
        stop.set()
        keeper.join(timeout=30)


def _keep_sanitiser(stop: threading.Event) -> None:
    log = logs.Log("supervisor")
    logs.allow(["sanitiser.restarted"])
    while not stop.is_set():
        child = subprocess.Popen([sys.executable, "-m", "tacit.cli", "worker", "--parent", str(os.getpid())])  # noqa: S603 - our own module
        while child.poll() is None and not stop.wait(0.2):
            pass
        if stop.is_set():
            child.terminate()
            try:
                child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                child.kill()
            return
        log.warning("sanitiser.restarted", code=child.returncode)
        stop.wait(RESTART_SECONDS)
