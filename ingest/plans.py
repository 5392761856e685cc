"""A site's declaration, compiled for the door: from an event's type and properties to `(purpose, measure, cell, value)`.

Only declared properties are looked at, and only to find a cell of a public domain; nothing else of an event gets past this module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tacit.core.declaration import BOOKKEEPING, REWARD, Dimension, Kind, Measure, Site, ValueRange

TRIAL = "trial"

Contribution = tuple[str, int, int, int]
"""Purpose, measure id, cell, value."""


class Refused(Exception):
    """The event cannot be counted; `code` says why, without repeating any of it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Column:
    """One open dimension: what each label, and everything else, adds to the cell number."""

    name: str
    offsets: Mapping[str, int]
    other: int

    def offset(self, value: object) -> int:
        """What a property's value adds. Labels are texts; whole numbers and booleans count as JSON writes them."""
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int):
            value = str(value)
        return self.offsets.get(value, self.other) if isinstance(value, str) else self.other


@dataclass(frozen=True, slots=True)
class Step:
    """One measure that a type of event feeds."""

    measure_id: int
    purpose: str
    columns: tuple[Column, ...]
    value: ValueRange | None

    def contribution(self, properties: Mapping[str, Any]) -> Contribution:
        """The measure's part of an event. Raises `Refused`."""
        cell = 0
        for column in self.columns:
            value = properties.get(column.name)
            # A string is the usual case, and this is the innermost loop.
            cell += column.offsets.get(value, column.other) if type(value) is str else column.offset(value)
        return (self.purpose, self.measure_id, cell, 1 if self.value is None else _clipped(properties, self.value))


@dataclass(frozen=True, slots=True)
class TrialStep:
    """A policy's or an audit's measure: its columns come from one object of the trial's properties."""

    measure_id: int
    purpose: str
    source: str
    columns: tuple[Column, ...]
    arms: Mapping[str, int]


class SitePlan:
    """Everything the door needs of one site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._steps: dict[str, list[Step]] = {}
        self._trials: dict[str, list[TrialStep]] = {}
        self.choices: Measure | None = None
        for measure in site.measures:
            match measure.kind:
                case Kind.POLICY | Kind.AUDIT:
                    self._trials.setdefault(measure.subject_of, []).append(_trial_step(measure))
                case Kind.CHOICES:
                    self.choices = measure
                case _:
                    step = Step(measure.id, measure.purpose, _columns(measure.dimensions, 1), measure.value)
                    self._steps.setdefault(measure.event, []).append(step)
        # Measures of one purpose stand together: the door hashes once for each run of them. A policy's own purpose speaks first.
        for steps in self._steps.values():
            order = list(dict.fromkeys(s.purpose for s in steps))
            steps.sort(key=lambda s: order.index(s.purpose))
        for trials in self._trials.values():
            own = next((t.purpose for t in trials if t.source == "context"), "")
            trials.sort(key=lambda t: (t.purpose != own, t.purpose, t.source))
        self.purposes = tuple(sorted({m.purpose for m in site.measures} | {BOOKKEEPING}))

    def contributions(self, kind: str, properties: Mapping[str, Any]) -> list[Contribution]:
        """What an event adds to which measures; empty where its type is not declared. Raises `Refused`."""
        steps = self._steps.get(kind)
        if steps is not None:
            return [step.contribution(properties) for step in steps]
        return self._trial(properties) if kind == TRIAL and self._trials else []

    def _trial(self, properties: Mapping[str, Any]) -> list[Contribution]:
        policy = properties.get("policy")
        steps = self._trials.get(policy) if type(policy) is str else None
        if steps is None:
            raise Refused("unknown_policy")
        arm, reward = properties.get("arm"), properties.get("reward")
        if type(reward) not in (bool, int) or reward not in (0, 1):
            raise Refused("bad_value")
        found = []
        for step in steps:
            offset = step.arms.get(arm) if type(arm) is str else None
            if offset is None:
                raise Refused("unknown_arm")
            described = properties.get(step.source)
            if described is None:
                described = {}
            elif type(described) is not dict:
                raise Refused("bad_value")
            cell = offset + int(reward)
            for column in step.columns:
                cell += column.offset(described.get(column.name))
            found.append((step.purpose, step.measure_id, cell, 1))
        return found


def _trial_step(measure: Measure) -> TrialStep:
    *described, arm, reward = measure.dimensions
    if reward != REWARD:
        raise AssertionError("a trial's last dimension is its reward")
    arms = {label: index * reward.size for index, label in enumerate(arm.labels)}
    source = "context" if measure.kind is Kind.POLICY else "groups"
    return TrialStep(measure.id, measure.purpose, source, _columns(tuple(described), arm.size * reward.size), arms)


def _columns(dimensions: tuple[Dimension, ...], stride: int) -> tuple[Column, ...]:
    """Offsets of each label; the last dimension varies fastest, above `stride` cells of what follows."""
    found = []
    for dimension in reversed(dimensions):
        offsets = {label: index * stride for index, label in enumerate(dimension.values)}
        found.append(Column(dimension.name, offsets, len(dimension.values) * stride))
        stride *= dimension.size
    return tuple(reversed(found))


def _clipped(properties: Mapping[str, Any], value: ValueRange) -> int:
    number = properties.get(value.field)
    if isinstance(number, bool) or not isinstance(number, int | float) or (isinstance(number, float) and not math.isfinite(number)):
        raise Refused("bad_value")
    return round(min(max(number, value.low), value.high))
