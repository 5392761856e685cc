"""What `tacit.yaml` says about policies: checked against the rest of its site, and made into `Policy` values.

A part of a policy may be changed while it runs (`CHANGEABLE`), because no released number changes its meaning by it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tacit.core.clock import iso
from tacit.core.declaration import Dimension, Guardrail, Holdout, Kind, Kpi, Measure, Namespace, Policy, Schedule
from tacit.core.expressions import COMBINATORS, Fault, targeting_faults, trigger_faults
from tacit.core.schema import KpiConfig, PolicyConfig, ScheduleConfig, duration_text

CHANGEABLE: Final = (
    "arms",
    "trigger",
    "targeting",
    "rollout",
    "namespace",
    "schedule",
    "holdout",
    "explore",
    "learner",
    "factors",
    "transitions",
    "max_step",
    "verdict_after",
    "guardrails",
)
"""Keys of a policy that a new version may change. Of `arms` only the parameters, of `holdout` not whether there is one."""

REMEDY: Final = "docs/evaluation.md has the whole language"


def policy_from(name: str, config: PolicyConfig, holdouts: Mapping[str, float]) -> Policy:
    """The policy that a configuration describes; `holdouts` are the site's."""
    return Policy(
        name=name,
        zone=config.zone,
        purpose=config.purpose,
        arms=config.arms,
        context=tuple(Dimension(key, tuple(values)) for key, values in config.context.items()),
        reward_event=config.reward.event,
        reward_within_ms=config.reward.within,
        learner=config.learner,
        explore=config.explore,
        holdout=config.holdout,
        share=config.share,
        trigger=config.trigger,
        targeting=config.targeting,
        rollout=config.rollout,
        namespace=Namespace(config.namespace.name, config.namespace.low, config.namespace.high) if config.namespace else None,
        holdouts=tuple(Holdout(one, share) for one, share in holdouts.items()),
        schedule=_schedule(config.schedule) if config.schedule else None,
        max_step=config.max_step,
        guardrails=tuple(Guardrail(one.measure, one.cell, one.least, one.most) for one in config.guardrails),
        approval=config.approval == "required",
        planned_windows=config.planned_windows,
        factors=tuple(config.factors),
        transitions=config.transitions,
        kpis=tuple(_kpi(one, given) for one, given in config.kpis.items()),
        verdict_after_ms=config.verdict_after,
    )


def config_of(policy: Policy) -> dict[str, Any]:
    """A policy as it would stand in the file, as JSON. What `policy_from` makes of it is the same policy."""
    space, plan = policy.namespace, policy.schedule
    return {
        "zone": policy.zone,
        "purpose": policy.purpose,
        "arms": {name: dict(parameters) for name, parameters in policy.arms.items()},
        "context": {d.name: list(d.values) for d in policy.context},
        "reward": {"event": policy.reward_event, "within": duration_text(policy.reward_within_ms)},
        "share": str(policy.share),
        "approval": "required" if policy.approval else "none",
        "planned_windows": policy.planned_windows,
        "kpis": {one.name: _kpi_config(one) for one in policy.kpis},
        "verdict_after": duration_text(policy.verdict_after_ms),
        "trigger": policy.trigger,
        "targeting": policy.targeting,
        "rollout": policy.rollout,
        "namespace": {"name": space.name, "from": space.low, "to": space.high} if space else None,
        "schedule": {"start": _moment(plan.start_ms), "stop": _moment(plan.stop_ms)} if plan else None,
        "holdout": policy.holdout,
        "explore": policy.explore,
        "learner": policy.learner,
        "factors": list(policy.factors),
        "transitions": policy.transitions,
        "max_step": policy.max_step,
        "guardrails": [{"measure": one.measure, "cell": one.cell, "min": one.least, "max": one.most} for one in policy.guardrails],
    }


def changeable_of(policy: Policy) -> dict[str, Any]:
    """The part of a policy that versions may change, as JSON."""
    whole = config_of(policy)
    return {key: whole[key] for key in CHANGEABLE}


def changed(policy: Policy, changes: Mapping[str, Any]) -> Policy:
    """The policy with other values for some of its keys. Raises pydantic's `ValidationError`; `policy_faults` finds the rest."""
    config = PolicyConfig.model_validate(config_of(policy) | dict(changes))
    return policy_from(policy.name, config, {one.name: one.share for one in policy.holdouts})


def policy_faults(policy: Policy, measures: Iterable[Measure]) -> list[Fault]:
    """What is wrong with one policy beside the measures of its site, with paths below the policy."""
    named = {m.name: m for m in measures}
    return [*_expression_faults(policy), *_guardrail_faults(policy, named), *_transitions_faults(policy, named)]


