"""The device's side of local mode, for files: exact events in, events with random cells out. Nothing exact is written anywhere.

A browser or an app does the same with the numbers that `GET /v1/measures` gives and the cases in `tests/cases/local.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ingest.columns import columns
from privacy.local import randomised
from tacit.core.declaration import Measure, Site
from tacit.core.errors import Problem


def randomise(path: Path, site: Site) -> Iterator[str]:
    """Lines of NDJSON with an event each; events that no local measure counts are refused, so that none slips through exact.

    Raises `Problem` with the number of the line.
    """
    local = {m.event: m for m in site.measures if m.local_epsilon is not None}
    if not local:
        raise Problem(f"{site.name} has no measure in local mode", next_step="Declare one with `local: {epsilon: 2}`.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read", next_step="Name a file with one event a line.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield json.dumps(_event(line, number, local), ensure_ascii=False)


def _event(line: str, number: int, local: Mapping[str, Measure]) -> dict[str, Any]:
    try:
        event: dict[str, Any] = json.loads(line)
        measure, properties = local[event["type"]], event.get("properties", {})
        if not isinstance(properties, dict):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise Problem(f"line {number} is not an event of a local measure", next_step=f"Such are {', '.join(sorted(local))}.") from None
    return event | {"properties": answered(measure, properties)}


def answered(measure: Measure, properties: Mapping[str, Any]) -> dict[str, Any]:
    """What the device reports in place of these properties: the labels of a random cell, and at which epsilon it was drawn."""
    epsilon = float(measure.local_epsilon or 0)
    cell = sum(column.offset(properties.get(column.name)) for column in columns(measure.dimensions))
    drawn = randomised(cell, measure.cells, epsilon)
    return {**measure.labels(drawn), "randomised": epsilon}
