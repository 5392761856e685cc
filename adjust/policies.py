"""Policies as versions with states: draft -> approved -> running <-> paused -> archived. `tacit.yaml` is the first source of each.

The invariant: nothing decides by a version that its own author approved; every change is in the history and in the evidence log.
What a version may change never alters what a released number means; the rest is changed in the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine

from adjust.bundle import RUNNING, Standing, floats
from adjust.control_store import ControlStore
from adjust.controls import Controls
from adjust.errors import FourEyes, PolicyState, Unchangeable, UnknownPolicy
from adjust.policy_store import PolicyStore, Version
from tacit.core.clock import Clock
from tacit.core.db import writing
from tacit.core.declaration import Policy, Site, policy_measure
from tacit.core.errors import InvalidRequest
from tacit.core.evidence import Entry, EvidenceLog, canonical
from tacit.core.policies import CHANGEABLE, changeable_of, changed, policy_faults, site_faults
from tacit.core.schema import PolicyConfig
from tacit.core.segments import inlined

DRAFT, APPROVED, PAUSED, ARCHIVED = "draft", "approved", "paused", "archived"
FILE = "file"
"""Author of what stands in tacit.yaml, which is under the operator's own review."""

ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Effective:
    """What the engine acts on for one policy."""

    policy: Policy
    standing: Standing
    controls: Controls
    version: int


