"""The pages over HTTP: who may open them, what they look like to a browser, and their twins."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from tacit.core.access import keys as key_table
from tacit.core.db import connect, writing

from .example import NOW, FixedClock, installation

PAGES = ("/", "/budget", "/policies", "/policies/headline", "/audits", "/findings", "/consent")
TWINS = ("/overview", *PAGES[1:])


class Client:
    """A browser without a screen: keeps cookies, follows nothing by itself."""

    def __init__(self, app: FastAPI) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        self._client, self._runner = httpx.AsyncClient(transport=transport, base_url="http://testserver"), asyncio.Runner()

    @property
    def cookies(self) -> httpx.Cookies:
        return self._client.cookies

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.get(path, **options))

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.post(path, **options))

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


class Installation:
    """An app, its keys and a client."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.clock = directory, FixedClock()
        app, _, self.keys = installation(directory, self.clock)
        self.client = Client(app)

    def log_in(self, role: str) -> None:
        answer = self.client.post("/login", data={"key": self.keys[role]})
        assert answer.status_code == 303


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    found = Installation(tmp_path)
    yield found
    found.client.close()


@pytest.mark.parametrize("path", PAGES)
def test_without_a_session_a_page_sends_to_the_log_in(here: Installation, path: str) -> None:
    answer = here.client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?next={path}"


@pytest.mark.parametrize("path", [f"{p}.{kind}" for p in TWINS for kind in ("json", "csv")])
def test_without_a_key_a_twin_is_refused(here: Installation, path: str) -> None:
    assert here.client.get(path).status_code == 401


@pytest.mark.parametrize("role", ["write", "app"])
def test_a_key_that_may_not_read_opens_no_session_and_no_twin(here: Installation, role: str) -> None:
    answer = here.client.post("/login", data={"key": here.keys[role]})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert here.client.get("/budget.json", headers={"x-api-key": here.keys[role]}).status_code == 403


def test_an_officer_sees_the_own_site_only(here: Installation) -> None:
    here.log_in("officer")
    assert here.client.get("/?site=empty").status_code == 403
    assert "newsroom" in here.client.get("/").text


def test_an_admin_chooses_the_site_and_links_keep_it(here: Installation) -> None:
    here.log_in("admin")
    text = here.client.get("/?site=empty").text
    assert 'href="/budget?site=empty"' in text
    assert "<option selected>empty</option>" in text
    assert here.client.get("/?site=nowhere").status_code == 400


