"""A site's declaration, compiled for the door: from an event's type and properties to `(purpose, measure, cell, value)`.

Only declared properties are looked at: to find a cell of a public domain, or for the one text that a site counts undeclared. Nothing else
of an event gets past this module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ingest.columns import Column, columns
from ingest.events import Event
from ingest.spelling import normal_form
from tacit.core.declaration import BOOKKEEPING, REWARD, Kind, Measure, Site, ValueRange

TRIAL = "trial"
RANDOMISED = "randomised"
"""The property by which a device says that it has replaced its cells by random ones, and at which epsilon."""

Contribution = tuple[str, int, int | bytes, int]
"""Purpose, measure id, cell, value. In place of the cell the text, in normal form, where the values are not declared."""

_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_TENTH = timedelta(milliseconds=100)
_TENTHS = 2**31
"""The room for a moment in a row; it begins again after 6.8 years."""


class Refused(Exception):
    """The event cannot be counted; `code` says why, without repeating any of it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class CountStep:
    """One measure of declared cells that a type of event feeds: events, people, or a sum beside them."""

    measure_id: int
    purpose: str
    columns: tuple[Column, ...]
    value: ValueRange | None

    def contribution(self, event: Event) -> Contribution:
        """The measure's part of an event. Raises `Refused`."""
        cell, properties = 0, event.properties
        for column in self.columns:
            value = properties.get(column.name)
            # A string is the usual case, and this is the innermost loop.
            cell += column.offsets.get(value, column.other) if type(value) is str else column.offset(value)
        return (self.purpose, self.measure_id, cell, 1 if self.value is None else _clipped(properties, self.value))


