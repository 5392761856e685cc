"""Every piece of advice appears where it helps, says so with a number, and is gone once it is taken or the traffic is there."""

from __future__ import annotations

import re

import pytest

from privacy.outlook import Traffic, outlook
from privacy.plan import plan_site
from tacit.core.configuration import parse
from tacit.core.declaration import Site

PAGES = "event: page, by: {category: [news, tech, sport]}"
CODES = {
    "share-unused",
    "share-too-small",
    "window-short",
    "cap-per-cell",
    "cap-high",
    "cap-low",
    "cells-small",
    "over-time-prefix",
    "windows-many",
    "policy-cannot-learn",
    "audit-cannot-detect",
}


def site(measures: str = "", *, rest: str = "", window: str = "1h", epoch: str = "1d") -> Site:
    text = f"sites: {{shop: {{privacy: {{epsilon: 1, delta: 1.0e-6, epoch: {epoch}, window: {window}}}, measures: {{{measures}}}{rest}}}}}"
    return parse(text).sites["shop"]


def pages(more: str, share: str = "1") -> str:
    return f"pages: {{{PAGES}, {more + ', ' if more else ''}share: {share}}}"


def policy(context: str, share: str) -> str:
    terms = f"zone: top, arms: {{a: {{}}, b: {{}}}}, context: {{{context}}}, reward: {{event: click}}, share: {share}"
    return f", policies: {{headline: {{{terms}}}}}"


POLICY = policy("device: [mobile, desktop]", "0.5")
AUDIT = POLICY + ", audits: {by_age: {policy: headline, groups: {age: [young, old]}, limit: 0.05, share: 0.5}}"
MANY = 10**8

CASES = [
    # code, path below the site, where it appears, where it does not
    ("share-unused", "", (site(pages("", "0.75")), Traffic(MANY)), (site(pages("")), Traffic(MANY))),
    (
        "share-too-small",
        "measures.lost.share",
        (site("lost: {event: lost, share: 0.000000000001}"), Traffic(MANY)),
        (site("lost: {event: lost, share: 0.001}"), Traffic(MANY)),
    ),
    ("window-short", "privacy.window", (site(pages(""), window="1m"), Traffic(20_000)), (site(pages(""), window="6h"), Traffic(20_000))),
    ("window-short", "privacy.window", (site(pages(""), window="1m"), Traffic(20_000)), (site(pages(""), window="1m"), Traffic(10**6))),
    (
        "window-short",
        "privacy.window",
        (site(pages(""), window="1m"), Traffic(20_000)),
        (site(pages("over_time: prefix"), window="1m"), Traffic(20_000)),
    ),
    (
        "cap-per-cell",
        "measures.pages.per_cell",
        (site(pages("per_window: 6, per_cell: 3")), Traffic(MANY)),
        (site(pages("per_window: 6, per_cell: 1")), Traffic(MANY)),
    ),
    (
        "cap-high",
        "measures.pages.per_window",
        (site(pages("per_window: 50, per_cell: 50")), Traffic(MANY)),
        (site(pages("per_window: 20, per_cell: 20")), Traffic(MANY)),
    ),
    (
        "cap-high",
        "measures.pages.per_window",
        (site(pages("per_window: 50, per_cell: 50")), Traffic(MANY)),
        (site(pages("per_window: 50, per_cell: 1")), Traffic(MANY)),  # four cells are four at most: the bound costs nothing
    ),
    (
        "cap-low",
        "measures.pages.per_window",
        (site(pages("per_window: 2")), Traffic(MANY, 8.0)),
        (site(pages("per_window: 8, per_cell: 2")), Traffic(MANY, 8.0)),
    ),
    (
        "cap-low",
        "measures.pages.per_window",
        (site(pages("per_window: 2")), Traffic(MANY, 8.0)),
        (site(pages("per_window: 2")), Traffic(MANY)),
    ),
    (
        "cap-low",
        "measures.pages.per_window",
        (site(pages("per_window: 2")), Traffic(MANY, 8.0)),
        (site("pages: {event: page, share: 1}"), Traffic(MANY, 8.0)),  # there is one cell, and a person is in it once
    ),
    ("cells-small", "measures.pages.by", (site(pages("")), Traffic(500)), (site(pages("")), Traffic(5_000))),
    (
        "over-time-prefix",
        "measures.pages.over_time",
        (site(pages(""), window="1m"), Traffic(20_000)),
        (site(pages("over_time: prefix"), window="1m"), Traffic(20_000)),
    ),
    ("over-time-prefix", "measures.pages.over_time", (site(pages(""), window="1m"), Traffic(20_000)), (site(pages("")), Traffic(MANY))),
    (
        "over-time-prefix",
        "measures.pages.over_time",
        (site(pages(""), window="1m"), Traffic(20_000)),
        (site(pages("windows: 1440"), window="1m"), Traffic(20_000)),  # independent noise is as good for people who are always here
    ),
    (
        "windows-many",
        "measures.pages.windows",
        (site(pages("over_time: {sliding: 7}, windows: 7")), Traffic(MANY)),
        (site(pages("over_time: {sliding: 7}, windows: 1")), Traffic(MANY)),
    ),
    (
        "windows-many",
        "measures.pages.windows",
        (site(pages("over_time: prefix, windows: 30")), Traffic(MANY)),
        (site(pages("windows: 30")), Traffic(MANY)),
    ),
    ("policy-cannot-learn", "policies.headline.context", (site(rest=POLICY), Traffic(1_000)), (site(rest=POLICY), Traffic(10**6))),
    ("audit-cannot-detect", "audits.by_age.groups", (site(rest=AUDIT), Traffic(200)), (site(rest=AUDIT), Traffic(10**6))),
]


