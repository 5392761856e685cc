"""Geometry stays inside the drawing, gaps stay gaps, and a CSV runs nothing in a spreadsheet."""

from __future__ import annotations

import csv
import doctest
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import charts, days, policies, session, tables, words
from dashboards.charts import IntervalChart, LineChart, Row, Series, scale_over
from dashboards.tables import Column, Table, defuse
from dashboards.words import Mark, Verdict

TABLE = Table("t", "T", (Column("a", "A"),), ())
NUMBERS = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)


@pytest.mark.parametrize("module", [charts, days, policies, session, tables, words])
def test_examples_in_the_documentation_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@given(st.lists(NUMBERS, max_size=20))
def test_a_scale_holds_every_value_and_has_few_ticks(values: list[float]) -> None:
    scale = scale_over(values)
    assert all(scale.low - 1e-6 <= v <= scale.high + 1e-6 for v in values)
    assert 2 <= len(scale.ticks) <= 7
    assert all(0 <= scale.at(v) <= 100 for v in (*values, *scale.ticks))


@given(st.floats(min_value=-1, max_value=1), st.floats(min_value=1e-7, max_value=1))
def test_every_interval_can_be_put_into_words(low: float, width: float) -> None:
    for unit in ("points", "percent", "count", "epsilon"):
        row = Row("a", low, low + width, low)
        chart = IntervalChart("c", "C", "", (row,), TABLE, unit=unit)  # type: ignore[arg-type]
        assert " to " in chart.words(row)
        assert all(chart.tick(t) for t in chart.scale.ticks)


def test_no_number_is_told_apart_from_zero() -> None:
    rows = (Row("a", mark=Mark.SUPPRESSED), Row("b", mark=Mark.MISSING), Row("c", 0.0, 0.0, 0.0, Verdict.CANNOT_TELL))
    chart = IntervalChart("c", "C", "", rows, TABLE, unit="count")
    assert [chart.words(r) for r in rows] == ["too noisy to show", "no figures yet", "0 to 0"]
    assert chart.description == "a: too noisy to show; b: no figures yet; c: 0 to 0, cannot tell."


def test_a_gap_breaks_the_line_and_its_band() -> None:
    series = Series("a", (0.1, 0.2, None, 0.3), ((0.0, 0.2), (0.1, 0.3), None, (0.2, 0.4)))
    chart = LineChart("c", "C", "", (0, 1, 2, 3), (series,), TABLE)
    assert len(chart.runs(series)) == 2
    assert len(chart.bands(series)) == 1


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "|calc", "＝1", "\n=1"])
def test_a_text_that_a_spreadsheet_would_run_is_defused(text: str) -> None:
    assert defuse(text) == f"'{text}"
    table = Table("t", "T", (Column("a", "A"), Column("b", "B", "number")), ((text, -1.5),))
    row = list(csv.reader(io.StringIO(table.to_csv(), newline="")))[1]
    assert row == [f"'{text}", "-1.5"]


@given(st.text(max_size=30))
def test_no_cell_of_a_csv_starts_a_formula(text: str) -> None:
    assert not defuse(text).lstrip().startswith(("=", "+", "-", "@"))


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="another length"):
        Table("t", "T", (Column("a", "A"),), ((1, 2),))


@given(NUMBERS, st.floats(min_value=0.01, max_value=1e6))
def test_a_noisy_count_never_shows_more_digits_than_its_noise(value: float, sd: float) -> None:
    text = words.noisy(value, sd)
    assert "±" in text
    assert "." not in text
    assert math.isfinite(float(text.split(" ± ")[1].replace(",", "")))
