"""What `tacit.yaml` says about policies: checked against the rest of its site, and made into `Policy` values.

A part of a policy may be changed while it runs (`CHANGEABLE`), because no released number changes its meaning by it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tacit.core.declaration import Dimension, Guardrail, Holdout, Namespace, Policy, Schedule
from tacit.core.expressions import COMBINATORS, Fault, targeting_faults, trigger_faults
from tacit.core.schema import BinsConfig, MeasureConfig, PolicyConfig, ScheduleConfig, SiteConfig

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
    "max_step",
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
    )


def policy_faults(policy: PolicyConfig, site: SiteConfig) -> list[Fault]:
    """What is wrong with one policy beside its site, with paths below the policy."""
    return [*_expression_faults(policy), *_guardrail_faults(policy, site.measures)]


def site_faults(site: SiteConfig) -> list[Fault]:
    """What is wrong with the policies of a site together, with paths below the site."""
    found = [Fault(f"holdouts.{name}", "has the name of a policy: its people would be the policy's own") for name in _shared_names(site)]
    return found + list(_overlaps(site.policies))


def remedy_of(fault: Fault) -> str:
    """What to do about a fault."""
    if fault.path.endswith("namespace"):
        return "give each policy of the namespace a part of its own"
    return REMEDY if {"targeting", "trigger"} & set(fault.path.split(".")) else "correct it; docs/policies.md shows an example"


def _shared_names(site: SiteConfig) -> list[str]:
    return [name for name in site.holdouts if name in site.policies]


def _expression_faults(policy: PolicyConfig) -> Iterator[Fault]:
    if reserved := set(COMBINATORS) & set(policy.context):
        yield Fault(f"context.{min(reserved)}", "is a word of the expression language and cannot be a context key")
    if policy.targeting is not None:
        yield from (_below("targeting", fault) for fault in targeting_faults(policy.targeting, policy.context))
    if policy.trigger is not None:
        yield from (_below("trigger", fault) for fault in trigger_faults(policy.trigger))


def _guardrail_faults(policy: PolicyConfig, measures: Mapping[str, MeasureConfig]) -> Iterator[Fault]:
    for at, guardrail in enumerate(policy.guardrails):
        measure = measures.get(guardrail.measure)
        if measure is None:
            yield Fault(f"guardrails.{at}.measure", "names a measure that the site does not declare")
        elif measure.keys:
            yield Fault(f"guardrails.{at}.measure", "counts undeclared values, which cannot be watched")
        elif guardrail.cell is not None:
            yield from _cell_faults(f"guardrails.{at}.cell", guardrail.cell, measure)


def _cell_faults(path: str, cell: Mapping[str, str], measure: MeasureConfig) -> Iterator[Fault]:
    domains: dict[str, tuple[str, ...]] = {}
    for name, values in measure.by.items():
        one = Dimension.binned(name, values.borders()) if isinstance(values, BinsConfig) else Dimension(name, tuple(values))
        names = (f"{name}.from", f"{name}.to") if measure.count == "transitions" else (name,)
        domains |= dict.fromkeys(names, one.labels)
    for name, value in cell.items():
        if name not in domains:
            yield Fault(f"{path}.{name}", f"is not counted by this measure: it has {', '.join(domains) or 'one cell'}")
        elif value not in domains[name]:
            yield Fault(f"{path}.{name}", "is not a cell of this measure")
    if missing := [name for name in domains if name not in cell]:
        yield Fault(path, f"must name {', '.join(missing)} too, so that it is one cell")


def _overlaps(policies: Mapping[str, PolicyConfig]) -> Iterator[Fault]:
    for (one, first), (other, second) in itertools.combinations(policies.items(), 2):
        a, b = first.namespace, second.namespace
        if a and b and a.name == b.name and max(a.low, b.low) < min(a.high, b.high):
            yield Fault(f"policies.{other}.namespace", f"overlaps the part of {one!r} in the namespace {a.name!r}")


def _below(key: str, fault: Fault) -> Fault:
    return Fault(".".join(part for part in (key, fault.path) if part), fault.detail)


def _schedule(config: ScheduleConfig) -> Schedule:
    start, stop = config.start, config.stop
    return Schedule(_ms(start.timestamp()) if start else None, _ms(stop.timestamp()) if stop else None)


def _ms(seconds: float) -> int:
    return math.floor(seconds * 1000 + 0.5)


def changeable_of(config: PolicyConfig) -> dict[str, Any]:
    """The part of a policy that versions may change, as JSON."""
    whole = config.model_dump(mode="json", by_alias=True)
    return {key: whole[key] for key in CHANGEABLE}
