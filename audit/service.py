"""What people do about findings. Each step is one transaction: the finding, its history, its line in the evidence log, the kept answer.

The invariant: nobody can close a finding alone. Two different keys sign the same decision, and any other decision needs both anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine

from audit import findings_store as store
from audit.errors import (
    FindingChanged,
    FindingState,
    NotVerifiedYet,
    SignaturesMissing,
    SignedAlready,
    UnknownAssignee,
    UnknownFinding,
)
from audit.findings import ALLOWED, SIGNATURES, Action, Finding, Signature, State
from audit.ports import Change, Corrections, Price, change_json
from tacit.core import idempotency
from tacit.core.access import RESPONSIBLE, Caller
from tacit.core.clock import Clock, iso
from tacit.core.db import reading, writing
from tacit.core.declaration import Declaration
from tacit.core.errors import InvalidRequest, Unauthenticated
from tacit.core.evidence import EvidenceLog

ACCEPTED_FOR_MS = 90 * 86_400_000
"""For how long an accepted difference does not open its finding again, where nobody says."""
LONGEST_ACCEPTANCE_MS = 366 * 86_400_000


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks for a step on which site, for which version of the finding (None: any), and under which idempotency key."""

    caller: Caller
    site: str
    version: int | None = None
    key: str | None = None


_Step = Callable[[Finding, Connection], tuple[Finding, dict[str, Any]]]
"""From the finding as it is to the finding as it will be, and what history says of it."""


