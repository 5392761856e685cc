"""Decisions from a bundle: a look-up and one hash for each gate and for the arm, nothing stored. The browser SDK computes exactly the same.

docs/evaluation.md is the specification; tests/cases has thousands of examples. In order: kill switch, state, schedule, targeting, trigger,
namespace, rollout, holdouts, weights. Whoever is stopped before the holdouts sees the default arm and is not counted.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import operator
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from adjust import expressions
from adjust.bundle import RUNNING, Payload
from adjust.cells import SEPARATOR
from adjust.draws import ONE, SPAN, Draw, anywhere, encoded, line, part, steps
from adjust.errors import UnknownPolicy
from adjust.values import text_of
from tacit.core.clock import from_iso
from tacit.core.declaration import HOLDOUT, OTHER

WEIGHTS, DEFAULT = "weights", "default"
"""Reasons of a counted decision: the cell has weights of its own, or has the policy's; the third one is `holdout`."""

KILLED, PAUSED, NOT_STARTED, ENDED = "killed", "paused", "not_started", "ended"
NOT_TARGETED, NOT_TRIGGERED, EXCLUDED, NOT_ROLLED_OUT = "not_targeted", "not_triggered", "excluded", "not_rolled_out"
"""Reasons of a decision that is not counted: everybody sees the default arm."""

_PREPARED_LIMIT = 200_000
_NOTHING: dict[str, Any] = {}

Answer = dict[str, Any]
_Context = Mapping[str, Any]
_Plan = tuple[list[bytes], list[Answer], Answer, Answer | None]
"""For one cell: borders between arms, the answer of each arm, of the holdout, and the one answer where the cell is not targeted."""
_Guard = Callable[[_Context, str | None, Mapping[str, Any] | None, int | None], Answer | None]
"""The answer where something stops the policy, None where its holdouts and weights decide."""
_Ready = tuple[
    _Guard | None, Callable[[_Context], Any], Mapping[Any, _Plan], Callable[[_Context], _Plan], Sequence[tuple[Draw, bytes]], Draw
]
"""A guard if there is anything to guard, what a context's plan is found by, the plans, what makes one, the holdouts' draws, the arms'."""


def number(policy: str, salt: str, unit: str) -> int:
    """The 32-bit number that decides for a unit."""
    return int.from_bytes(hashlib.sha256(f"{policy}\0{salt}\0".encode() + encoded(unit)).digest()[:4], "big")


