"""Data-quality checks on what arrived in a window: a Great Expectations suite over its rows.

The result alerts the operator inside and is kept in the intake vault only; whether a release may be used is decided from the release
itself. Great Expectations is loaded inside the functions (sanitiser only), reports booleans only, and neither prints nor calls home.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, delete, insert

from ingest.tables import intake_quality
from tacit.core.clock import Clock
from tacit.core.db import writing
from tacit.core.declaration import Kind, Measure, Site

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas


def check(site: Site, columns: Mapping[str, npt.NDArray[Any]]) -> tuple[bool, list[str]]:
    """Whether a window's rows are as the declaration says, and the names of the checks that failed."""
    results = _run_suite(_frame(site, columns))
    failed = sorted(name for name, passed in results.items() if not passed)
    return not failed, failed


def record(engine: Engine, site: str, window_ms: int, result: tuple[bool, list[str]], clock: Clock) -> None:
    """Keep a window's result, in place of an earlier one."""
    passed, failed = result
    here = (intake_quality.c.site == site, intake_quality.c.window_ms == window_ms)
    values = {"site": site, "window_ms": window_ms, "passed": passed, "failed_checks": json.dumps(failed), "at_ms": clock.now_ms()}
    with writing(engine) as connection:
        connection.execute(delete(intake_quality).where(*here))
        connection.execute(insert(intake_quality).values(values))


def _frame(site: Site, columns: Mapping[str, npt.NDArray[Any]]) -> pandas.DataFrame:
    """One line a row: whether its measure is declared, and how far cell and value lie from what the measure allows (at most 0)."""
    import numpy as np
    import pandas as pd

    measure, cell, value = columns["measure"], columns["cell"].astype("int64"), columns["value"].astype("int64")
    declared = np.zeros(len(measure), dtype=bool)
    beyond_cell, beyond_value = np.zeros(len(measure), dtype="int64"), np.zeros(len(measure), dtype="int64")
    for one in site.measures:
        mine = measure == one.id
        declared |= mine
        if one.keys:
            continue  # cell and value are halves of a hash
        cells, low, high = _limits(one)
        beyond_cell[mine] = cell[mine] - (cells - 1)
        beyond_value[mine] = np.maximum(low - value[mine], value[mine] - high)
    named = (columns["p1"] != 0) | (columns["p2"] != 0)
    return pd.DataFrame({"declared": declared, "named": named, "beyond_cell": beyond_cell, "beyond_value": beyond_value})


def _limits(measure: Measure) -> tuple[int, int, int]:
    """How many cells a row may name, and between which values it may lie."""
    if measure.kind is Kind.TRANSITIONS:  # one end of a step and its moment
        return measure.dimensions[0].size, 0, 2**31 - 1
    return measure.cells, *((measure.value.low, measure.value.high) if measure.value else (1, 1))


def _run_suite(frame: pandas.DataFrame) -> dict[str, bool]:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    expect: Any = gx.expectations  # its stubs export none of the names that its documentation gives
    suite = {
        "measures_declared": expect.ExpectColumnValuesToBeInSet(column="declared", value_set=[True]),
        "people_present": expect.ExpectColumnValuesToBeInSet(column="named", value_set=[True]),
        "cells_inside": expect.ExpectColumnValuesToBeBetween(column="beyond_cell", max_value=0),
        "values_inside": expect.ExpectColumnValuesToBeBetween(column="beyond_value", max_value=0),
    }
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = context.data_sources.add_pandas("staged").add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    found = batch.get_batch(batch_parameters={"dataframe": frame})
    return {name: bool(found.validate(one, result_format="BOOLEAN_ONLY").success) for name, one in suite.items()}
