"""Whether a release is fit to be learned from: a Great Expectations suite over its cells.

Only what is published is looked at, so the answer is post-processing and reveals nothing more. Great Expectations is loaded inside the
function (8 s, 250 MB: sanitiser only), reports booleans only (its other formats quote values), and neither prints nor calls home.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from privacy.models import Release

if TYPE_CHECKING:
    import pandas

PLAUSIBLE_COUNT = 10**9
"""More contributions to one cell in one window than any site can send; public, so that checking against it reveals nothing."""

NOISE_SDS = 12.0
"""How far below the least possible count noise may reach: a Gaussian does so once in 10^32 cells."""


def check(release: Release) -> tuple[bool, dict[str, Any]]:
    """Whether the release may be used, and `{"passed", "checks": {name: bool}}`. No value of the release is in the answer."""
    length = release.measure.length if release.keys is None else len(release.keys)
    checks = _run_suite(_frame(release), length)
    passed = bool(checks) and all(checks.values())
    return passed, {"passed": passed, "checks": checks}


def _frame(release: Release) -> pandas.DataFrame:
    """One line for each published number: its cell, value, noise, and its distance from what is plausible (at most 0)."""
    import pandas as pd

    counts = release.measure.cells if release.keys is None else len(release.keys)
    values: Sequence[float | None] = release.values  # a broken release may hold anything
    lines = []
    for index, value in enumerate(values):
        is_sum = index >= counts
        sd = release.sum_sd if is_sum else release.sd
        low, high = _range(release, is_sum=is_sum)
        margin = NOISE_SDS * (sd or 0.0)
        beyond = None if value is None else max(low - margin - value, value - high - margin)
        cell = "|".join((*_labels(release, index - counts if is_sum else index), "sum" if is_sum else "count"))
        lines.append((cell, value, sd, beyond))
    return pd.DataFrame(lines, columns=["cell", "value", "sd", "beyond"])


def _labels(release: Release, index: int) -> Sequence[str]:
    if release.keys is not None:
        return release.keys[index : index + 1]
    return list(release.measure.labels(index).values()) if index < release.measure.cells else []


def _range(release: Release, *, is_sum: bool) -> tuple[int, int]:
    value = release.measure.value
    if not is_sum or value is None:
        return 0, PLAUSIBLE_COUNT
    return min(value.low, 0) * PLAUSIBLE_COUNT, max(value.high, 0) * PLAUSIBLE_COUNT


def _run_suite(frame: pandas.DataFrame, length: int) -> dict[str, bool]:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports modules that Python 3.11 deprecates
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

    expect: Any = gx.expectations  # its stubs export none of the names that its documentation gives
    suite = {
        "cells_complete": expect.ExpectTableRowCountToEqual(value=length),
        "cells_unique": expect.ExpectColumnValuesToBeUnique(column="cell"),
        "values_present": expect.ExpectColumnValuesToNotBeNull(column="value"),
        "noise_present": expect.ExpectColumnValuesToNotBeNull(column="sd"),
        "noise_positive": expect.ExpectColumnValuesToBeBetween(column="sd", min_value=0, strict_min=True),
        "values_plausible": expect.ExpectColumnValuesToBeBetween(column="beyond", max_value=0),
    }
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = context.data_sources.add_pandas("release").add_dataframe_asset("cells").add_batch_definition_whole_dataframe("all")
    found = batch.get_batch(batch_parameters={"dataframe": frame})
    return {name: bool(found.validate(one, result_format="BOOLEAN_ONLY").success) for name, one in suite.items()}
