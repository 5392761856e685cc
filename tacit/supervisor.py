"""`tacit serve`: the API in this process (or in several), and one sanitiser as a child that is started again should it die."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import typer
import uvicorn

from tacit import installation
from tacit.core import configuration, logs
from tacit.core.errors import Problem
from tacit.core.settings import Settings

RESTART_SECONDS = 2.0


def run(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Serve until interrupted. Everything that can be wrong is checked before the first socket opens."""
    declaration = configuration.load(settings.config)
    _require_free(host, port)
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
            timeout_graceful_shutdown=10,  # a client that never finishes its request must not keep the service from stopping
        )
    finally:
        stop.set()
        keeper.join(timeout=30)


class PortInUse(Problem):
    type = "port-in-use"
    title = "The address is in use"
    default_next_step = "Stop the other service, or choose another --port."


def _require_free(host: str, port: int) -> None:
    """Look before anything is made: uvicorn would say so in a log line and exit with another code."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise PortInUse(f"nothing can listen on {host}:{port}") from None


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
