"""A report shows everything that a scan says and that was done since: levels, odds, ratios, trend, corrections, signatures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit import report_html, report_pdf
from audit.blocks import Chart, Document, Table
from audit.document import document_of
from audit.ports import Cap, Pause
from audit.reporting import Report, Reports
from tacit.core.declaration import Dimension, audit_measure
from tests.audit.desk import Office
from tests.audit.examples import GENERATOR, MINUTE, charge, release_of, with_noise

ARMS: dict[str, dict[str, Any]] = {
    "control": {"scale": 1.0},
    "larger": {"scale": 1.1, "offer": True},
    "largest": {"scale": 1.3, "offer": True},
}


class Rich(Office):
    """Two group dimensions, their intersection, a stratum, and arms with parameters."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        policy = replace(self.site.policies["headline"], arms=ARMS, context=(Dimension("device", ("mobile", "desktop")),))
        groups = (Dimension("age_band", ("young", "old")), Dimension("sex", ("female", "male")))
        audit = replace(self.site.audits["by_age"], groups=groups, intersections=(("age_band", "sex"),), strata=policy.context)
        measures = (*self.site.measures[:-1], audit_measure("newsroom", audit, policy))
        self.site = replace(self.site, policies={"headline": policy}, audits={"by_age": audit}, measures=measures)
        self.reports = Reports(self.releases, self.store, self.log)

    def window(self, old: tuple[float, ...] = (0.2, 0.3, 0.5)) -> None:
        """200,000 people; the old are shown other arms than the young."""
        measure = self.site.measures[-1]
        table = np.zeros([d.size for d in measure.dimensions], dtype=np.int64)
        for place in np.ndindex(2, 2, 2):
            shown = GENERATOR.multinomial(25_000, (0.5, 0.3, 0.2) if place[0] == 0 else old)
            rewarded = GENERATOR.binomial(shown, 0.3)
            table[place] = np.stack([shown - rewarded, rewarded], axis=1)
        start = self.clock.ms - self.clock.ms % MINUTE + MINUTE
        made = release_of(measure, with_noise(table.ravel(), 4.0), start_ms=start, usable=None)
        charge(self.vault, made)
        assert self.releases.publish([made], self.log)
        self.releases.set_usable(made.id, True, {})
        self.clock.ms = start + MINUTE

    def report(self, **options: Any) -> Report:
        return self.reports.make(self.site, by="key_1", **options)


@pytest.fixture
def office(tmp_path: Path) -> Rich:
    found = Rich(tmp_path)
    found.window()
    found.scan()
    return found


def document(report: Report) -> Document:
    return document_of(report.content, sha256=report.sha256)


def tables(found: Document, section: str) -> list[Table]:
    return [block for one in found.sections if one.title == section for block in one.blocks if isinstance(block, Table)]


def test_every_comparison_of_every_level_has_its_row_its_bar_and_its_words(office: Rich) -> None:
    report = office.report()
    found, scan = document(report), report.content["scan"]
    sections = {
        "Groups": "groups",
        "Intersections": "intersections",
        "Within strata of the context": "strata",
        "What people experienced": "experience",
    }
    for title, level in sections.items():
        mine = [c for c in scan["comparisons"] if c["level"] == level]
        assert mine, level
        (section,) = [one for one in found.sections if one.title == title]
        charts = [block for block in section.blocks if isinstance(block, Chart)]
        rows = [row for table in tables(found, title) for row in table.rows]
        assert len(rows) == sum(len(chart.bars) for chart in charts) == len(mine)
        assert sorted(row[-1] for row in rows) == sorted(c["verdict"] for c in mine)
        for chart, table in zip(charts, tables(found, title), strict=True):
            assert [bar.label for bar in chart.bars] == [row[0] for row in table.rows]
            assert all(bar.label in chart.alternative for bar in chart.bars)
    assert sum(len(t.rows) for t in tables(found, "Odds")) == len(scan["odds"]) > 0
    (gaps,) = tables(found, "Largest gaps")
    assert len(gaps.rows) == len(scan["gaps"]) > 0


def test_ratios_have_intervals_and_intensity_is_in_its_own_unit(office: Rich) -> None:
    report = office.report()
    found = document(report)
    asked = next(
        c
        for c in report.content["scan"]["comparisons"]
        if c["level"] == "groups" and c["statistic"] == "exposure" and c["arm"] == "control"
    )
    (table,) = [t for t in tables(found, "Groups") if t.caption == "exposure of control by age_band"]
    row = next(row for row in table.rows if row[0] == asked["group"])
    assert row[table.columns.index("ratio to the rest")] == f"{asked['ratio_interval'][0]:.2f} to {asked['ratio_interval'][1]:.2f}"
    (offered,) = [t for t in tables(found, "What people experienced") if t.caption == "offered of offer by age_band"]
    assert offered.columns[4] == "ratio to the rest"
    (intensity,) = [t for t in tables(found, "What people experienced") if t.caption == "intensity of scale by age_band"]
    means = {row[0]: float(row[intensity.columns.index("mean")]) for row in intensity.rows}
    assert means["young"] == pytest.approx(0.5 * 1.0 + 0.3 * 1.1 + 0.2 * 1.3, abs=0.01)
    assert means["old"] == pytest.approx(0.2 * 1.0 + 0.3 * 1.1 + 0.5 * 1.3, abs=0.01)