class Decider:
    """One bundle, prepared for deciding. `killed` policies stand still whatever the bundle says."""

    def __init__(self, payload: Payload, killed: Collection[str] = ()) -> None:
        self.site: str = payload["site"]
        self.version: int = payload["version"]
        self.killed = frozenset(killed)
        self._payload = payload
        self._by_name: dict[str | None, _Ready] = {}
        zones: dict[str | None, list[str]] = {}
        for name, entry in payload["policies"].items():
            self._by_name[name] = _Policy(name, entry, payload, killed=entry.get("kill", False) or name in self.killed).ready
            zones.setdefault(entry["zone"], []).append(name)
        self._by_zone = {zone: self._zone(names) for zone, names in zones.items()}

    @classmethod
    def from_bundle(cls, payload: Payload) -> Decider:
        """The decider for a verified payload."""
        return cls(payload)

    def with_killed(self, killed: Collection[str]) -> Decider:
        """The same bundle with these policies, and no others, standing still by order of this process."""
        return self if self.killed == frozenset(killed) else Decider(self._payload, killed)

    def decide(
        self,
        policy: str | None = None,
        *,
        zone: str | None = None,
        context: Mapping[str, Any] | None = None,
        unit: str | None = None,
        signals: Mapping[str, Any] | None = None,
        now_ms: int | None = None,
    ) -> Answer:
        """`{policy, arm, parameters, propensity, cell, reason, bundle}`, and `"counted": false` where no trial may be sent.

        Unknown context keys are dropped. A trigger is looked at when `signals` are given. `propensity` is the exact probability of this arm
        in this cell among those that are counted, holdouts included. `now_ms` is the machine's time if left out. Raises `UnknownPolicy`.
        """
        ready = self._by_name.get(policy) if policy is not None else self._by_zone.get(zone)
        if ready is None:
            raise UnknownPolicy("the bundle has no such policy or zone")
        guard, key, plans, plan_of, holdouts, arm = ready
        if context is None:
            context = _NOTHING
        if guard is not None and (stopped := guard(context, unit, signals, now_ms)) is not None:
            return stopped
        try:
            borders, answers, held_out, stopped = plans[key(context)]
        except (KeyError, TypeError):
            borders, answers, held_out, stopped = plan_of(context)
        if stopped is not None:
            return stopped.copy()
        if unit is None:
            out = any(anywhere() < share for _, share in holdouts)
            return held_out.copy() if out else answers[bisect_right(borders, anywhere())].copy()
        try:
            place = unit.encode()
        except UnicodeEncodeError:
            place = encoded(unit)
        for draw, share in holdouts:
            taken = draw()
            taken.update(place)
            if taken.digest() < share:
                return held_out.copy()
        taken = arm()
        taken.update(place)
        return answers[bisect_right(borders, taken.digest())].copy()

    def _zone(self, names: Sequence[str]) -> _Ready:
        """Several policies of one zone: the first one that counts this decision; if none does, the first one's answer."""
        if len(names) == 1:
            return self._by_name[names[0]]

        def first_counted(context: _Context, unit: str | None, signals: Mapping[str, Any] | None, now_ms: int | None) -> Answer:
            stopped = []
            for name in names:
                answer = self.decide(name, context=context, unit=unit, signals=signals, now_ms=now_ms)
                if "counted" not in answer:
                    return answer
                stopped.append(answer)
            return stopped[0]

        return (first_counted, *self._by_name[names[0]][1:])


