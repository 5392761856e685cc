"""A small site with a real consent manager. Its code is that of `docs/cmp-adapters.md`, taken from the page as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from tests.node import reference

ROOT = Path(__file__).parents[2]
PAGES = Path(__file__).parent / "cmps"
_BLOCK = re.compile(r"^```(?:js|python)\n(?://|#) (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def documented() -> dict[str, str]:
    """The code blocks of the page by the names in their first lines."""
    return dict(_BLOCK.findall((ROOT / "docs" / "cmp-adapters.md").read_text()))


def bundle(place: Path) -> list[str]:
    """Bundles of all pages in `place`, made with the documented code and the installed packages; the managers' names."""
    reference.install()
    source = place / "source"
    shutil.copytree(PAGES, source)
    for name, code in documented().items():
        (source / name).write_text(code)
    entries = sorted(source.glob("*.page.js"))
    modules = ROOT / "tests" / "node" / "node_modules"
    command = [modules / ".bin" / "esbuild", *entries, "--bundle", f"--outdir={place / 'static'}", "--log-level=error"]
    done = subprocess.run(list(map(str, command)), env=os.environ | {"NODE_PATH": str(modules)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [entry.name.removesuffix(".page.js") for entry in entries]


@contextmanager
def served(place: Path, *, tacit_url: str, key: str) -> Iterator[str]:
    """The site's address. `/{manager}` is its page; whoever comes gets a session, by which alone the site knows them."""
    app = _relay(TACIT_URL=tacit_url, TACIT_KEY=key, NOTICE_SHA256="ab" * 32)
    app.mount("/static", StaticFiles(directory=place / "static"))

    @app.get("/{manager}")
    def page(manager: str) -> HTMLResponse:
        style = f'<link rel="stylesheet" href="/static/{manager}.page.css">' if (place / "static" / f"{manager}.page.css").exists() else ""
        return HTMLResponse(
            f'<!doctype html><html lang="en"><head><title>Site</title><link rel="icon" href="data:,">{style}</head>'
            f'<body><script src="/static/{manager}.page.js"></script></body></html>'
        )

    server = uvicorn.Server(uvicorn.Config(app, port=0, loop="asyncio", log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def _relay(**environment: str) -> FastAPI:
    """The documented server, with its environment."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        module: dict[str, Any] = {}
        exec(compile(documented()["relay.py"], "docs/cmp-adapters.md", "exec"), module)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    made = module["app"]
    assert isinstance(made, FastAPI)
    return made
