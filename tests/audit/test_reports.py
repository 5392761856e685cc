"""Reports: one canonical JSON, and the page and the PDF that are made of it."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from audit import report_html, report_pdf
from audit.blocks import Chart, Table
from audit.document import document_of
from audit.errors import NoSuchScan, UnknownPreset
from audit.presets import PRESETS
from audit.reporting import Report, Reports
from tacit.core.evidence import canonical
from tests.audit.test_scan import FAIR, MEASURE, SITE, SKEWED, House

typst = pytest.importorskip("typst", reason="NOT TESTED: PDF reports. The extra `pdf` is not installed.")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def make(house: House, **options: Any) -> Report:
    return Reports(house.releases, house.store, house.log).make(SITE, by="key_1", **options)


def test_without_a_scan_there_is_no_report(house: House) -> None:
    for options in ({}, {"scan": "scan_nothing"}, {"audit": "nothing"}):
        with pytest.raises(NoSuchScan):
            make(house, **options)
    house.publish(FAIR)
    house.scan()
    with pytest.raises(UnknownPreset):
        make(house, preset="gdpr_compliant")


def test_a_report_says_the_verdict_and_names_every_release_with_its_hash(house: House) -> None:
    house.publish(SKEWED)
    house.publish(SKEWED, usable=False)
    house.publish(SKEWED)
    result = house.scan()
    report = make(house)
    content = report.content
    assert content["verdict"] == "breach"
    assert content["sentence"] == result.sentence
    used = [r for r in house.releases.since("newsroom", MEASURE.id, -1) if r.usable]
    assert [one["id"] for one in content["manifest"]["releases"]] == [r.id for r in used]
    assert [one["sha256"] for one in content["manifest"]["releases"]] == [r.digest() for r in used]
    assert len(used) == content["scan"]["releases"] == 2
    assert content["limit"]["value"] == SITE.audits["by_age"].limit
    assert "Not a limit of any law" in content["limit"]["origin"]
    assert {f["id"] for f in content["findings"]} == set(result.opened)


def test_equal_input_gives_equal_bytes_and_each_making_is_an_entry(house: House) -> None:
    house.publish(SKEWED)
    house.scan()
    first, second = make(house), make(house)
    assert first.body == second.body == canonical(json.loads(first.body))
    assert report_html.render(first) == report_html.render(second)
    assert report_pdf.render(first) == report_pdf.render(second)
    entries, _ = house.log.list(kind="report.made")
    assert [e.body["sha256"] for e in entries] == [hashlib.sha256(first.body).hexdigest()] * 2
    assert entries[0].body["manifest"] == first.content["manifest"]
    assert entries[0].body["by"] == "key_1"


def test_a_later_release_does_not_change_an_earlier_scan_s_report(house: House) -> None:
    house.publish(FAIR)
    scan = house.scan().scan.id
    before = make(house, scan=scan)
    house.publish(SKEWED)
    house.scan()
    assert make(house, scan=scan).body == before.body
    assert make(house).content["scan"]["id"] != scan


def test_what_cannot_be_assessed_is_said_in_words(house: House) -> None:
    house.publish(FAIR, people=30)
    house.scan()
    report = make(house)
    assert report.content["verdict"] == "cannot tell"
    assert report.content["not_assessable"]
    assert all(" " in one["because"] for one in report.content["not_assessable"])
    page = report_html.render(report).decode()
    assert "not assessable" in page


def test_a_scan_of_nothing_still_makes_a_report(house: House) -> None:
    house.scan()
    report = make(house)
    assert report.content["manifest"]["releases"] == []
    assert b"no releases yet" in report_html.render(report)
    assert report_pdf.render(report).startswith(b"%PDF-")


class _Reader(HTMLParser):
    """What a page asks of other places, and its headings in order."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.levels: list[int] = []
        self.first = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.asked += [value or "" for name, value in attributes if name in ("src", "href", "action")]
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))


def test_the_page_stands_alone_and_escapes_what_it_shows(house: House) -> None:
    house.publish(SKEWED)
    house.scan()
    content = make(house).content | {"sentence": "<script>alert(1)</script> & more"}
    page = report_html.render(Report(content)).decode()
    reader = _Reader()
    reader.feed(page)
    assert reader.asked == []
    assert "url(" not in page
    assert "<script" not in page
    assert reader.levels[0] == 1
    assert set(reader.levels[1:]) == {2}
    assert page.index(content["verdict"].capitalize()) < page.index("<h2")


def test_charts_have_their_table_and_their_words(house: House) -> None:
    house.publish(SKEWED)
    house.scan()
    report = make(house)
    document = document_of(report.content, sha256=report.sha256)
    groups = document.sections[0].blocks
    charts = [block for block in groups if isinstance(block, Chart)]
    tables = [block for block in groups if isinstance(block, Table)]
    assert len(charts) == len(tables) > 0
    for chart, table in zip(charts, tables, strict=True):
        assert [bar.label for bar in chart.bars] == [row[0] for row in table.rows]
        assert all(bar.label in chart.alternative for bar in chart.bars)
        assert all(abs(edge) <= chart.reach + 1e-9 for bar in chart.bars for edge in (bar.low or 0.0, bar.high or 0.0))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_shapes_the_report_and_claims_nothing(house: House, preset: str) -> None:
    house.publish(SKEWED)
    house.scan()
    report = make(house, preset=preset)
    section = report.content["preset_section"]
    assert "does not say that a law applies" in section["statement"]
    assert report_pdf.render(report).startswith(b"%PDF-")
    text = report_html.render(report).decode()
    assert section["title"] in text
    assert not re.search(r"\b(is|are|fully) compliant\b", text)


def test_impact_ratios_are_of_the_highest_rate(house: House) -> None:
    house.publish(SKEWED)
    house.scan()
    section = make(house, preset="eeoc_four_fifths").content["preset_section"]
    rows = [row for row in section["tables"][0]["rows"] if row[2] == "exposure larger"]
    assert {row[1]: float(row[5]) for row in rows}["55_plus"] == pytest.approx(0.6, abs=0.05)
    assert max(float(row[5]) for row in rows) == 1.0
    assert any("55_plus" in note for note in section["notes"])


def test_the_pdf_is_tagged_for_screen_readers(house: House) -> None:
    house.publish(SKEWED)
    house.scan()
    made = report_pdf.render(make(house))
    assert b"/MarkInfo" in made
    assert b"pdfuaid" in made
    assert b"/Lang" in made
