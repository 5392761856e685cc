"""One line of the table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What was measured, what it came to, the goal, and whether it was met (None where there is no goal)."""

    what: str
    measured: str
    goal: str = ""
    met: bool | None = None