class Findings:
    """The findings of a released vault, as people work on them."""

    def __init__(
        self,
        engine: Engine,
        evidence: EvidenceLog,
        corrections: Corrections,
        who_is: Callable[[str], Caller],
        declaration: Declaration,
        clock: Clock,
    ) -> None:
        """`who_is` finds the caller behind a key's id and raises `Unauthenticated` for none."""
        self._engine, self._evidence, self._corrections, self._clock = engine, evidence, corrections, clock
        self._who_is, self._declaration = who_is, declaration

    def get(self, site: str, finding_id: str) -> dict[str, Any]:
        """A finding with its history. Raises `UnknownFinding`."""
        with reading(self._engine) as connection:
            return _shown(connection, self._find(connection, site, finding_id))

    def price(self, site: str, finding_id: str, change: Change) -> Price:
        """What a correction would cost. Nothing is changed. Raises `UnknownFinding` and what the engine refuses with."""
        with reading(self._engine) as connection:
            finding = self._find(connection, site, finding_id)
        return self._corrections.price(site, self._policy_of(finding), change)

    def assign(
        self, asking: Asking, finding_id: str, *, assignee: str | None = None, due_ms: int | None = None, note: str | None = None
    ) -> dict[str, Any]:
        """Make somebody responsible: the caller, or another officer's or admin's key. Raises `UnknownAssignee`."""
        named = self._assignee(asking, assignee or asking.caller.key_id)
        now_ms = self._clock.now_ms()
        if due_ms is not None and due_ms <= now_ms:
            raise InvalidRequest("`due` lies in the past")

        def step(finding: Finding, _connection: Connection) -> tuple[Finding, dict[str, Any]]:
            changed = replace(finding, state=State.ASSIGNED.value, assignee=named)
            if due_ms is not None:
                changed = replace(changed, due_ms=due_ms, overdue_ms=None)
            return changed, {"assignee": named, "due_at": iso(changed.due_ms)}

        return self._take(asking, finding_id, Action.ASSIGN, step, note, {"assignee": named, "due_ms": due_ms})

    def accept(self, asking: Asking, finding_id: str, *, note: str, until_ms: int | None = None) -> dict[str, Any]:
        """The difference stands and somebody says why. It opens the finding again when the term is over, if it is still there."""
        now_ms = self._clock.now_ms()
        until = until_ms if until_ms is not None else now_ms + ACCEPTED_FOR_MS
        if not now_ms < until <= now_ms + LONGEST_ACCEPTANCE_MS:
            raise InvalidRequest("`until` lies within the coming year")

        def step(finding: Finding, _connection: Connection) -> tuple[Finding, dict[str, Any]]:
            return self._decided(finding, State.ACCEPTED, accepted_until_ms=until), {"accepted_until": iso(until)}

        return self._take(asking, finding_id, Action.ACCEPT, step, note, {"until_ms": until_ms})

    def dismiss(self, asking: Asking, finding_id: str, *, note: str) -> dict[str, Any]:
        """It is no finding, and somebody says why."""

        def step(finding: Finding, _connection: Connection) -> tuple[Finding, dict[str, Any]]:
            return self._decided(finding, State.DISMISSED), {}

        return self._take(asking, finding_id, Action.DISMISS, step, note, {})

    def correct(self, asking: Asking, finding_id: str, change: Change, *, note: str | None = None) -> dict[str, Any]:
        """Have the engine change the policy; what it costs is on record beside it. The next scan verifies.

        Raises what the engine refuses with, and then nothing has changed.
        """

        def step(finding: Finding, connection: Connection) -> tuple[Finding, dict[str, Any]]:
            policy = self._policy_of(finding)
            price = self._corrections.price(finding.site, policy, change).to_json()
            self._corrections.act(finding.site, policy, change, actor=asking.caller.key_id, finding=finding.id, connection=connection)
            done = {"change": change_json(change), "price": price, "at": iso(self._clock.now_ms())}
            return self._decided(finding, State.CORRECTED, correction=done | {"verification": None}), done

        return self._take(asking, finding_id, Action.CORRECT, step, note, {"change": change_json(change)})

    def comment(self, asking: Asking, finding_id: str, *, note: str) -> dict[str, Any]:
        """Say something. The finding stays as it is."""
        return self._take(asking, finding_id, Action.COMMENT, lambda finding, _: (finding, {}), note, {})

    def sign(self, asking: Asking, finding_id: str, *, note: str | None = None) -> dict[str, Any]:
        """Sign the decision off. Raises `SignedAlready` for a key that has."""

        def step(finding: Finding, _connection: Connection) -> tuple[Finding, dict[str, Any]]:
            if asking.caller.key_id in {s.key for s in finding.signatures}:
                raise SignedAlready
            if len(finding.signatures) >= SIGNATURES:
                raise FindingState("two people have signed already", next_step="Close it.")
            signature = Signature(asking.caller.key_id, asking.caller.role.value, self._clock.now_ms())
            signed = replace(finding, signatures=(*finding.signatures, signature))
            return signed, {"decision": finding.state, "signatures": [s.to_json() for s in signed.signatures]}

        return self._take(asking, finding_id, Action.SIGN, step, note, {})

    def close(self, asking: Asking, finding_id: str, *, note: str | None = None) -> dict[str, Any]:
        """End a finding that two people have signed. Raises `SignaturesMissing`, and `NotVerifiedYet` for an unverified correction."""

        def step(finding: Finding, _connection: Connection) -> tuple[Finding, dict[str, Any]]:
            if len({s.key for s in finding.signatures}) < SIGNATURES:
                raise SignaturesMissing(f"{len(finding.signatures)} of {SIGNATURES} have signed")
            verification = (finding.correction or {}).get("verification")
            if finding.state == State.CORRECTED and verification is None:
                raise NotVerifiedYet
            detail = {"decision": finding.state, "signed_by": [s.key for s in finding.signatures], "verification": verification}
            return replace(finding, state=State.CLOSED.value, closed_ms=self._clock.now_ms()), detail

        return self._take(asking, finding_id, Action.CLOSE, step, note, {})

    def reopen(self, asking: Asking, finding_id: str, *, note: str) -> dict[str, Any]:
        """Take a decision back. Signatures under it are void, and somebody has as long as for a new finding."""

        def step(finding: Finding, _connection: Connection) -> tuple[Finding, dict[str, Any]]:
            terms = self._declaration.sites[finding.site].audits.get(finding.audit)
            wait_ms = terms.terms.due_ms(finding.verdict) if terms else finding.due_ms - finding.opened_ms
            back = replace(
                finding,
                state=State.REOPENED.value,
                reopened=finding.reopened + 1,
                due_ms=self._clock.now_ms() + wait_ms,
                decided_ms=None,
                closed_ms=None,
                accepted_until_ms=None,
                overdue_ms=None,
                signatures=(),
            )
            return back, {"decision_before": finding.state}

        return self._take(asking, finding_id, Action.REOPEN, step, note, {})

    def _take(
        self, asking: Asking, finding_id: str, action: Action, step: _Step, note: str | None, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        """One step. Raises `UnknownFinding`, `FindingChanged`, `FindingState`, `KeyReused`."""
        asked = {"finding": finding_id, "action": action.value, "note": note, "version": asking.version, **request}
        with writing(self._engine) as connection:
            finding = self._find(connection, asking.site, finding_id, lock=True)
            if asking.key is not None:
                answer = idempotency.earlier(connection, asking.caller.key_id, asking.key, asked)
                if answer is not None:
                    return answer
            if asking.version is not None and asking.version != finding.version:
                raise FindingChanged(f"it is at version {finding.version}")
            if finding.state not in ALLOWED[action]:
                raise FindingState(f"it is {finding.state}, and cannot be {_PAST[action]}")
            now_ms = self._clock.now_ms()
            changed, detail = step(finding, connection)
            changed = replace(changed, version=finding.version + 1)
            store.write(connection, changed)
            store.record(
                connection, self._evidence, changed, _PAST[action], actor=asking.caller.key_id, at_ms=now_ms, note=note, detail=detail
            )
            answer = _shown(connection, changed)
            if asking.key is not None:
                idempotency.keep(connection, asking.caller.key_id, asking.key, asked, answer, now_ms=now_ms)
        return answer

    def _find(self, connection: Connection, site: str, finding_id: str, *, lock: bool = False) -> Finding:
        found = store.find(connection, site, finding_id, lock=lock)
        if found is None:
            raise UnknownFinding
        return found

    def _decided(self, finding: Finding, state: State, **values: Any) -> Finding:
        fresh: dict[str, Any] = {"accepted_until_ms": None, "correction": None}
        return replace(finding, state=state.value, decided_ms=self._clock.now_ms(), signatures=(), **(fresh | values))

    def _assignee(self, asking: Asking, key_id: str) -> str:
        try:
            found = self._who_is(key_id)
        except Unauthenticated:
            raise UnknownAssignee from None
        if found.role not in RESPONSIBLE or found.site not in ("*", asking.site):
            raise UnknownAssignee
        return found.key_id

    def _policy_of(self, finding: Finding) -> str:
        audit = self._declaration.sites[finding.site].audits.get(finding.audit)
        if audit is None:
            raise FindingState(f"the audit {finding.audit} is not declared any more", next_step="Accept or dismiss the finding.")
        return audit.policy


_PAST = {
    Action.ASSIGN: "assigned",
    Action.ACCEPT: "accepted",
    Action.CORRECT: "corrected",
    Action.DISMISS: "dismissed",
    Action.COMMENT: "commented",
    Action.SIGN: "signed",
    Action.CLOSE: "closed",
    Action.REOPEN: "reopened",
}


def _shown(connection: Connection, finding: Finding) -> dict[str, Any]:
    return finding.to_json() | {"history": [event.to_json() for event in store.events(connection, finding.id)]}
