from __future__ import annotations

import json

import numpy as np
import pytest
from sqlalchemy import select

from ingest import quality
from ingest.tables import intake_quality
from tacit.core.db import reading
from tests.ingest.world import DECLARATION, SITE, measure_id

pytestmark = pytest.mark.filterwarnings("ignore")  # Great Expectations and what it loads warn about themselves


def test_rows_as_the_door_makes_them_pass_and_others_name_what_is_wrong(world):
    world.grant("ada")
    world.send(world.event("1", category="news"), world.event("2", "dwell", zone="hero", seconds=300))
    world.later()
    [window] = world.windows()
    columns = dict(world.source.contributions(window).columns)
    site = DECLARATION.sites[SITE]
    assert quality.check(site, columns) == (True, [])
    assert quality.check(site, columns | {"cell": np.full_like(columns["cell"], 9999)}) == (False, ["cells_inside"])
    assert quality.check(site, columns | {"value": np.full_like(columns["value"], 500)}) == (False, ["values_inside"])
    assert quality.check(site, columns | {"measure": columns["measure"] + 1}) == (False, ["measures_declared"])
    empty = {name: column[:0] for name, column in columns.items()}
    assert quality.check(site, empty) == (True, [])
    for result in ((False, ["cells_inside"]), (True, [])):
        quality.record(world.engine, SITE, window.start_ms, result, world.clock)
    with reading(world.engine) as connection:
        [row] = connection.execute(select(intake_quality)).all()
    assert (row.passed, json.loads(row.failed_checks)) == (True, [])


def test_rows_of_every_kind_pass_and_texts_beside_them_are_no_rows(world):
    world.grant("ada", measurement=True, personalisation=True)
    world.send(
        world.event("1", "search", term="a text of more than one piece", results=3),
        world.event("2", "move", place="cellar"),
        world.event("3", "scroll", depth=80, category="tech"),
        world.event("4", "mood", answer="bad", randomised=0.1),
        world.event("5", "tag", term="tax"),
    )
    world.later()
    [window] = world.windows()
    columns = dict(world.source.contributions(window).columns)
    site = DECLARATION.sites[SITE]
    assert len(columns["m"]) == 7
    assert quality.check(site, columns) == (True, [])
    moves = columns["measure"] == measure_id("moves")
    assert quality.check(site, columns | {"cell": np.where(moves, 4, columns["cell"])}) == (False, ["cells_inside"])
    assert quality.check(site, columns | {"value": np.where(moves, -1, columns["value"])}) == (False, ["values_inside"])
