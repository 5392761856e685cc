"""Why the gate would answer as it does, and what a request would record. Nothing is stored by either.

The gate decides in one look (`consent.gate.decide`); here the same decision is taken apart into the inputs it considers, in order. A test
holds the two to each other for every state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, Row

from consent import notices_store, standings, store
from consent.errors import UnknownPurpose
from consent.gate import Decision, Outcome, Reason, decide
from consent.hearing import Heard, hear
from consent.models import ConsentRequest, Signals, Standing, State
from consent.purposes import RULE_SHA256, RULE_VERSION, TERMS
from consent.rules import OPT_OUT_REGIME, PRESUMED_NECESSARY, Rules, basis_of
from consent.service import changes_of
from consent.signals.mapping import Effect
from consent.subjects import Subjects
from consent.weighing import Input, considered, decider, shown
from tacit.core.clock import Clock, iso
from tacit.core.db import reading
from tacit.core.declaration import FAIRNESS_AUDIT, PURPOSES
from tacit.core.mac import subject_bytes

NO_SIGNALS = Signals()

_OWN_WORD = (State.WITHDRAWN, State.OBJECTED, State.RESTRICTED)


class Explanations:
    """Reads what the gate and the service read, and says what comes of it."""

    def __init__(self, engine: Engine, subjects: Subjects, rules: Rules, clock: Clock) -> None:
        self._engine, self._subjects, self._rules, self._clock = engine, subjects, rules, clock

    def explain(
        self, site: str, id_type: str, subject: str, purposes: Sequence[str] | None = None, *, signals: Signals = NO_SIGNALS
    ) -> dict[str, Any]:
        """By purpose the outcome, the reason and every input in order, each with what it said and whether it decided.

        `signals` are those of a request that would come now. Raises `UnknownPurpose`, `StorageUnavailable`.
        """
        wanted = PURPOSES if purposes is None else purposes
        if not set(wanted) <= set(PURPOSES):
            raise UnknownPurpose
        rules, now_ms = self._rules.of(site), self._clock.now_ms()
        self._subjects.ring(site)
        with reading(self._engine) as connection:
            ring = self._subjects.held(site, connection)
            rows = store.current(connection, site, ring.pseudonyms(subject_bytes(id_type, subject)))
        stands = standings.of(rows, rules.with_keys(ring.versions), now_ms=now_ms)
        heard = hear(signals, id_type=id_type, now_ms=now_ms)
        answer: dict[str, Any] = {}
        for purpose in (p for p in PURPOSES if p in wanted):
            row, standing = rows.get(purpose), stands.get(purpose)
            inputs = inputs_of(purpose, standing, heard, now_ms=now_ms)
            decision = decision_of(standing, inputs, now_ms=now_ms)
            answer[purpose] = {
                "state": standings.said(row),
                "outcome": decision.outcome.value,
                "reason": str(decision.reason),
                "basis": basis_of(purpose, standing),
                **standings.times(row, rules, now_ms=now_ms),
                "record": _record(row),
                "inputs": shown(inputs),
            }
        return {"purposes": answer, "rules": rules.to_json(), "rule_version": RULE_VERSION, "rule_sha256": RULE_SHA256}

    def simulate(self, site: str, request: ConsentRequest) -> dict[str, Any]:
        """What `ConsentService.record` would record for a request now. Raises what that raises for a request it cannot read."""
        now_ms, rules = self._clock.now_ms(), self._rules.of(site)
        changes = changes_of(request, rules, now_ms=now_ms)
        with reading(self._engine) as connection:
            found = notices_store.standing(connection, site, request.notice)
        text = standings.TextStanding(found.registered, found.outdated)
        heard = hear(request.signals, id_type=request.id_type, now_ms=now_ms)
        decisions = []
        for change in text.rule(changes):
            inputs = considered(request, change.purpose, heard, rules.place(request.jurisdiction))
            inputs.append(_notice_input(outdated=found.outdated))
            decisions.append(
                {
                    "purpose": change.purpose,
                    "state": change.state.value,
                    "reason": change.cause.value,
                    "basis": TERMS[change.purpose].basis,
                    "expires_at": iso(change.expires_ms) if change.expires_ms is not None else None,
                    "inputs": shown(inputs),
                }
            )
        return {
            "decisions": decisions,
            "jurisdiction": request.jurisdiction,
            "rules_of": rules.place(request.jurisdiction).code,
            "notice": text.to_json(request.notice),
            "rule_version": RULE_VERSION,
            "rule_sha256": RULE_SHA256,
        }


def inputs_of(purpose: str, standing: Standing | None, heard: Sequence[Heard], *, now_ms: int) -> list[Input]:
    """What the gate considers for one purpose, in the order in which it decides. A signal never grants here."""
    inputs = [_own_word(standing)]
    inputs += [_signal(one, purpose) for one in heard]
    inputs += [_record_input(standing), _expiry(standing, now_ms=now_ms), _notice_input(outdated=_said(standing) == State.STALE)]
    inputs.append(_presumption("opt_out_regime", standing == OPT_OUT_REGIME))
    if purpose == FAIRNESS_AUDIT:
        inputs.append(_presumption("bias_detection", standing == PRESUMED_NECESSARY))
    if standing is None:  # signals take away; from somebody who has nothing they take nothing
        inputs = [replace(one, effect=Effect.SILENT) for one in inputs]
        inputs.append(Input("default", "nothing_is_presumed", Effect.REMOVES, Reason.NO_CONSENT.value))
    return inputs


def decision_of(standing: Standing | None, inputs: Sequence[Input], *, now_ms: int) -> Decision:
    """The decision that these inputs come to. A standing that the rules do not know is a gap, whatever else was said."""
    alone = decide(standing, gpc=False, now_ms=now_ms)
    if alone.outcome is Outcome.GAP:
        return alone
    place = decider(inputs)
    if place is None:
        return Decision(Outcome.DENY, Reason.NO_CONSENT)
    outcome = Outcome.ALLOW if inputs[place].effect is Effect.GRANTS else Outcome.DENY
    return Decision(outcome, inputs[place].code)


def _said(standing: Standing | None) -> str | None:
    return standing[0] if standing is not None else None


def _own_word(standing: Standing | None) -> Input:
    said = _said(standing)
    if said in _OWN_WORD:
        return Input("withdrawal", str(said), Effect.REMOVES, str(said))
    if standing is not None and decide(standing, gpc=False, now_ms=0).outcome is Outcome.GAP:
        return Input("withdrawal", "unknown_state", Effect.REMOVES, Reason.UNKNOWN_STATE.value)
    return Input("withdrawal", "none", Effect.SILENT, Reason.WITHDRAWN.value)


def _signal(one: Heard, purpose: str) -> Input:
    effect = one.effects[purpose]
    said = one.said if one.said != "read" else effect.value
    return Input(one.name, said, Effect.REMOVES if effect is Effect.REMOVES else Effect.SILENT, one.cause.value, one.details)


def _record_input(standing: Standing | None) -> Input:
    said = _said(standing)
    if said is None or standing in (OPT_OUT_REGIME, PRESUMED_NECESSARY):
        return Input("record", "none", Effect.SILENT, Reason.NO_CONSENT.value)
    if said in (State.GRANTED, State.STALE):
        return Input("record", "granted", Effect.GRANTS, Reason.GRANTED.value)
    return Input("record", said, Effect.REMOVES, said)


def _expiry(standing: Standing | None, *, now_ms: int) -> Input:
    if standing is None or standing[0] != State.GRANTED or standing[1] is None:
        return Input("expiry", "none", Effect.SILENT, Reason.EXPIRED.value)
    lapsed = standing[1] <= now_ms
    return Input("expiry", "lapsed" if lapsed else "holds", Effect.REMOVES if lapsed else Effect.SILENT, Reason.EXPIRED.value)


def _notice_input(*, outdated: bool) -> Input:
    effect = Effect.REMOVES if outdated else Effect.SILENT
    return Input("notice", "outdated" if outdated else "holds", effect, Reason.STALE.value)


def _presumption(name: str, holds: bool) -> Input:
    return Input(name, "presumed" if holds else "not_presumed", Effect.GRANTS if holds else Effect.SILENT, name)


def _record(row: Row[Any] | None) -> Mapping[str, Any] | None:
    if row is None:
        return None
    return {"at": iso(row.at_ms) if row.at_ms is not None else None, "jurisdiction": row.jurisdiction, "cause": row.cause}