@dataclass(frozen=True, slots=True)
class TransitionStep:
    """One measure of steps: where the person is, and when by the event's own clock. Which step it ends is found out with the window."""

    measure_id: int
    purpose: str
    column: Column

    def contribution(self, event: Event) -> Contribution:
        """The measure's part of an event."""
        cell = self.column.offset(event.properties.get(self.column.name))
        return (self.purpose, self.measure_id, cell, (event.at - _1970) // _TENTH % _TENTHS)


@dataclass(frozen=True, slots=True)
class KeyStep:
    """One measure of values that nobody declared."""

    measure_id: int
    purpose: str
    field: str
    max_bytes: int

    def contribution(self, event: Event) -> Contribution | None:
        """The measure's part of an event; none where the property is missing. Raises `Refused`."""
        if self.field not in event.properties:
            return None
        text = normal_form(event.properties[self.field], self.max_bytes)
        if text is None:
            raise Refused("bad_value")
        return (self.purpose, self.measure_id, text, 0)


Step = CountStep | TransitionStep | KeyStep


@dataclass(frozen=True, slots=True)
class Counted:
    """One type of event: what it feeds, and how its cells were randomised on the device, if they were."""

    steps: tuple[Step, ...]
    local_epsilon: Decimal | None


@dataclass(frozen=True, slots=True)
class TrialStep:
    """A policy's or an audit's measure: its columns come from one object of the trial's properties, an audit's strata from its context."""

    measure_id: int
    purpose: str
    source: str
    columns: tuple[Column, ...]
    arms: Mapping[str, int]
    strata: tuple[Column, ...] = ()
    outcome: Column | None = None
    """A KPI's: read from the trial's `outcomes`; a trial that does not say it is not counted for it."""

    def of_outcome(self, offset: int, properties: Mapping[str, Any]) -> Contribution | None:
        """What a trial adds to a KPI. Raises `Refused`."""
        outcomes = properties.get("outcomes")
        if outcomes is None or self.outcome is None:
            return None
        if type(outcomes) is not dict:
            raise Refused("bad_value")
        said = outcomes.get(self.outcome.name)
        if said is None:
            return None
        return (self.purpose, self.measure_id, offset + self.outcome.offset(int(said) if type(said) is bool else said), 1)


class SitePlan:
    """Everything the door needs of one site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._trials: dict[str, list[TrialStep]] = {}
        self.choices: Measure | None = None
        by_event: dict[str, list[Measure]] = {}
        for measure in site.measures:
            match measure.kind:
                case Kind.POLICY | Kind.AUDIT | Kind.KPI:
                    self._trials.setdefault(measure.subject_of, []).append(_trial_step(measure))
                case Kind.CHOICES:
                    self.choices = measure
                case _:
                    by_event.setdefault(measure.event, []).append(measure)
        self._counted = {event: _counted(measures) for event, measures in by_event.items()}
        # Measures of one purpose stand together, as in `_counted`. A policy's own purpose speaks first.
        for trials in self._trials.values():
            own = next((t.purpose for t in trials if t.source == "context"), "")
            trials.sort(key=lambda t: (t.purpose != own, t.purpose, t.source))
        self.purposes = tuple(sorted({m.purpose for m in site.measures} | {BOOKKEEPING}))

    def contributions(self, event: Event) -> list[Contribution]:
        """What an event adds to which measures; empty where nothing of it is measured. Raises `Refused`."""
        counted = self._counted.get(event.type)
        if counted is None:
            return self._trial(event.properties) if event.type == TRIAL and self._trials else []
        if counted.local_epsilon is not None or RANDOMISED in event.properties:
            _require_randomised(event.properties, counted.local_epsilon)
        return [made for step in counted.steps if (made := step.contribution(event)) is not None]

    def _trial(self, properties: Mapping[str, Any]) -> list[Contribution]:
        if RANDOMISED in properties:
            raise Refused("bad_value")
        policy = properties.get("policy")
        steps = self._trials.get(policy) if type(policy) is str else None
        if steps is None:
            raise Refused("unknown_policy")
        arm, reward = properties.get("arm"), properties.get("reward")
        if type(reward) not in (bool, int) or reward not in (0, 1):
            raise Refused("bad_value")
        found: list[Contribution] = []
        for step in steps:
            offset = step.arms.get(arm) if type(arm) is str else None
            if offset is None:
                raise Refused("unknown_arm")
            if step.outcome is not None:
                if (made := step.of_outcome(offset, properties)) is not None:
                    found.append(made)
                continue
            cell = offset + int(reward)
            for source, columns_ in ((step.source, step.columns), ("context", step.strata)):
                described = properties.get(source) if columns_ else None
                if described is None:
                    described = {}
                elif type(described) is not dict:
                    raise Refused("bad_value")
                for column in columns_:
                    cell += column.offset(described.get(column.name))
            found.append((step.purpose, step.measure_id, cell, 1))
        return found


def _counted(measures: Sequence[Measure]) -> Counted:
    local_epsilon = measures[0].local_epsilon
    if any(m.local_epsilon != local_epsilon for m in measures):
        raise AssertionError("one type of event cannot be randomised for one measure and not for another")
    order = list(dict.fromkeys(m.purpose for m in measures))
    # Measures of one purpose stand together: the door hashes once for each run of them.
    return Counted(tuple(_step(m) for m in sorted(measures, key=lambda m: order.index(m.purpose))), local_epsilon)


def _step(measure: Measure) -> Step:
    if measure.keys is not None:
        return KeyStep(measure.id, measure.purpose, measure.keys.field, measure.keys.max_bytes)
    if measure.kind is Kind.TRANSITIONS:
        origin = measure.dimensions[0]
        (column,) = columns([replace(origin, name=origin.name.removesuffix(".from"))])
        return TransitionStep(measure.id, measure.purpose, column)
    by_label = measure.local_epsilon is not None
    return CountStep(measure.id, measure.purpose, columns(measure.dimensions, bins_by_label=by_label), measure.value)


def _require_randomised(properties: Mapping[str, Any], local_epsilon: Decimal | None) -> None:
    """Raises `Refused` unless the event says that its cells are random exactly as the site declares it."""
    if local_epsilon is None:
        raise Refused("bad_value")
    said = properties.get(RANDOMISED)
    if type(said) not in (int, float) or Decimal(str(said)) != local_epsilon:
        raise Refused("not_randomised")


def _trial_step(measure: Measure) -> TrialStep:
    if measure.kind is Kind.KPI:
        arm, outcome = measure.dimensions
        arms = {label: index * outcome.size for index, label in enumerate(arm.labels)}
        return TrialStep(measure.id, measure.purpose, "outcomes", (), arms, outcome=columns([outcome])[0])
    *described, arm, reward = measure.dimensions
    if reward != REWARD:
        raise AssertionError("a trial's last dimension is its reward")
    arms = {label: index * reward.size for index, label in enumerate(arm.labels)}
    source = "context" if measure.kind is Kind.POLICY else "groups"
    every = columns(described, arm.size * reward.size)
    own = tuple(column for column in every if column.name not in measure.strata)
    strata = tuple(column for column in every if column.name in measure.strata)
    return TrialStep(measure.id, measure.purpose, source, own, arms, strata)


def _clipped(properties: Mapping[str, Any], value: ValueRange) -> int:
    number = properties.get(value.field)
    if isinstance(number, bool) or not isinstance(number, int | float) or (isinstance(number, float) and not math.isfinite(number)):
        raise Refused("bad_value")
    return round(min(max(number, value.low), value.high))
