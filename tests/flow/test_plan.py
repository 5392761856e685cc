"""The plan of a real installation: on the command line, over HTTP and on the page, and in one voice with the ledger."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import update
from typer.testing import CliRunner

from privacy.plan import plan, plan_site
from privacy.plans import PlanStore, brief
from privacy.tables import plans
from tacit import wiring
from tacit.cli import app
from tacit.core import configuration
from tacit.core.db import connect, writing
from tacit.core.declaration import Site
from tacit.worker import Worker
from tests.conftest import House


def tacit(*arguments: str, **environment: str) -> str:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "100"} | environment)
    assert done.exit_code == 0, done.output
    return done.output


def test_plan_budget_and_ledger_agree_to_the_last_digit(house: House) -> None:
    house.start(sanitiser=False)
    officer = house.client("officer")
    missing = officer.get("/v1/plan")
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/not-found")
    assert missing.json()["detail"] == "the sanitiser has not planned yet"

    closed = house.tacit("close", "--site", "newsroom")
    assert closed.returncode == 0, closed.stderr
    answered = officer.get("/v1/plan").json()["plan"]
    printed = json.loads(tacit("plan", str(house.settings.config), "--format", "json"))
    (budget,) = officer.get("/v1/budget").json()["budget"]
    place = {"TACIT_CONFIG": house.settings.config, "TACIT_DATA": house.settings.data, "TACIT_CUSTODY": house.settings.custody_directory}
    assert json.loads(tacit("budget", "--site", "newsroom", "--format", "json", **{k: str(v) for k, v in place.items()})) == [budget]

    site = configuration.load(house.settings.config).sites["newsroom"]
    assert {k: v for k, v in answered.items() if k not in ("sha256", "planned_at")} == plan_site(site)
    assert [{k: v for k, v in row.items() if k not in ("site", "promise", "advice")} for row in printed] == answered["measures"]
    assert all(row["promise"] == answered["promise"] for row in printed)
    spends = {s["measure"]: (s["rho"], s["rho_pico"], s["delta_atto"]) for s in budget["spends"]}
    assert spends == {m["measure"]: (m["rho"], m["rho_pico"], m["delta_atto"]) for m in answered["measures"]}
    promise = answered["promise"]
    assert (budget["epsilon"]["spent"], budget["epsilon"]["promised"]) == (promise["epsilon_reserved"], promise["epsilon"])
    assert budget["rho"] == {
        "promised": promise["rho"],
        "spent": promise["reserved_pico"] / 10**12,
        "promised_pico": promise["rho_pico"],
        "spent_pico": promise["reserved_pico"],
    }
    assert budget["accumulated"] == promise["accumulated"]
    for release in officer.get("/v1/releases", params={"limit": 100}).json()["releases"]:
        planned = next(m for m in answered["measures"] if m["measure"] == release["measure"])
        assert release["mechanism"]["scale"] == planned["sigma_first"]
        assert release["rho"] == planned["window_rho_pico"] / 10**12

    assert "audit.by_age" in officer.get("/budget.csv", params={"table": "plan"}).text
    assert house.client("write").get("/v1/plan").status_code == 403


def test_the_sanitiser_plans_once_and_again_when_the_declaration_has_changed(house: House) -> None:
    made: list[str] = []

    def counted(site: Site) -> dict[str, Any]:
        made.append(site.name)
        return plan_site(site)

    def worker() -> Worker:
        declaration = configuration.load(house.settings.config)
        return Worker(replace(wiring.sanitiser(house.settings, declaration), plan_site=counted))

    released = connect(house.settings.released_location)
    store = PlanStore(released)
    working = worker()
    working.once()
    first = store.latest("newsroom")
    assert first is not None
    working.once()
    worker().once()
    assert made == ["newsroom"]
    assert store.latest("newsroom") == first

    with writing(released) as connection:
        connection.execute(update(plans).values(sha256="another"))
    working.once()
    assert made == ["newsroom"]  # what this worker has planned it does not look up again
    worker().once()
    assert made == ["newsroom"] * 2

    house.settings.config.write_text(house.settings.config.read_text().replace("limit: 0.05", "limit: 0.04"))
    worker().once()
    newest = store.latest("newsroom")
    assert newest is not None
    assert newest["sha256"] != first["sha256"]
    assert next(m for m in newest["measures"] if m["kind"] == "audit")["detects"]["limit"] == 0.04


def test_a_plan_that_somebody_else_has_saved_is_left_alone(house: House) -> None:
    store = PlanStore(connect(house.settings.released_location))
    assert store.latest("newsroom") is None
    assert store.save("newsroom", "a" * 64, {"n": 1}, at_ms=0)
    assert not store.save("newsroom", "a" * 64, {"n": 2}, at_ms=1)
    assert store.save("newsroom", "b" * 64, {"n": 3}, at_ms=2)
    assert store.latest("newsroom") == {"n": 3, "sha256": "b" * 64, "planned_at": "1970-01-01T00:00:00.002Z"}


DOCUMENT = Path(__file__).parents[2] / "docs" / "plan.md"

LONG = """
sites:
  shop:
    privacy: {epsilon: 1, delta: 1.0e-6, window: 1m}
    measures:
      a-measure-with-a-name-that-is-much-longer-than-any-column-may-be:
        {event: dwell, by: {zone: [hero]}, value: {field: seconds, from: 0, to: 1000000000}, share: 0.00001, windows: 1000}
      often: {event: page, by: {zone: [hero, body]}, share: 0.1, over_time: prefix, block: 24}
      terms: {event: search, keys: {field: term, delta_share: 0.1}, per_window: 4, share: 0.1}
      mood: {event: mood, by: {mood: [good, bad, unsure]}, local: {epsilon: 1}, share: 0.1}
      lost: {event: lost, share: 0.000000000001}
    policies:
      headline: {zone: top, arms: {a: {}, b: {}}, context: {device: [mobile]}, reward: {event: click}, share: 0.2}
    audits:
      by_age: {policy: headline, groups: {age: [young, old]}, share: 0.2}