class _Policy:
    """One policy of a bundle, prepared. What `Decider.decide` works with is a plain tuple, because that is quickest to take apart."""

    def __init__(self, name: str, entry: Payload, payload: Payload, *, killed: bool) -> None:
        self._name, self._entry, self._version = name, entry, payload["version"]
        self._dimensions = [(key, frozenset(values)) for key, values in entry["context"].items()]
        self._targeting = expressions.targeting(entry["targeting"]) if entry.get("targeting") else None
        holdouts = entry.get("holdouts", [{"name": name, "share": entry["holdout"]}])
        self._held_out = 1 - math.prod(1 - int(one["share"] * SPAN) / SPAN for one in holdouts)
        self._by_values: dict[Any, _Plan] = {}
        self._key = operator.itemgetter(*entry["context"]) if entry["context"] else _no_values
        self._prepared: dict[tuple[str, bool], _Plan] = {}
        site = payload["site"]
        held = [(line(one["name"], site, ":holdout"), part(one["share"])) for one in holdouts if one["share"]]
        off = KILLED if killed else PAUSED if entry.get("state", RUNNING) != RUNNING else None
        guard = self._guard(off, site)
        self.ready: _Ready = (guard, self._key, self._by_values, self._plan, held, line(name, payload["salt"]))

    def _guard(self, off: str | None, site: str) -> _Guard | None:
        """What may stop the policy before its holdouts; most policies have nothing of it."""
        schedule = _schedule(self._entry.get("schedule"))
        trigger = expressions.trigger(self._entry["trigger"]) if self._entry["trigger"] else None
        doors = _doors(self._name, self._entry, site)
        if off is None and schedule is None and trigger is None and not doors:
            return None

        def guard(context: _Context, unit: str | None, signals: Mapping[str, Any] | None, now_ms: int | None) -> Answer | None:
            reason = off or (schedule(now_ms) if schedule is not None else None)
            if reason is not None:
                return self._stop(context, reason)
            if (stopped := self._plan(context)[3]) is not None:
                return stopped.copy()
            if signals is not None and trigger is not None and not trigger(signals):
                return self._stop(context, NOT_TRIGGERED)
            place = None if unit is None else encoded(unit)
            for draw, low, high, outside in doors:
                if not low <= _drawn(draw, place) < high:
                    return self._stop(context, outside)
            return None

        return guard

    def _plan(self, context: _Context) -> _Plan:
        """The plan of a context that was not met before or is not wholly of declared values; only what is declared is kept."""
        cell = self._cell(context)
        targeted = self._targeting is None or self._targeting({key: context.get(key) for key, _ in self._dimensions})
        plan = self._prepared.get((cell, targeted))
        if plan is None:
            if len(self._prepared) >= _PREPARED_LIMIT:
                self._prepared.clear()
                self._by_values.clear()
            plan = self._prepared[cell, targeted] = self._prepare(cell, targeted)
        if all(context.get(key).__class__ is str and context[key] in values for key, values in self._dimensions):
            self._by_values[self._key(context)] = plan
        return plan

    def _cell(self, context: _Context) -> str:
        texts = ((text_of(context.get(key)), values) for key, values in self._dimensions)
        return SEPARATOR.join(text if text is not None and text in values else OTHER for text, values in texts)

    def _prepare(self, cell: str, targeted: bool) -> _Plan:
        cumulative = self._entry["weights"].get(cell)
        common = {"cell": cell, "reason": DEFAULT if cumulative is None else WEIGHTS, "bundle": self._version}
        if cumulative is None:
            cumulative = self._entry["default"]
        treated = 1 - self._held_out
        answers = [
            {"policy": self._name, "arm": arm, "parameters": parameters, "propensity": (high - low) / ONE * treated} | common
            for (arm, parameters), (low, high) in zip(self._entry["arms"].items(), itertools.pairwise([0, *cumulative]), strict=True)
        ]
        shown = next(iter(self._entry["arms"].values()))
        held_out = {"policy": self._name, "arm": HOLDOUT, "parameters": shown, "propensity": self._held_out} | common | {"reason": HOLDOUT}
        return steps(cumulative), answers, held_out, None if targeted else self._stopped(cell, NOT_TARGETED)

    def _stop(self, context: _Context, reason: str) -> Answer:
        return self._stopped(self._cell(context), reason)

    def _stopped(self, cell: str, reason: str) -> Answer:
        arm, parameters = next(iter(self._entry["arms"].items()))
        found = {"policy": self._name, "arm": arm, "parameters": parameters, "propensity": 1.0, "cell": cell, "reason": reason}
        return found | {"bundle": self._version, "counted": False}


def _no_values(_context: _Context) -> str:
    """The key of every context where none is declared."""
    return ""


def _drawn(draw: Draw, place: bytes | None) -> bytes:
    if place is None:
        return anywhere()
    taken = draw()
    taken.update(place)
    return taken.digest()


def _doors(name: str, entry: Payload, site: str) -> list[tuple[Draw, bytes, bytes, str]]:
    """What lets people in: `[low, high)` of a line each, and the reason for those outside."""
    found = []
    if space := entry.get("namespace"):
        found.append((line(space["name"], site, ":namespace"), part(space["from"]), part(space["to"]), EXCLUDED))
    if (rollout := entry.get("rollout", 1)) < 1:
        found.append((line(name, site, ":rollout"), b"", part(rollout), NOT_ROLLED_OUT))
    return found


def _schedule(entry: Mapping[str, str | None] | None) -> Callable[[int | None], str | None] | None:
    if entry is None:
        return None
    start, stop = (from_iso(moment) if (moment := entry[name]) else None for name in ("start", "stop"))

    def reason(now_ms: int | None) -> str | None:
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        if start is not None and now < start:
            return NOT_STARTED
        return ENDED if stop is not None and now >= stop else None

    return reason
