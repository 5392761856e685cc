"""Several inputs, one answer: the first that removes decides; where none does, the first that grants; else nothing is granted.

The same few lines make a record out of a request and explain the gate. Adding an input can therefore take a grant away and never make one,
unless it is one of the few that may grant at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from consent.ages import too_young
from consent.hearing import Heard
from consent.jurisdictions import Jurisdiction
from consent.models import Cause, Change, ConsentRequest, State
from consent.signals.mapping import Effect
from tacit.core.declaration import FAIRNESS_AUDIT, PURPOSES

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that was considered. `code` is the reason or the cause if it decides."""

    name: str
    said: str
    effect: Effect
    code: str
    details: tuple[str, ...] = ()

    def to_json(self, *, decided: bool) -> dict[str, Any]:
        """As it is explained."""
        details = {"details": list(self.details)} if self.details else {}
        return {"input": self.name, "said": self.said, "effect": self.effect.value, "decided": decided} | details


def decider(inputs: Sequence[Input]) -> int | None:
    """The place of the input that decides, or None when none says anything.

    >>> yes, no = (Input(name, "", effect, name) for name, effect in (("choice", Effect.GRANTS), ("gpc", Effect.REMOVES)))
    >>> decider([yes, no]), decider([yes]), decider([])
    (1, 0, None)
    """
    for wanted in (Effect.REMOVES, Effect.GRANTS):
        for place, one in enumerate(inputs):
            if one.effect is wanted:
                return place
    return None


def shown(inputs: Sequence[Input]) -> list[dict[str, Any]]:
    """All inputs in order, with the one that decided marked."""
    place = decider(inputs)
    return [one.to_json(decided=index == place) for index, one in enumerate(inputs)]


def considered(request: ConsentRequest, purpose: str, heard: Iterable[Heard], place: Jurisdiction) -> list[Input]:
    """What decides about one purpose of a request, in order. A signal grants only where the person was not asked, and never the audit."""
    asked = bool(request.purposes)
    inputs = [_choice(request.purposes.get(purpose)), _age(request, place)]
    for one in heard:
        effect = one.effects[purpose]
        if effect is Effect.GRANTS and (asked or purpose == FAIRNESS_AUDIT):
            inputs.append(Input(one.name, "grants", Effect.SILENT, one.cause.value, one.details))
        else:
            inputs.append(Input(one.name, one.said if one.said != "read" else effect.value, effect, one.cause.value, one.details))
    return inputs


def judged(
    request: ConsentRequest, heard: Sequence[Heard], place: Jurisdiction, *, presumed: Collection[str] = (), now_ms: int
) -> list[Change]:
    """The changes that a request makes: one for each purpose asked, or for each that the signals say something about.

    Of purposes that may be `presumed` of the silent, what removes is recorded without being asked: a person who sent an opt-out, or is too
    young, is not silent.
    """
    changes = []
    for purpose in PURPOSES:
        if request.purposes and purpose not in request.purposes and purpose not in presumed:
            continue
        if not request.purposes and all(one.effects[purpose] is Effect.SILENT for one in heard):
            continue
        inputs = considered(request, purpose, heard, place)
        decided = decider(inputs)
        if decided is not None:
            changes.append(_change(purpose, inputs[decided], place, now_ms=now_ms))
    return changes


def _change(purpose: str, one: Input, place: Jurisdiction, *, now_ms: int) -> Change:
    if one.effect is not Effect.GRANTS:
        return Change(purpose, State.REFUSED, Cause(one.code), None, one.details)
    return Change(purpose, State.GRANTED, Cause(one.code), now_ms + place.expiry_days[purpose] * _DAY_MS)


def _choice(answer: bool | None) -> Input:
    if answer is None:
        return Input("choice", "not_asked", Effect.SILENT, Cause.CHOICE.value)
    return Input("choice", "yes" if answer else "no", Effect.GRANTS if answer else Effect.REMOVES, Cause.CHOICE.value)


def _age(request: ConsentRequest, place: Jurisdiction) -> Input:
    if request.age_band is None:
        return Input("age", "unstated", Effect.SILENT, Cause.MINOR.value)
    if not too_young(request.age_band, place.minimum_age):
        return Input("age", "old_enough", Effect.SILENT, Cause.MINOR.value)
    if request.parental:
        return Input("age", "parental_authorisation", Effect.SILENT, Cause.MINOR.value)
    return Input("age", f"under_{place.minimum_age}", Effect.REMOVES, Cause.MINOR.value)
