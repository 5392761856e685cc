"""`tacit.yaml`: read, checked in full, and expanded into a `Declaration`. Every fault is named by the path of its key, with a remedy.

Nothing is collected before this has passed, so everything that decides about privacy (shares, bounds, domains) is checked here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tacit.core.declaration import (
    CELL_LIMIT,
    Audit,
    AuditTerms,
    Bounds,
    ConsentTerms,
    Declaration,
    Dimension,
    Keys,
    Kind,
    Measure,
    Necessity,
    PrivacyTerms,
    RetentionTerms,
    Site,
    ValueRange,
    audit_measure,
    choices_measure,
    kpi_measure,
    policy_measure,
)
from tacit.core.errors import ConfigurationInvalid
from tacit.core.evidence_terms import AnchorTerms, EvidenceTerms
from tacit.core.expressions import Fault
from tacit.core.policies import policy_faults, policy_from, remedy_of, site_faults
from tacit.core.schema import AuditConfig, BinsConfig, EvidenceConfig, FileConfig, MeasureConfig, NecessityConfig, SiteConfig
from tacit.core.segments import inlined, reference_faults, segment_faults

REMEDIES = {
    "extra_forbidden": "remove it or check its spelling against docs/configuration.md",
    "missing": "add it; docs/configuration.md shows an example",
}


def load(path: Path) -> Declaration:
    """The declaration in a file. Raises `ConfigurationInvalid` with every fault found."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationInvalid(
            [{"path": str(path), "detail": "there is no such file", "remedy": "`tacit config init tacit.yaml` writes a commented one"}]
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid([{"path": str(path), "detail": f"cannot be read ({type(error).__name__})", "remedy": ""}]) from error
    return parse(text, source=str(path))


def parse(text: str, *, source: str = "") -> Declaration:
    """The declaration in a text of YAML. Raises `ConfigurationInvalid` with every fault found."""
    try:
        content = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader that also refuses a key given twice
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
        detail = getattr(error, "problem", None) or "is not YAML"
        raise ConfigurationInvalid([{"path": where, "detail": str(detail), "remedy": "correct the YAML"}], source=source) from error
    try:
        config = FileConfig.model_validate(content)
    except ValidationError as error:
        faults = [_fault(e) for e in error.errors(include_url=False, include_input=False)]
        raise ConfigurationInvalid(faults, source=source) from None
    faults = [fault for name, site in config.sites.items() for fault in _cross_checks(name, site)]
    if faults:
        raise ConfigurationInvalid(faults, source=source)
    return Declaration({name: _site(name, site) for name, site in config.sites.items()}, _evidence(config.evidence))


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a key stand twice and silently keeps the last; a share given twice must not pass."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _fault(error: Any) -> dict[str, str]:
    path = ".".join(
        str(part) for part in error["loc"] if part not in ("[key]", "SlidingConfig") and not str(part).startswith(("literal[", "<"))
    )
    return {"path": path or "the file", "detail": error["msg"].removeprefix("Value error, "), "remedy": REMEDIES.get(error["type"], "")}


def _cross_checks(name: str, site: SiteConfig) -> list[dict[str, str]]:
    at = f"sites.{name}"
    faults = []
    for audit_name, audit in site.audits.items():
        if audit.policy not in site.policies:
            faults.append(
                {"path": f"{at}.audits.{audit_name}.policy", "detail": "names a policy that is not declared", "remedy": "declare it"}
            )
        elif unknown := [key for key in audit.strata if key not in site.policies[audit.policy].context]:
            detail, remedy = f"{unknown[0]!r} is no context of {audit.policy!r}", "name keys of the policy's `context`"
            faults.append({"path": f"{at}.audits.{audit_name}.strata", "detail": detail, "remedy": remedy})
    for measure_name, measure in site.measures.items():
        if measure.per_cell > measure.per_window:
            remedy = "lower per_cell or raise per_window"
            faults.append({"path": f"{at}.measures.{measure_name}.per_cell", "detail": "is above per_window", "remedy": remedy})
        beside = [n for n, m in site.measures.items() if m.event == measure.event and n != measure_name]
        if measure.local and beside:
            remedy = "let the device send them under an event type of their own"
            detail = f"{measure.event!r} is randomised on the device for this measure, and {beside[0]!r} counts it too"
            faults.append({"path": f"{at}.measures.{measure_name}.local", "detail": detail, "remedy": remedy})
        if measure.event in ("trial", "consent"):
            remedy = "policies, audits and consent_choices count those"
            faults.append({"path": f"{at}.measures.{measure_name}.event", "detail": f"{measure.event!r} is Tacit's own", "remedy": remedy})
    faults += [
        {"path": f"{at}.{fault.path}", "detail": fault.detail, "remedy": "docs/policies.md says what a segment is"}
        for fault in _segment_faults(site)
    ]
    if faults:
        return faults
    expanded = _site(name, site)
    found = [
        (f"{at}.policies.{policy}", fault) for policy, one in expanded.policies.items() for fault in policy_faults(one, expanded.measures)
    ]
    for base, fault in [*found, *((at, fault) for fault in site_faults(expanded.policies))]:
        faults.append({"path": f"{base}.{fault.path}", "detail": fault.detail, "remedy": remedy_of(fault)})
    for one in expanded.measures:
        if one.length > CELL_LIMIT:
            remedy = "declare fewer values or fewer dimensions"
            faults.append({"path": f"{at}.{one.path}", "detail": f"has {one.length} cells; the limit is {CELL_LIMIT}", "remedy": remedy})
    if (total := sum(m.keys.delta_share for m in expanded.measures if m.keys)) >= 1:
        remedy = "lower them until they sum to less than 1; what is left backs the noise"
        faults.append({"path": at, "detail": f"the delta shares of undeclared keys sum to {total}", "remedy": remedy})
    if (total := sum(m.share for m in expanded.measures)) > 1:
        remedy = "lower shares until they sum to at most 1"
        faults.append({"path": at, "detail": f"the shares of measures, policies and audits sum to {total}", "remedy": remedy})
    return faults


