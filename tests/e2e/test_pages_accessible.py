"""The pages in a real Chromium: axe-core finds nothing, nothing is asked of another host, and 320 pixels are enough.

Axe proves the absence of some faults only; a keyboard and a screen-reader pass by hand belong to every release.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn

from tests.dashboards.example import installation

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = ["/", "/budget", "/policies", "/policies/headline", "/audits", "/findings", "/consent", "/policies/nothing"]
PAGES += ["/?site=empty", "/consent?site=empty", "/policies/banner?site=empty", "/audits?site=empty", "/budget?site=empty"]


def chromium() -> Path:
    """The browser; installed where we are root on Debian. Otherwise the tests are skipped, loudly."""
    if not CHROMIUM.exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(
            "apt-get update -qq && apt-get install -y -qq chromium", shell=True, env=environment, capture_output=True, check=False
        )
    if not CHROMIUM.exists():
        reason = f"NOT TESTED: accessibility. {CHROMIUM} is missing and could not be installed; run `apt-get install chromium` as root."
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    return CHROMIUM


class Browser:
    """A browser, the host it may talk to, and everything it asked for."""

    def __init__(self, browser: Any, address: str, keys: dict[str, str]) -> None:
        self.browser, self.address, self.keys = browser, address, keys
        self.asked: list[str] = []
        self.complaints: list[str] = []

    def page(self, *, width: int = 1100, scheme: str = "light", logged_in: bool = True) -> Any:
        context = self.browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        page.goto(f"{self.address}/login")
        if logged_in:
            page.fill("#key", self.keys["admin"])
            page.click("main button")
        return page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = chromium()
    from playwright.sync_api import sync_playwright

    app, _, keys = installation(tmp_path_factory.mktemp("pages"))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(executable), args=FLAGS)
        yield Browser(launched, f"http://127.0.0.1:{port}", keys)
        launched.close()
    server.should_exit = True
    thread.join(10)


def violations(page: Any) -> list[str]:
    from axe_core_python.sync_playwright import Axe

    found = Axe().run(page)["violations"]
    return [f"{v['id']}: {n['html'][:160]} {n.get('failureSummary', '')[:200]}" for v in found for n in v["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 320])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(browser: Browser, scheme: str, width: int) -> None:
    page = browser.page(width=width, scheme=scheme)
    for path in PAGES:
        page.goto(browser.address + path)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate("document.querySelectorAll('h1').length") == 1, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_log_in_page_is_accessible_with_and_without_a_mistake(browser: Browser, scheme: str) -> None:
    page = browser.page(scheme=scheme, logged_in=False)
    assert violations(page) == []
    page.fill("#key", "tacit_officer_wrong")
    page.click("main button")
    assert page.locator("[role=alert]").count() == 1
    assert violations(page) == []


def test_the_keyboard_reaches_the_content_first(browser: Browser) -> None:
    page = browser.page()
    page.goto(browser.address + "/budget")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_logging_out_ends_at_the_log_in_page(browser: Browser) -> None:
    page = browser.page()
    page.click("form.out button")
    assert page.url == f"{browser.address}/login"
    page.goto(browser.address + "/budget")
    assert urlsplit(page.url).path == "/login"


def test_only_our_host_was_ever_asked_and_the_policy_stopped_nothing(browser: Browser) -> None:
    page = browser.page()
    for path in PAGES:
        page.goto(browser.address + path)
    assert browser.asked
    assert {urlsplit(url).netloc for url in browser.asked} == {urlsplit(browser.address).netloc}
    assert [c for c in browser.complaints if "Content Security Policy" in c] == []