class PolicyBook:
    """Every policy of the installation with its versions and orders."""

    def __init__(self, engine: Engine, evidence: EvidenceLog, clock: Clock) -> None:
        self._engine, self._evidence, self._clock = engine, evidence, clock
        self.store, self.controls = PolicyStore(engine), ControlStore(engine, clock)

    def declare(self, site: Site) -> None:
        """Make a version of whatever is new in the file, and let what was approved run. Done again it changes nothing."""
        for policy in site.policies.values():
            self._declare(site, policy)
            self._start(site.name, policy.name)

    def revision(self, site: Site) -> int:
        """Grows with every event and order of the site's policies."""
        return sum(self._revision(site.name, policy) for policy in site.policies)

    def effective(self, site: Site, policy: str) -> Effective:
        """The policy as its current version has it, and whether it runs."""
        declared, controls = site.policies[policy], self.controls.read(site.name, policy)
        versions = self.store.versions(site.name, policy)
        found = _current(versions, _measure_id(site.name, declared))
        state = found.state if found else DRAFT
        if controls.paused is not None and state == RUNNING:
            state = PAUSED
        standing = Standing(state, controls.killed, self._revision(site.name, policy))
        current = declared if found is None else _changed(declared, found.config)
        if controls.max_step is None:
            controls = replace(controls, max_step=current.max_step)
        return Effective(current, standing, controls, found.version if found else 0)

    def draft(self, site: Site, policy: str, changes: Mapping[str, Any], *, actor: str, note: str = "") -> Version:
        """A new version, which waits for somebody else's approval. Raises `Unchangeable`, `InvalidRequest` or `UnknownPolicy`."""
        declared = _declared(site, policy)
        now = self.effective(site, policy).policy
        if "targeting" in changes:
            changes = {**changes, "targeting": inlined(changes["targeting"], site.segments)}
        wanted = _checked(now, changes)
        self._check(site, wanted)
        with self._change(site.name, policy) as change:
            version = change.new(changeable_of(wanted), _measure_id(site.name, declared), author=actor, state=DRAFT)
            change.note(actor, "drafted", version, note)
        return version

    def approve(self, site: Site, policy: str, *, actor: str, version: int | None = None, note: str = "") -> Version:
        """Let a draft run, from the next bundle on. Raises `FourEyes` for its author, `PolicyState` where there is no such draft."""
        declared = _declared(site, policy)
        with self._change(site.name, policy) as change:
            found = change.find(version, DRAFT)
            if found.author == actor:
                raise FourEyes("whoever made a version cannot approve it")
            if found.measure_id != _measure_id(site.name, declared):
                raise PolicyState("tacit.yaml has changed what this policy counts since this version was made")
            self._check(site, _changed(declared, found.config))
            change.move(found, APPROVED, approved_by=actor)
            change.note(actor, "approved", found, note)
        return found

    def pause(self, site: Site, policy: str, *, actor: str, note: str = "") -> None:
        """Show everybody the default arm. Raises `PolicyState` where nothing runs."""
        _declared(site, policy)
        with self._change(site.name, policy) as change:
            found = change.find(None, RUNNING, APPROVED)
            change.move(found, PAUSED)
            change.note(actor, "paused", found, note)

    def resume(self, site: Site, policy: str, *, actor: str, note: str = "") -> None:
        """Let a paused policy run again, whoever paused it. Raises `PolicyState` where nothing is paused."""
        _declared(site, policy)
        ordered = self.controls.read(site.name, policy).paused is not None
        with self._change(site.name, policy) as change:
            found = change.find(None, PAUSED, *((RUNNING,) if ordered else ()))
            if ordered:
                self.controls.put(site.name, policy, "paused", None, actor=actor, reason=note, connection=change.connection)
            if found.state == PAUSED:
                change.move(found, RUNNING)
            change.note(actor, "resumed", found, note)

    def archive(self, site: Site, policy: str, *, actor: str, note: str = "") -> None:
        """Take a policy out of service: every version that still could run. Raises `PolicyState` where it is archived already."""
        _declared(site, policy)
        with self._change(site.name, policy) as change:
            open_ones = [one for one in change.versions if one.state != ARCHIVED]
            if not open_ones:
                raise PolicyState("the policy is archived already")
            for one in open_ones:
                change.move(one, ARCHIVED)
            change.note(actor, "archived", open_ones[0], note)

    def roll_back(self, site: Site, policy: str, version: int, *, actor: str, note: str = "") -> Version:
        """Let an earlier version that somebody has approved run again, as a new one. Raises `PolicyState`."""
        declared = _declared(site, policy)
        with self._change(site.name, policy) as change:
            old = next((one for one in change.versions if one.version == version), None)
            if old is None or old.approved_by is None:
                raise PolicyState("there is no such version that was approved")
            if old.measure_id != _measure_id(site.name, declared):
                raise PolicyState("tacit.yaml has changed what this policy counts since this version was made")
            self._check(site, _changed(declared, old.config))
            new = change.new(old.config, old.measure_id, author=actor, state=APPROVED, approved_by=old.approved_by)
            change.note(actor, "rolled_back", new, f"to version {version}. {note}".strip())
        return new

    def order(self, site: Site, policy: str, key: str, value: Any, *, actor: str, note: str = "") -> None:
        """Give or lift a standing order, with its evidence. Raises `InvalidRequest`."""
        _declared(site, policy)
        with self._change(site.name, policy) as change:
            self.controls.put(site.name, policy, key, value, actor=actor, reason=note, connection=change.connection)
            self._evidence.append(
                [Entry("policy.ordered", site.name, {"policy": policy, "key": key, "value": value, "by": actor, "note": note})],
                change.connection,
            )

    def _revision(self, site: str, policy: str) -> int:
        return self.store.revision(site, policy) + self.controls.revision(site, policy)

    def _declare(self, site: Site, policy: Policy) -> None:
        config, measure_id = changeable_of(policy), _measure_id(site.name, policy)
        last = next((one for one in self.store.versions(site.name, policy.name) if one.author == FILE), None)
        if last is not None and (last.sha256, last.measure_id) == (_sha256(config), measure_id):
            return
        with self._change(site.name, policy.name) as change:
            waiting = [DRAFT, None] if policy.approval else [APPROVED, FILE]
            made = change.new(config, measure_id, author=FILE, state=str(waiting[0]), approved_by=waiting[1])
            change.note(FILE, "declared", made, "")

    def _start(self, site: str, policy: str) -> None:
        """The newest approved version runs, or stays paused where its predecessor was; those before it are archived."""
        if not any(one.state == APPROVED for one in self.store.versions(site, policy)):
            return
        with self._change(site, policy) as change:
            found = next((one for one in change.versions if one.state == APPROVED), None)
            if found is None:
                return  # another process was quicker
            before = [one for one in change.versions if one.version != found.version and one.state in (RUNNING, PAUSED, APPROVED)]
            state = PAUSED if any(one.state == PAUSED for one in before) else RUNNING
            for one in before:
                change.move(one, ARCHIVED)
            change.move(found, state)
            change.note(ENGINE, "started" if state == RUNNING else "paused", found, "" if state == RUNNING else "as the version before it")

    def _check(self, site: Site, wanted: Policy) -> None:
        """Raises `InvalidRequest` for faults of a policy beside its site and the other policies as they stand now."""
        others = {name: self.effective(site, name).policy for name in site.policies if name != wanted.name}
        faults = [*policy_faults(wanted, site.measures), *site_faults(others | {wanted.name: wanted})]
        if faults:
            raise InvalidRequest("the policy cannot be like this", errors=[_fault(f.path.split("."), f.detail) for f in faults])

    @contextmanager
    def _change(self, site: str, policy: str) -> Iterator[_Change]:
        with writing(self._engine) as connection:
            yield _Change(self.store, self._evidence, connection, site, policy, self._clock.now_ms())