"""


def test_the_printed_plan_fits_into_a_hundred_columns(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(LONG)
    shown = tacit("plan", str(tmp_path / "long.yaml"))
    assert max(map(len, shown.splitlines())) <= 100
    assert "…" not in shown
    for kind in ("prefix", "threshold", "local", "never released", "independent"):
        assert f" {kind} " in shown
    for said in (
        "Share of the budget left",
        "rewards a cell",
        "What it takes",
        "Advice",
        "(share-unused)",
        "secret numbers",
        "send it once",
        "its sums",
    ):
        assert said in shown.replace("\n", " ").replace("  ", " ")


def test_a_plan_for_a_spreadsheet_has_a_line_for_each_measure_with_unrounded_numbers(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(LONG)
    lines = list(csv.DictReader(tacit("plan", str(tmp_path / "long.yaml"), "--people", "123", "--format", "csv").splitlines()))
    rows = plan(configuration.parse(LONG), people=123)
    assert [line["measure"] for line in lines] == [row["measure"] for row in rows]
    for line, row in zip(lines, rows, strict=True):
        assert line["rho_pico"] == str(row["rho_pico"])
        assert line["sigma"] == ("" if row["mechanism"] is None else repr(row["sigma"]))


def test_help_names_what_can_be_assumed() -> None:
    shown = tacit("plan", "--help")
    for said in ("--people", "--contributions", "--format", "before anything is collected", "docs/plan.md"):
        assert said in shown


def test_the_worked_example_in_the_documentation_is_what_is_printed(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    declared, printed = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)[0] for kind in ("yaml", "text"))
    (tmp_path / "shop.yaml").write_text(declared)
    shown = tacit("plan", str(tmp_path / "shop.yaml"), "--people", "200000")
    assert [line.rstrip() for line in shown.strip().splitlines()] == printed.strip().splitlines()


def test_every_code_of_advice_is_explained() -> None:
    source = (DOCUMENT.parents[1] / "privacy" / "plan_advice.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source))
    assert len(codes) == 11
    assert codes == set(re.findall(r"^\| `([a-z]+(?:-[a-z]+)+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))


def test_a_line_for_tables_is_about_a_cell_as_it_is_read() -> None:
    lines = {row["measure"]: (brief(row), row) for row in plan(configuration.parse(LONG))}
    lost, _ = lines["lost"]
    assert (lost["noise"], lost["sd"], lost["epoch"], lost["error"]) == ("never released", None, None, None)
    terms, _ = lines["terms"]
    assert (terms["noise"], terms["epoch"], terms["error"]) == ("threshold", None, None)
    mood, row = lines["mood"]
    assert (mood["noise"], mood["sd"]) == ("local", row["local"]["window"]["sd"])
    often, row = lines["often"]
    assert (often["noise"], often["sd"], often["epoch"]) == ("prefix", row["window_sd"], row["half_width_95_epoch"])
