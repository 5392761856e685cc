"""Real consent managers in Chromium, clicked as a person clicks them: what was chosen rules at once, also over events."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import House, build, event, trial
from tests.e2e.site import bundle, served
from tests.e2e.test_pages_accessible import FLAGS, chromium

BOTH, NEITHER = {"measurement": True, "personalisation": True}, {"measurement": False, "personalisation": False}
COUNTING = {"measurement": True, "personalisation": False}


class Visitor:
    """Somebody with a browser of their own, whom the site knows by a session cookie."""

    _numbers = itertools.count()

    def __init__(self, browser: Any, site: str, house: House, **options: Any) -> None:
        self.house, self.site, self.name = house, site, f"visitor-{next(self._numbers)}"
        context = browser.new_context(viewport={"width": 1100, "height": 900}, **options)
        context.add_cookies([{"name": "session", "value": self.name, "url": site}])
        self.page = context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self._sent = itertools.count()

    def open(self, path: str) -> None:
        self.page.goto(self.site + path)

    def choose(self, *selectors: str) -> None:
        """Click, the last time on what sends the choice, and wait until it is recorded."""
        for selector in selectors[:-1]:
            self.page.click(selector)
        with self.page.expect_response("**/consent") as answer:
            self.page.click(selectors[-1])
        assert answer.value.status == 200, answer.value.text()
        assert self.faults == []

    def said(self) -> dict[str, Any]:
        """What the service holds of this person, by purpose."""
        answer = self.house.client().post("/v1/consents/query", json={"subject": self.name})
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["purposes"])

    def last(self) -> dict[str, Any]:
        """The newest record."""
        return dict(self.house.client().post("/v1/consents/history", json={"subject": self.name}).json()["records"][-1])

    def counts(self) -> dict[str, bool]:
        """Which purposes events of this person are taken for now."""
        number = next(self._sent)
        page = self.house.send(event(f"page-{number}", "page", self.name, category="news"))
        seen = self.house.send(trial(f"trial-{number}", self.name, "larger", 1))
        return {"measurement": page["accepted"] == 1, "personalisation": seen["accepted"] == 1}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str, House]]:
    executable = chromium()
    from playwright.sync_api import sync_playwright

    place = tmp_path_factory.mktemp("managers")
    bundle(place)
    house = build(place)
    house.start(sanitiser=False)
    try:
        with served(place, tacit_url=house.url, key=house.keys["app"]) as site, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(executable), args=FLAGS)
            yield browser, site, house
            browser.close()
    finally:
        house.stop()
        shutil.rmtree(place / "custody", ignore_errors=True)


def test_cookieconsent_accepts_changes_and_asks_again_for_a_new_revision(stage: tuple[Any, str, House]) -> None:
    visitor = Visitor(*stage)
    assert visitor.counts() == NEITHER
    visitor.open("/cookieconsent")
    visitor.choose('#cc-main .cm [data-role="all"]')
    assert visitor.counts() == BOTH
    visitor.page.evaluate("showPreferences()")
    visitor.choose(
        '#cc-main .pm label:has(input[value="functionality"])',
        '#cc-main .pm [data-role="save"]',
    )
    assert visitor.counts() == COUNTING
    visitor.open("/cookieconsent")
    assert visitor.page.locator("#cc-main .cm").is_hidden()
    visitor.open("/cookieconsent?revision=2")
    visitor.choose('#cc-main .cm [data-role="necessary"]')
    assert visitor.counts() == NEITHER
    assert visitor.last()["method"] == "banner"


def test_klaro_accepts_declines_and_saves_a_choice(stage: tuple[Any, str, House]) -> None:
    visitor = Visitor(*stage)
    visitor.open("/klaro")
    visitor.choose(".klaro .cm-btn-success")
    assert visitor.counts() == BOTH
    visitor.page.evaluate("showPreferences()")
    visitor.choose('.klaro label[for="service-item-recommender"]', ".klaro .cm-modal .cm-btn-accept")
    assert visitor.counts() == COUNTING
    assert visitor.last()["method"] == "save"
    other = Visitor(*stage)
    other.open("/klaro")
    other.choose(".klaro .cn-decline")
    assert other.counts() == NEITHER
    assert (other.last()["method"], visitor.counts()) == ("decline", COUNTING)


def test_a_tcf_banner_accepts_and_declines_and_its_string_is_kept_as_proof(stage: tuple[Any, str, House]) -> None:
    visitor = Visitor(*stage)
    visitor.open("/tcf")
    visitor.choose("#accept")
    assert visitor.counts() == BOTH
    string = visitor.last()["signals"]["tcf"]
    read = visitor.house.client().post("/v1/signals/decode", json={"tcf": string}).json()
    assert (read["ok"], read["tcf"]["purposeConsents"]) == (True, [1, 5, 6, 8, 9])
    visitor.choose("#decline")
    assert visitor.counts() == NEITHER


def test_a_gpp_opt_out_refuses_and_is_not_recorded_twice(stage: tuple[Any, str, House]) -> None:
    visitor = Visitor(*stage)
    visitor.open("/gpp")
    visitor.choose("#decline")
    assert visitor.counts() == NEITHER
    string = visitor.last()["signals"]["gpp"]
    read = visitor.house.client().post("/v1/signals/decode", json={"gpp": string}).json()
    assert (read["ok"], read["gpp"]["sections"]["usnat"]["SaleOptOut"]) == (True, 1)
    visitor.choose("#accept")
    assert visitor.counts() == BOTH


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/cookieconsent", '#cc-main .cm [data-role="all"]'),
        ("/klaro", ".klaro .cm-btn-success"),
        ("/tcf", "#accept"),
        ("/gpp", "#accept"),
    ],
)
def test_global_privacy_control_outweighs_an_accepting_click(stage: tuple[Any, str, House], path: str, accept: str) -> None:
    visitor = Visitor(*stage, extra_http_headers={"Sec-GPC": "1"})
    visitor.open(path)
    visitor.choose(accept)
    assert visitor.counts() == NEITHER
    assert {purpose: said["state"] for purpose, said in visitor.said().items()} == dict.fromkeys(BOTH, "refused") | {"fairness_audit": None}
    assert visitor.last()["reason"] == "gpc"


def test_whom_the_site_does_not_know_leaves_no_record(stage: tuple[Any, str, House]) -> None:
    visitor = Visitor(*stage)
    visitor.page.context.clear_cookies()
    visitor.open("/tcf")
    with visitor.page.expect_response("**/consent") as answer:
        visitor.page.click("#accept")
    assert answer.value.status == 401
    assert visitor.counts() == NEITHER