class _Change:
    """One transaction over one policy."""

    def __init__(self, store: PolicyStore, evidence: EvidenceLog, connection: Connection, site: str, policy: str, at_ms: int) -> None:
        self._store, self._evidence, self.connection = store, evidence, connection
        self._site, self._policy, self._at_ms = site, policy, at_ms
        self.versions = store.versions(site, policy, connection)

    def new(self, config: Mapping[str, Any], measure_id: int, *, author: str, state: str, approved_by: str | None = None) -> Version:
        number = self.versions[0].version + 1 if self.versions else 1
        made = Version(self._policy, number, config, _sha256(config), measure_id, author, self._at_ms, state, approved_by)
        self._store.add(self._site, made, self.connection)
        return made

    def find(self, version: int | None, *states: str) -> Version:
        """The named version or the newest one in one of these states. Raises `PolicyState`."""
        fitting = (one for one in self.versions if one.state in states and version in (None, one.version))
        found = next(fitting, None)
        if found is None:
            raise PolicyState(f"no version of this policy is {' or '.join(states)}")
        return found

    def move(self, version: Version, state: str, *, approved_by: str | None = None) -> None:
        self._store.move(self._site, version, state, self.connection, approved_by=approved_by)

    def note(self, actor: str, action: str, version: Version, note: str) -> None:
        """Into the history and the evidence log."""
        self._store.note(
            self._site, self._policy, self.connection, at_ms=self._at_ms, actor=actor, action=action, version=version.version, note=note
        )
        body = {"policy": self._policy, "version": version.version, "sha256": version.sha256, "by": actor, "note": note}
        self._evidence.append([Entry(f"policy.{action}", self._site, body)], self.connection)


def _current(versions: list[Version], measure_id: int) -> Version | None:
    """The version that runs or is paused; else the newest that stood in the file or was approved, since everybody sees its default arm.

    Only those that count what is counted now.
    """
    seen = [one for one in versions if one.measure_id == measure_id and (one.author == FILE or one.approved_by is not None)]
    return next((one for one in seen if one.state in (RUNNING, PAUSED)), seen[0] if seen else None)


def _fault(path: Iterable[str | int], detail: str) -> dict[str, str]:
    """A fault of a draft, its place as a JSON pointer into the request."""
    return {"pointer": "/".join(["/config", *map(str, path)]), "detail": detail}


def _checked(now: Policy, changes: Mapping[str, Any]) -> Policy:
    if fixed := set(changes) - set(CHANGEABLE):
        if known := sorted(fixed & set(PolicyConfig.model_fields)):
            raise Unchangeable(f"a version cannot change {', '.join(known)}")
        raise Unchangeable(f"a version has {', '.join(CHANGEABLE)}", next_step="Check the spelling of the keys under `config`.")
    try:
        wanted = changed(now, changes)
    except ValidationError as error:
        faults = [_fault(e["loc"], e["msg"]) for e in error.errors(include_url=False, include_input=False)]
        raise InvalidRequest("the policy cannot be like this", errors=faults) from None
    if list(wanted.arms) != list(now.arms):
        raise Unchangeable("a version cannot change which arms there are")
    if bool(wanted.holdout) != bool(now.holdout):
        raise Unchangeable("a version cannot begin or end a holdout")
    return wanted


def _changed(declared: Policy, config: Mapping[str, Any]) -> Policy:
    """The declared policy with a stored version's values; its arms stay in the declared order.

    Canonical JSON writes 1.0 as 1: what the declaration has as a float stays one.
    """
    numbers = floats(declared.arms)
    arms = {name: {key: float(value) if key in numbers else value for key, value in config["arms"][name].items()} for name in declared.arms}
    return changed(declared, dict(config) | {"arms": arms})


def _declared(site: Site, policy: str) -> Policy:
    found = site.policies.get(policy)
    if found is None:
        raise UnknownPolicy("the site declares no such policy")
    return found


def _measure_id(site: str, policy: Policy) -> int:
    return policy_measure(site, policy).id


def _sha256(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(dict(config))).hexdigest()
