"""Guardrails: what must not get worse while a policy runs. Crossing one pauses the policy, by itself.

A measure of the site is crossed where its mean per window over the newest windows is beyond its bound by three standard deviations of its
noise. A KPI is crossed where its always-valid interval lies wholly beyond what it may be worse than the default by, so that looking after
every window pauses a harmless policy in at most one of twenty experiments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from adjust.sequential import Sequential
from privacy.models import Release
from privacy.series import total
from tacit.core.declaration import Guardrail, Kpi, Measure

WINDOWS = 24
"""The newest windows that a measure's mean is taken over."""

CLEAR = 3.0
"""Standard deviations of noise by which a measure is beyond its bound."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One guardrail's state: the value that was looked at, its error, its bound, and whether it is crossed (None: cannot tell)."""

    name: str
    value: float | None
    sd: float | None
    bound: float
    crossed: bool | None

    def to_json(self) -> dict[str, Any]:
        """The public form."""
        return {"name": self.name, "value": self.value, "sd": self.sd, "bound": self.bound, "crossed": self.crossed}


def of_measure(guardrail: Guardrail, measure: Measure, releases: Sequence[Release]) -> Watched:
    """A guardrail on a measure of the site; `releases` are its own, oldest first."""
    used = [r for r in releases if r.usable is True and r.measure.id == measure.id][-WINDOWS:]
    summed = total(used)
    bound = guardrail.most if guardrail.most is not None else guardrail.least
    if bound is None:
        raise AssertionError("a guardrail has `min` or `max`")
    if summed is None:
        return Watched(guardrail.measure, None, None, bound, None)
    cells = _cells(guardrail, measure)
    value = sum(summed.values[cell] for cell in cells) / summed.windows
    sd = summed.sd * len(cells) ** 0.5 / summed.windows
    most, least = guardrail.most, guardrail.least
    crossed = (most is not None and value - CLEAR * sd > most) or (least is not None and value + CLEAR * sd < least)
    return Watched(guardrail.measure, value, sd, bound, crossed)


def of_kpi(kpi: Kpi, found: Iterable[Sequential]) -> Watched | None:
    """A guardrail on a KPI: its first comparison, the policy against its holdout where it has one. None where none is declared."""
    if kpi.guardrail is None:
        return None
    first = next(iter(found))
    if first.low is None or first.high is None or first.difference is None or first.information <= 0:
        return Watched(kpi.name, None, None, kpi.guardrail, None)
    worse = first.low > kpi.guardrail if not kpi.higher_is_better else first.high < -kpi.guardrail
    return Watched(kpi.name, first.difference, first.information**-0.5, kpi.guardrail, worse)


def _cells(guardrail: Guardrail, measure: Measure) -> list[int]:
    if guardrail.cell is None:
        return list(range(measure.cells))
    wanted = dict(guardrail.cell)
    return [i for i, labels in enumerate(measure.all_labels) if all(labels[name] == value for name, value in wanted.items())]