def codes(case: tuple[Site, Traffic]) -> list[str]:
    return [line["code"] for line in plan_site(*case)["advice"]]


@pytest.mark.parametrize(("code", "path", "there", "gone"), CASES)
def test_advice_appears_where_it_helps_and_goes_when_it_is_taken(
    code: str, path: str, there: tuple[Site, Traffic], gone: tuple[Site, Traffic]
) -> None:
    (line,) = [line for line in plan_site(*there)["advice"] if line["code"] == code]
    assert line["path"] == f"sites.shop.{path}".rstrip(".")
    assert line["measure"] == (None if code in ("share-unused", "window-short") else there[0].measures[-1].name)
    assert line["text"].endswith(".")
    assert code not in codes(gone)


def test_every_code_has_a_case() -> None:
    assert {code for code, *_ in CASES} == CODES


def test_a_declaration_that_suits_its_traffic_gets_no_advice() -> None:
    assert codes((site(pages("per_window: 8, per_cell: 2, over_time: prefix"), epoch="7d"), Traffic(MANY, 8.0))) == ["cap-per-cell"]
    assert codes((site(pages("per_window: 3, over_time: prefix")), Traffic(MANY))) == []


def text_of(code: str, case: tuple[Site, Traffic]) -> str:
    return next(line["text"] for line in plan_site(*case)["advice"] if line["code"] == code)


def test_fewer_cells_are_clear_of_the_noise_as_promised() -> None:
    wide = ", ".join(f"v{i}" for i in range(40))

    def declared(values: str) -> Site:
        return site(f"pages: {{event: page, by: {{page: [{values}], device: [mobile, desktop]}}, share: 1}}")

    case = (declared(wide), Traffic(10_000))
    text = text_of("cells-small", case)
    assert "first of `page`, which has 41" in text
    found = re.search(r"(\d+) cells would be clear", text)
    assert found
    fine = int(found[1])
    assert 3 < fine < 41 * 3
    merged = ", ".join(f"v{i}" for i in range(fine // 3 - 1))
    assert "cells-small" not in codes((declared(merged), case[1]))
    assert "cells-small" in codes((declared(merged + ", one more"), case[1]))


def test_a_stated_length_of_windows_shows_single_windows() -> None:
    text = text_of("window-short", (site(pages(""), window="1m"), Traffic(20_000)))
    found = re.search(r"Windows of (\w+) would show them", text)
    assert found
    better = (site(pages(""), window=found[1]), Traffic(20_000))
    assert "window-short" not in codes(better)
    times = re.search(r"would have ([\d.]+) times less noise", text)
    assert times
    sds = [outlook(s, s.measures[0], Traffic()) for s in (site(pages(""), window="1m"), better[0])]
    assert sds[0].sd(sds[0].windows) / sds[1].sd(sds[1].windows) == pytest.approx(float(times[1]), abs=0.06)


def test_what_correlated_noise_would_bring_is_what_it_brings() -> None:
    before, after = (site(pages(more), window="1m") for more in ("", "over_time: prefix"))
    found = re.search(r"an epoch's sum ([\d.]+) times less noisy", text_of("over-time-prefix", (before, Traffic(20_000))))
    assert found
    plain, better = (plan_site(s)["measures"][0] for s in (before, after))
    assert plain["sums"][0]["sd"] / better["sums"][0]["sd"] == pytest.approx(float(found[1]), abs=0.06)
    assert f"{better['strategy']['remembers']['numbers']} secret numbers" in text_of("over-time-prefix", (before, Traffic(20_000)))


def test_a_smaller_cap_makes_the_noise_that_was_promised() -> None:
    before, after = (site(pages(f"per_window: 6, per_cell: {n}")) for n in (3, 1))
    found = re.search(r"the noise is ([\d.]+) times smaller", text_of("cap-per-cell", (before, Traffic(MANY))))
    assert found
    sigmas = [plan_site(s)["measures"][0]["sigma"] for s in (before, after)]
    assert sigmas[0] / sigmas[1] == pytest.approx(float(found[1]), abs=0.06)


def test_a_merged_context_lets_a_policy_learn() -> None:
    def declared(values: str) -> Site:
        return site(rest=policy(f"page: [{values}]", "1"))

    case = (declared(", ".join(f"v{i}" for i in range(20))), Traffic(3_000))
    found = re.search(r"(\d+) cells would be enough", text_of("policy-cannot-learn", case))
    assert found
    fine = int(found[1])
    assert 1 < fine < 21
    assert "policy-cannot-learn" not in codes((declared(", ".join(f"v{i}" for i in range(fine - 1))), case[1]))
    assert "policy-cannot-learn" in codes((declared(", ".join(f"v{i}" for i in range(fine))), case[1]))
