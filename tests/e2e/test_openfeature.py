"""OpenFeature's own web provider in a real browser, on a page of another origin, against a running service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.conftest import House, build
from tests.e2e.test_pages_accessible import FLAGS, chromium
from tests.http.test_flags import CONFIG, publish, republish
from tests.node import reference

START = """async ([baseUrl, key, context, options]) => {
    const { OFREPWebProvider, OpenFeature, ProviderEvents } = window.openfeature;
    window.changes = 0;
    OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, () => { window.changes += 1; });
    const provider = new OFREPWebProvider({ baseUrl, headers: [['X-API-Key', key]], cacheMode: 'disabled', ...options });
    try {
        await OpenFeature.setProviderAndWait(provider, context);
        return 'ready';
    } catch (error) {
        return error.code;
    }
}"""
DETAILS = "([how, key, without]) => window.openfeature.OpenFeature.getClient()[`get${how}Details`](key, without)"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = build(tmp_path_factory.mktemp("shop"), CONFIG)
    publish(house)
    house.start(sanitiser=False)
    yield house
    house.stop()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    executable = chromium()
    reference.install()
    from playwright.sync_api import sync_playwright

    place = tmp_path_factory.mktemp("page")
    reference.bundled("flags.mjs", place)
    (place / "index.html").write_text("<!doctype html><title>Shop</title><script src=flags.js></script>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(place)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(executable), args=FLAGS)
        opened = browser.new_page()
        opened.goto(f"http://127.0.0.1:{server.server_port}/")
        yield opened
        browser.close()
    server.shutdown()
    server.server_close()


def _start(page: Any, shop: House, *, key: str | None = None, unit: str = "someone", **options: Any) -> str:
    context = {"targetingKey": unit, "device": "mobile", "shoe_size": 44}
    page.reload()
    return str(page.evaluate(START, [shop.url, key or shop.keys["write"], context, options]))


def test_the_web_provider_refuses_to_start_with_a_wrong_key(page: Any, shop: House) -> None:
    assert _start(page, shop, key="tacit_write_wrong") == "PROVIDER_FATAL"


def test_the_web_provider_answers_each_type_as_the_service_does(page: Any, shop: House) -> None:
    assert _start(page, shop) == "ready"
    decided = (
        shop.client("write").post("/v1/adjust", json={"policy": "headline", "unit": "someone", "context": {"device": "mobile"}}).json()
    )
    for how, key, without, expected in (
        ("String", "headline.arm", "none", decided["arm"]),
        ("Number", "headline.scale", 9, decided["parameters"]["scale"]),
        ("Boolean", "headline.bold", False, decided["parameters"]["bold"]),
        ("Object", "headline", {}, decided["parameters"]),
    ):
        found = page.evaluate(DETAILS, [how, key, without])
        assert (found.get("errorCode"), found["value"], found.get("variant")) == (None, expected, decided["arm"])
        assert found["flagMetadata"]["propensity"] == decided["propensity"]
    assert page.evaluate(DETAILS, ["String", "nothing", "mine"])["errorCode"] == "FLAG_NOT_FOUND"
    offer = page.evaluate(DETAILS, ["String", "headline.offer", "mine"])
    assert offer["value"] == decided["parameters"].get("offer", "mine")


def test_a_new_bundle_reaches_the_page_by_itself(page: Any, shop: House) -> None:
    assert _start(page, shop) == "ready"
    before = page.evaluate(DETAILS, ["String", "headline.arm", "none"])["flagMetadata"]["bundle"]
    with page.expect_request(lambda request: "flagConfigEtag" in request.url, timeout=15_000):
        pass  # the stream opens and the provider asks whether it missed anything
    republish(shop)
    page.wait_for_function("window.changes > 0", timeout=15_000)
    assert page.evaluate(DETAILS, ["String", "headline.arm", "none"])["flagMetadata"]["bundle"] == before + 1


def test_another_person_on_the_same_page_gets_his_own_answers(page: Any, shop: House) -> None:
    assert _start(page, shop, unit="first") == "ready"
    arms = set()
    for number in range(24):
        context = {"targetingKey": f"unit-{number}", "device": "desktop"}
        page.evaluate("(context) => window.openfeature.OpenFeature.setContext(context)", context)
        found = page.evaluate(DETAILS, ["String", "headline.arm", "none"])
        assert found["flagMetadata"]["cell"] == "desktop"
        arms.add(found["value"])
    assert arms == {"plain", "large"}