def site_faults(policies: Mapping[str, Policy]) -> list[Fault]:
    """What is wrong with the policies of a site together, with paths below the site."""
    shared = sorted({one.name for policy in policies.values() for one in policy.holdouts if one.name in policies})
    found = [Fault(f"holdouts.{name}", "has the name of a policy: its people would be the policy's own") for name in shared]
    return found + list(_overlaps(policies))


def remedy_of(fault: Fault) -> str:
    """What to do about a fault."""
    if fault.path.endswith("namespace"):
        return "give each policy of the namespace a part of its own"
    return REMEDY if {"targeting", "trigger"} & set(fault.path.split(".")) else "correct it; docs/policies.md shows an example"


def _expression_faults(policy: Policy) -> Iterator[Fault]:
    keys = [d.name for d in policy.context]
    if reserved := set(COMBINATORS) & set(keys):
        yield Fault(f"context.{min(reserved)}", "is a word of the expression language and cannot be a context key")
    if policy.targeting is not None:
        yield from (_below("targeting", fault) for fault in targeting_faults(policy.targeting, keys))
    if policy.trigger is not None:
        yield from (_below("trigger", fault) for fault in trigger_faults(policy.trigger))


def _guardrail_faults(policy: Policy, measures: Mapping[str, Measure]) -> Iterator[Fault]:
    for at, guardrail in enumerate(policy.guardrails):
        measure = measures.get(guardrail.measure)
        if measure is None or measure.kind in (Kind.POLICY, Kind.AUDIT, Kind.KPI, Kind.CHOICES):
            yield Fault(f"guardrails.{at}.measure", "names a measure that the site does not declare")
        elif measure.keys:
            yield Fault(f"guardrails.{at}.measure", "counts undeclared values, which cannot be watched")
        elif guardrail.cell is not None:
            yield from _cell_faults(f"guardrails.{at}.cell", guardrail.cell, measure)


def _transitions_faults(policy: Policy, measures: Mapping[str, Measure]) -> Iterator[Fault]:
    if policy.transitions is not None:
        measure = measures.get(policy.transitions)
        if measure is None or measure.kind is not Kind.TRANSITIONS:
            yield Fault("transitions", "names no measure of the site that counts transitions")


def _cell_faults(path: str, cell: Mapping[str, str], measure: Measure) -> Iterator[Fault]:
    domains = {d.name: d.labels for d in measure.dimensions}
    for name, value in cell.items():
        if name not in domains:
            yield Fault(f"{path}.{name}", f"is not counted by this measure: it has {', '.join(domains) or 'one cell'}")
        elif value not in domains[name]:
            yield Fault(f"{path}.{name}", "is not a cell of this measure")
    if missing := [name for name in domains if name not in cell]:
        yield Fault(path, f"must name {', '.join(missing)} too, so that it is one cell")


def _overlaps(policies: Mapping[str, Policy]) -> Iterator[Fault]:
    for (one, first), (other, second) in itertools.combinations(policies.items(), 2):
        a, b = first.namespace, second.namespace
        if a and b and a.name == b.name and max(a.low, b.low) < min(a.high, b.high):
            yield Fault(f"policies.{other}.namespace", f"overlaps the part of {one!r} in the namespace {a.name!r}")


def _below(key: str, fault: Fault) -> Fault:
    return Fault(".".join(part for part in (key, fault.path) if part), fault.detail)


def _kpi(name: str, config: KpiConfig) -> Kpi:
    scores: tuple[float, ...]
    if config.kind == "rate":
        outcome, scores = Dimension(name, ("0", "1")), (0.0, 1.0)
    elif config.kind == "rating":
        outcome, scores = Dimension(name, ("1", "2", "3", "4", "5")), (1.0, 2.0, 3.0, 4.0, 5.0)
    else:
        low, width = config.low or 0.0, ((config.high or 0.0) - (config.low or 0.0)) / config.bins
        outcome = Dimension.binned(name, [low + width * i for i in range(config.bins + 1)])
        scores = tuple(low + width * (i + 0.5) for i in range(config.bins))
    return Kpi(name, outcome, scores, config.better == "higher", config.guardrail, config.share)


def _kpi_config(kpi: Kpi) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "number"} if kpi.outcome.edges else {"kind": "rate" if len(kpi.scores) == 2 else "rating"}
    if kpi.outcome.edges:
        found |= {"from": kpi.outcome.edges[0], "to": kpi.outcome.edges[-1], "bins": len(kpi.scores)}
    return found | {"better": "higher" if kpi.higher_is_better else "lower", "guardrail": kpi.guardrail, "share": str(kpi.share)}


def _schedule(config: ScheduleConfig) -> Schedule:
    start, stop = config.start, config.stop
    return Schedule(_ms(start.timestamp()) if start else None, _ms(stop.timestamp()) if stop else None)


def _ms(seconds: float) -> int:
    return math.floor(seconds * 1000 + 0.5)


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso(at_ms)