@pytest.mark.parametrize("site", ["newsroom", "empty"])
@pytest.mark.parametrize("path", [*PAGES[:3], *PAGES[4:]])
def test_every_page_opens_with_strict_headers_and_one_sentence_first(here: Installation, path: str, site: str) -> None:
    here.log_in("admin")
    answer = here.client.get(f"{path}?site={site}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "script-src" not in policy
    assert "unsafe" not in policy
    text = answer.text
    assert "<script" not in text
    assert " style=" not in text
    assert text.count("<h1>") == 1
    assert text.index('class="finding"') < text.find("<figure") if "<figure" in text else 'class="finding"' in text


@pytest.mark.parametrize("path", TWINS)
def test_every_page_has_twins_with_the_same_figures(here: Installation, path: str) -> None:
    headers = {"authorization": f"Bearer {here.keys['auditor']}"}
    page = here.client.get(f"{path}.json", headers=headers).json()
    assert page["finding"]["verdict"] in ("within limits", "attention", "breach", "cannot tell")
    assert page["made_at"] == "2026-11-24T09:12:30.000Z"
    for name, table in page["tables"].items():
        answer = here.client.get(f"{path}.csv", params={"table": name}, headers=headers)
        assert answer.headers["content-type"].startswith("text/csv")
        assert len(list(csv.DictReader(io.StringIO(answer.text)))) == len(table["rows"])
    assert here.client.get(f"{path}.csv?table=nothing", headers=headers).status_code == 404


def test_every_chart_has_a_name_a_description_a_table_and_a_csv(here: Installation) -> None:
    here.log_in("officer")
    for path in PAGES:
        for figure in here.client.get(path).text.split("<figure")[1:]:
            drawing = figure.split("</figure>")[0]
            assert 'role="img"' in drawing
            for part in ("<title id=", "<desc id=", "<figcaption>", "<details>", "<table>", ".csv?table="):
                assert part in drawing, (path, part)


def test_an_unknown_policy_is_a_page_that_does_not_repeat_the_name(here: Installation) -> None:
    here.log_in("officer")
    answer = here.client.get("/policies/%3Cb%3Esecret", headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert "This site declares no such policy" in answer.text
    assert "What to do next" in answer.text
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(here: Installation) -> None:
    cookie = here.client.post("/login", data={"key": here.keys["officer"]}).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert here.keys["officer"] not in cookie
    assert "Max-Age=43200" in cookie


def test_a_session_ends_after_twelve_hours(here: Installation) -> None:
    here.log_in("officer")
    here.clock.now = NOW + 12 * 3_600_000 - 1
    assert here.client.get("/").status_code == 200
    here.clock.now += 1
    assert here.client.get("/").status_code == 303


def test_a_session_ends_when_its_key_is_revoked(here: Installation) -> None:
    here.log_in("officer")
    with writing(connect(f"sqlite:///{here.directory / 'released.db'}")) as connection:
        connection.execute(update(key_table).values(revoked_ms=NOW))
    assert here.client.get("/").status_code == 303


def test_a_changed_cookie_is_no_session(here: Installation) -> None:
    here.log_in("officer")
    value = here.client.cookies["tacit_session"]
    body, tag = value.split(".")
    for wrong in (f"{body[:-2]}AA.{tag}", body, f"{body}.", "", "a.b", "ä.b", f".{tag}"):
        here.client.cookies.clear()
        assert here.client.get("/", headers={"cookie": f"tacit_session={wrong}".encode()}).status_code == 303


def test_log_out_is_a_post_and_clears_the_cookie(here: Installation) -> None:
    here.log_in("officer")
    assert here.client.get("/logout").status_code == 405
    assert here.client.post("/logout").headers["location"] == "/login"
    assert here.client.get("/").status_code == 303


def test_forms_of_other_sites_are_refused(here: Installation) -> None:
    form = {"key": here.keys["officer"]}
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        assert here.client.post("/login", data=form, headers=headers).status_code == 403
    assert (
        here.client.post("/login", data=form, headers={"origin": "http://testserver", "sec-fetch-site": "same-origin"}).status_code == 303
    )


def test_a_log_in_leads_to_paths_of_this_host_only(here: Installation) -> None:
    for asked, led in (("/budget?site=a", "/budget?site=a"), ("//evil.example/", "/"), ("https://evil.example", "/"), ("/\\evil", "/")):
        answer = here.client.post("/login", data={"key": here.keys["officer"], "next": asked})
        assert answer.headers["location"] == led


def test_a_wrong_key_is_refused_without_being_repeated(here: Installation) -> None:
    answer = here.client.post("/login", data={"key": "tacit_officer_wrong<b>"})
    assert answer.status_code == 401
    assert "wrong&lt;b" not in answer.text
    assert "wrong<b" not in answer.text
    assert 'role="alert"' in answer.text


def test_a_form_that_is_too_long_is_refused(here: Installation) -> None:
    assert here.client.post("/login", content=b"key=" + b"a" * 5_000).status_code == 400


def test_static_files_are_ours_and_no_others(here: Installation) -> None:
    assert here.client.get("/static/tacit.css").headers["content-type"].startswith("text/css")
    assert here.client.get("/static/..%2Fapi.py").status_code == 404
    assert here.client.get("/static/api.py").status_code == 404


def test_the_style_sheet_names_no_other_place(here: Installation) -> None:
    text = here.client.get("/static/tacit.css").text
    assert "url(" not in text
    assert "@import" not in text
