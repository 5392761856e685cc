"""`tacit scan --tables`: anybody's tables, one a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer.testing

from audit.brought import infer_lines, infer_table
from audit.errors import TableRefused
from privacy.local import debiased
from tacit.cli import app
from tests.audit.examples import line

EVEN = {"a": (480.0, 520.0), "b": (300.0, 320.0), "c": (90.0, 110.0)}


def answers(*lines: Any) -> list[dict[str, Any]]:
    return list(infer_lines(one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines))


def test_a_malformed_line_costs_only_itself() -> None:
    good = line(EVEN, sd=2.0)
    unnamed = {k: v for k, v in good.items() if k != "mechanism"}
    bad = [b"{", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"id": 1e999}', unnamed, b"1" * 5000]
    found = answers(good, *bad, b"", b"  \n", good | {"id": 7})
    assert [("error" in one) for one in found] == [False, *[True] * len(bad), False]
    assert [one["line"] for one in found if "error" in one] == list(range(2, 2 + len(bad)))
    assert {one["error"]["code"] for one in found if "error" in one} == {"table-refused"}
    assert "mechanism" in found[6]["error"]["detail"]
    assert found[0]["groups"] == found[-1]["groups"]


def test_a_table_is_judged_alike_alone_and_among_many() -> None:
    tables = [line({"a": (400.0 + n, 600.0), "b": (300.0, 320.0 + n), "c": (3.0, n)}, sd=3.0) | {"id": n} for n in range(600)]
    together = answers(*tables)
    assert [one["id"] for one in together] == list(range(600))
    for n in (0, 255, 256, 599):
        alone = infer_table(tables[n])
        assert together[n]["largest_gap"] == alone["largest_gap"]
        for one, other in zip(together[n]["groups"], alone["groups"], strict=True):
            assert one["p"] == pytest.approx(other["p"])
            assert one["interval"] == pytest.approx(other["interval"])


def test_every_group_has_people_noise_and_what_could_be_found_beside_its_difference() -> None:
    (found,) = answers(line(EVEN, sd=2.0))
    assert set(found) == {"id", "verdict", "groups", "largest_gap", "not_assessable"}
    for one in found["groups"]:
        assert one["people_sd"] == pytest.approx(2.0 * 2**0.5)
        assert one["interval"][0] <= one["difference"] <= one["interval"][1]
        assert one["ratio_interval"][0] <= one["ratio"] <= one["ratio_interval"][1]
        assert 0 < one["noise_error"] < one["standard_error"] < one["detectable"]
        assert 0 < one["ratio_to_highest"] <= 1
    assert max(one["ratio_to_highest"] for one in found["groups"]) == 1
    assert 0 < found["largest_gap"]["p"] <= 1


def test_two_hundred_groups_are_compared_and_the_small_ones_are_named() -> None:
    rows = {f"g{n}": (400.0, 600.0) if n else (900.0, 100.0) for n in range(200)} | {f"tiny{n}": (1.0, 2.0) for n in range(20)}
    (found,) = answers(line(rows, sd=5.0))
    assert found["verdict"] == "breach"
    assert found["groups"][0]["verdict"] == "breach"
    assert found["not_assessable"] == 20
    assert all(one["reason"] == "below_noise" for one in found["groups"][200:])


@pytest.mark.parametrize("rows", [{}, {"a": (500.0, 500.0)}, {"a": (0.0, 0.0), "b": (0.0, 0.0)}, {"a": (-9.0, -2.0), "b": (-1.0, 3.0)}])
@pytest.mark.parametrize(
    "mechanism", [{"name": "none"}, {"name": "discrete_laplace", "sd": 3.0}, {"name": "randomised_response", "epsilon": 1}]
)
def test_tables_with_nothing_to_compare_have_an_answer(rows: dict[str, tuple[float, float]], mechanism: dict[str, Any]) -> None:
    (found,) = answers(line(rows) | {"mechanism": mechanism})
    assert found["verdict"] == "cannot tell"
    assert found["largest_gap"] is None
    assert found["not_assessable"] == len(found["groups"]) == len(rows)
    json.dumps(found, allow_nan=False)


def test_reports_and_debiased_counts_of_randomised_groups_give_the_same_answer() -> None:
    reports = {"a": (450.0, 560.0), "b": (330.0, 340.0), "c": (150.0, 190.0)}
    mechanism = {"name": "randomised_response", "epsilon": 2.0, "sd": 1.0}
    columns = [[v for v, _ in debiased([pair[at] for pair in reports.values()], 2.0, 1.0)] for at in (0, 1)]
    truth = dict(zip(reports, zip(*columns, strict=True), strict=True))
    given = infer_table(line(reports) | {"mechanism": mechanism | {"counts": "reported"}})
    again = infer_table(line(truth) | {"mechanism": mechanism})
    for one, other in zip(given["groups"], again["groups"], strict=True):
        assert one["difference"] == pytest.approx(other["difference"])
        assert one["interval"] == pytest.approx(other["interval"])
        assert one["people_sd"] == pytest.approx(other["people_sd"])


def test_an_answer_at_random_that_is_nearly_always_true_is_judged_like_exact_counts() -> None:
    exact = infer_table(line(EVEN))
    nearly = infer_table(line(EVEN) | {"mechanism": {"name": "randomised_response", "epsilon": 40.0}})
    for one, other in zip(exact["groups"], nearly["groups"], strict=True):
        assert one["interval"] == pytest.approx(other["interval"], abs=1e-6)
        assert one["p"] == pytest.approx(other["p"])


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        ({}, "epsilon"),
        ({"epsilon": 0}, "epsilon"),
        ({"epsilon": "secret"}, "epsilon"),
        ({"epsilon": 1, "sd": -1}, "sd"),
        ({"epsilon": 1, "counts": "secret"}, "counts"),
    ],
)
def test_a_randomised_response_that_is_not_described_is_refused(fault: dict[str, Any], place: str) -> None:
    with pytest.raises(TableRefused, match=place) as refused:
        infer_table(line(EVEN) | {"mechanism": {"name": "randomised_response"} | fault})
    assert "secret" not in refused.value.diagnostics()


def test_the_command_answers_every_line_and_its_exit_code_says_what_was_found(tmp_path: Path) -> None:
    path, run = tmp_path / "tables.ndjson", typer.testing.CliRunner()
    fair, unfair = line(EVEN, sd=2.0), line({"a": (9000.0, 1000.0), "b": (5000.0, 5000.0)}, sd=2.0)
    for lines, code in (([fair], 0), ([fair, unfair], 3), ([], 0)):
        path.write_text("".join(json.dumps(one) + "\n" for one in lines))
        found = run.invoke(app, ["scan", "--tables", str(path)])
        assert found.exit_code == code
        assert len(found.stdout.splitlines()) == len(lines)
    path.write_text(json.dumps(unfair) + "\n{\n" + json.dumps(fair) + "\n")
    found = run.invoke(app, ["scan", "--tables", str(path)])
    assert found.exit_code == 1
    assert [json.loads(one).get("verdict") for one in found.stdout.splitlines()] == ["breach", None, "cannot tell"]