def test_the_trend_is_drawn_and_its_alarm_is_said(office: Rich) -> None:
    report = office.report()
    trend = report.content["scan"]["trend"]
    alarmed = [s["subject"] for s in trend["subjects"] if s["alarm"]]
    assert alarmed, "the difference is fifty standard errors"
    (section,) = [one for one in document(report).sections if one.title == "Trend"]
    text = " ".join(block.text for block in section.blocks if hasattr(block, "text"))
    assert all(subject in text for subject in alarmed)
    (chart,) = [block for block in section.blocks if isinstance(block, Chart)]
    assert {bar.label for bar in chart.bars if bar.verdict == "attention"} == set(alarmed)
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    assert [row[0] for row in table.rows] == [s["subject"] for s in trend["subjects"]]


def test_what_was_done_stands_with_its_price_verification_and_signatures(office: Rich) -> None:
    finding = office.store.findings("newsroom")[0][-1]
    office.desk.correct(office.asks(), finding.id, Cap("larger", 0.3), note="words that stay here")
    done = {row[1]: row[3] for row in tables(document(office.report()), "Findings")[1].rows if row[0] == finding.subject}
    assert done == {
        "correction: cap (arm larger, most 0.3)": "headline of newsroom: cap costs 2 points of lift.",
        "verification": "no scan has looked at the time since",
    }
    office.window(old=(0.5, 0.3, 0.2))
    scan = office.scan().scan
    office.signed(finding.id)
    office.desk.close(office.asks(), finding.id)
    report = office.report()
    assert b"words that stay here" not in report.body
    listed, done_rows, signatures = tables(document(report), "Findings")
    said = next(row[3] for row in done_rows.rows if row[0] == finding.subject and row[1] == "verification")
    assert said == f"verified: within limits in the windows since the correction ({scan.id})"
    assert {row[1] for row in signatures.rows if row[0] == finding.subject} == {office.anna.key_id, office.ben.key_id}
    assert next(row[2] for row in listed.rows if row[0] == finding.subject) == "closed"
    office.desk.reopen(office.asks(), finding.id, note="again")
    office.desk.correct(office.asks(), finding.id, Pause())
    again = next(row[2] for row in tables(document(office.report()), "Findings")[0].rows if row[0] == finding.subject)
    assert again == "corrected, opened again once"


def test_equal_input_gives_equal_bytes_with_everything_in_it(office: Rich) -> None:
    pytest.importorskip("typst", reason="NOT TESTED: PDF reports. The extra `pdf` is not installed.")
    first, second = office.report(preset="nyc_ll144"), office.report(preset="nyc_ll144")
    assert first.body == second.body
    assert report_html.render(first) == report_html.render(second)
    made = report_pdf.render(first)
    assert made == report_pdf.render(second)
    assert b"pdfuaid" in made


def test_local_law_144_has_intersections_and_unknown_shares(office: Rich) -> None:
    report = office.report(preset="nyc_ll144")
    single, crossed, unknown = report.content["preset_section"]["tables"]
    assert {row[0] for row in single["rows"]} == {"age_band", "sex"}
    assert {row[0] for row in crossed["rows"]} == {"age_band x sex"}
    assert {row[1] for row in crossed["rows"]} == {"young x female", "young x male", "old x female", "old x male"}
    shares = [float(row[5]) for row in single["rows"] if row[0] == "age_band" and row[2] == "exposure largest"]
    assert sorted(shares) == [pytest.approx(0.4, abs=0.03), 1.0]
    assert {row[0] for row in unknown["rows"]} == {u["dimension"] for u in report.content["scan"]["unknown"]}
    assert any("age_band x sex" in row[0] for row in unknown["rows"])
    names = {table["title"] for table in report.content["preset_section"]["tables"]}
    shown = {table.caption for table in tables(document(report), "Selection rates and impact ratios")}
    assert shown == names


def test_the_ai_act_s_log_names_the_trend(office: Rich) -> None:
    rows = dict(office.report(preset="eu_ai_act").content["preset_section"]["tables"][0]["rows"])
    assert rows["trend"].startswith("scans so far: 1; alarm: ")