def _segment_faults(site: SiteConfig) -> Iterator[Fault]:
    yield from segment_faults(site.segments, {key for policy in site.policies.values() for key in policy.context})
    for name, policy in site.policies.items():
        for fault in reference_faults(policy.targeting, site.segments, policy.context):
            yield Fault(f"policies.{name}.targeting.{fault.path}", fault.detail)


def _dimensions(domains: Mapping[str, list[Any] | BinsConfig]) -> tuple[Dimension, ...]:
    return tuple(
        Dimension.binned(name, values.borders()) if isinstance(values, BinsConfig) else Dimension(name, tuple(values))
        for name, values in domains.items()
    )


def _site(name: str, config: SiteConfig) -> Site:
    measures = [_measure(name, measure, one) for measure, one in config.measures.items()]
    policies = {
        policy: policy_from(policy, one.model_copy(update={"targeting": inlined(one.targeting, config.segments)}), config.holdouts)
        for policy, one in config.policies.items()
    }
    audits = {
        audit: Audit(
            name=audit,
            policy=one.policy,
            groups=_dimensions(one.groups),
            purpose=one.purpose,
            limit=one.limit,
            share=one.share,
            terms=_audit_terms(one),
            strata=tuple(d for d in policies[one.policy].context if d.name in one.strata),
            intersections=tuple(tuple(name for name in one.groups if name in names) for names in one.intersections),
        )
        for audit, one in config.audits.items()
    }
    measures += [policy_measure(name, policy) for policy in policies.values()]
    measures += [kpi_measure(name, policy, kpi) for policy in policies.values() for kpi in policy.kpis]
    measures += [audit_measure(name, audit, policies[audit.policy]) for audit in audits.values()]
    if config.consent_choices:
        measures.append(choices_measure(name, config.consent_choices.share))
    terms = PrivacyTerms(config.privacy.epsilon, config.privacy.delta, config.privacy.epoch, config.privacy.window)
    retention = RetentionTerms(config.retention.records, config.retention.messages, config.retention.served)
    place = config.jurisdiction
    consent = ConsentTerms(place.opt_out, _necessity(config.bias_detection) if config.bias_detection else None)
    site = Site(name, terms, place.default, place.header, tuple(measures), policies, audits, retention, consent)
    controller = config.controller.model_dump() if config.controller else None
    return replace(site, controller=controller, rights_due_ms=config.rights.due, segments=config.segments)


def _necessity(config: NecessityConfig) -> Necessity:
    start_ms, end_ms = (int(datetime.combine(day, time(), UTC).timestamp() * 1000) for day in (config.in_force, config.delete_by))
    return Necessity(config.law, start_ms, end_ms, config.other_data, config.access, config.reason)


def _audit_terms(config: AuditConfig) -> AuditTerms:
    return AuditTerms(
        schedule_ms=config.schedule,
        offset_ms=config.offset or 0,
        catch_up=config.catch_up,
        open_at=config.open_at,
        contain=config.contain,
        due_breach_ms=config.due.breach,
        due_attention_ms=config.due.attention,
    )


def _evidence(config: EvidenceConfig) -> EvidenceTerms:
    anchor = None
    if config.anchor:
        folder = Path(config.anchor.folder) if config.anchor.folder else None
        anchor = AnchorTerms(config.anchor.every, folder, tuple(config.anchor.mail), config.anchor.webhook)
    return EvidenceTerms(config.origin, config.public, tuple(config.witnesses), anchor)


def _measure(site: str, name: str, config: MeasureConfig) -> Measure:
    over_time = config.over_time if isinstance(config.over_time, str) else f"sliding:{config.over_time.sliding}"
    return Measure(
        site=site,
        name=name,
        kind=_kind(config),
        event=config.event,
        purpose=config.purpose,
        dimensions=_steps(config.by) if config.count == "transitions" else _dimensions(config.by),
        share=config.share,
        bounds=Bounds(config.windows, config.per_window, config.per_cell),
        value=ValueRange(config.value.field, config.value.low, config.value.high) if config.value else None,
        over_time=over_time,
        block=config.block,
        keys=Keys(config.keys.field, config.keys.delta_share, config.keys.max_bytes) if config.keys else None,
        local_epsilon=config.local.epsilon if config.local else None,
    )


def _kind(config: MeasureConfig) -> Kind:
    if config.keys:
        return Kind.KEYS
    if config.value:
        return Kind.SUM
    return {"events": Kind.COUNT, "people": Kind.PEOPLE, "transitions": Kind.TRANSITIONS}[config.count]


def _steps(domains: Mapping[str, list[Any] | BinsConfig]) -> tuple[Dimension, ...]:
    """One list of values, twice: where a person's step starts and where it leads."""
    (one,) = _dimensions(domains)
    return (replace(one, name=f"{one.name}.from"), replace(one, name=f"{one.name}.to"))
