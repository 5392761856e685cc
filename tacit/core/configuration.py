"""`tacit.yaml`: read, checked in full, and expanded into a `Declaration`. Every fault is named by the path of its key, with a remedy.

Nothing is collected before this has passed, so everything that decides about privacy (shares, bounds, domains) is checked here.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tacit.core.declaration import (
    CELL_LIMIT,
    FAIRNESS_AUDIT,
    HOLDOUT,
    MEASUREMENT,
    OTHER,
    PERSONALISATION,
    Audit,
    Bounds,
    Declaration,
    Dimension,
    Kind,
    Measure,
    Policy,
    PrivacyTerms,
    Site,
    ValueRange,
    audit_measure,
    choices_measure,
    policy_measure,
)
from tacit.core.errors import ConfigurationInvalid

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ .:/+-]{0,63}")

REMEDIES = {
    "extra_forbidden": "remove it or check its spelling against docs/configuration.md",
    "missing": "add it; docs/configuration.md shows an example",
}


def duration_ms(text: object) -> int:
    """Milliseconds of `30s`, `1m`, `2h`, `1d`. Raises `ValueError`."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", str(text))
    if not match or not int(match[1]):
        raise ValueError("a duration is a whole number and s, m, h or d, for example 1m or 1d")
    return int(match[1]) * _UNITS[match[2]]


def _slug(text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise ValueError("a name has lower-case letters, digits, '_', '-' and '.', at most 64")
    return text


def _decimal(number: object) -> Decimal:
    if isinstance(number, bool) or not isinstance(number, int | float | str):
        raise ValueError("a number is needed")
    try:
        found = Decimal(str(number))
    except ArithmeticError:
        raise ValueError("a number is needed") from None
    if not found.is_finite():
        raise ValueError("a finite number is needed")
    return found


def _domain(values: list[Any]) -> list[str]:
    texts = [str(v) for v in values if not isinstance(v, bool)]
    if len(texts) != len(values):
        raise ValueError("yes, no, true and false are read as booleans by YAML: put them in quotes")
    if len(set(texts)) != len(texts):
        raise ValueError("a value stands twice")
    if OTHER in texts:
        raise ValueError(f"'{OTHER}' is added by Tacit for every value outside the domain")
    if bad := next((t for t in texts if not _VALUE.fullmatch(t)), None):
        raise ValueError(f"{bad!r} is not a plain label of at most 64 characters")
    return texts


Slug = Annotated[str, AfterValidator(_slug)]
Duration = Annotated[int, BeforeValidator(duration_ms)]
Exact = Annotated[Decimal, BeforeValidator(_decimal)]
Share = Annotated[Exact, Field(gt=0, le=1)]
Domain = Annotated[list[Any], AfterValidator(_domain), Field(min_length=1, max_length=10_000)]
Purpose = Literal["measurement", "personalisation", "fairness_audit"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PrivacyConfig(_Strict):
    epsilon: Annotated[Exact, Field(gt=0, le=20)]
    delta: Annotated[Exact, Field(gt=0, le=Decimal("0.001"))]
    epoch: Duration = _UNITS["d"]
    window: Duration = _UNITS["m"]

    @model_validator(mode="after")
    def _fits(self) -> PrivacyConfig:
        if self.epoch % self.window:
            raise ValueError("the epoch must be a whole number of windows")
        return self


class JurisdictionConfig(_Strict):
    default: Slug = "eu"
    header: str | None = None


class ValueConfig(_Strict):
    field: Slug
    low: int = Field(alias="from", ge=-1_000_000_000, le=1_000_000_000)
    high: int = Field(alias="to", ge=-1_000_000_000, le=1_000_000_000)

    @model_validator(mode="after")
    def _ordered(self) -> ValueConfig:
        if self.low >= self.high:
            raise ValueError("`from` must be below `to`")
        return self


class SlidingConfig(_Strict):
    sliding: int = Field(ge=2, le=100_000)


class MeasureConfig(_Strict):
    event: Slug
    purpose: Purpose = MEASUREMENT
    by: dict[Slug, Domain] = Field(default_factory=dict, max_length=6)
    value: ValueConfig | None = None
    windows: int = Field(default=1, ge=1, le=1_000_000)
    per_window: int = Field(default=1, ge=1, le=10_000)
    per_cell: int = Field(default=1, ge=1, le=10_000)
    share: Share
    over_time: Literal["none", "prefix"] | SlidingConfig = "none"


class RewardConfig(_Strict):
    event: Slug
    within: Duration = _UNITS["h"] // 2


class PolicyConfig(_Strict):
    zone: Slug
    purpose: Purpose = PERSONALISATION
    arms: dict[Slug, dict[str, str | int | float | bool]] = Field(min_length=2, max_length=200)
    context: dict[Slug, Domain] = Field(default_factory=dict, max_length=6)
    trigger: dict[str, Any] | None = None
    reward: RewardConfig
    learner: Literal["fixed", "thompson"] = "thompson"
    explore: float = Field(default=0.03, ge=0, le=1)
    holdout: float = Field(default=0.05, ge=0, le=0.5)
    share: Share

    @model_validator(mode="after")
    def _reserved(self) -> PolicyConfig:
        if reserved := {HOLDOUT, OTHER} & set(self.arms):
            raise ValueError(f"the arm name {min(reserved)!r} is Tacit's own")
        if {"arm", "reward"} & set(self.context):
            raise ValueError("a context key cannot be called 'arm' or 'reward'")
        return self


class AuditConfig(_Strict):
    policy: Slug
    groups: dict[Slug, Domain] = Field(min_length=1, max_length=3)
    purpose: Purpose = FAIRNESS_AUDIT
    limit: float = Field(default=0.05, gt=0, lt=1)
    share: Share

    @model_validator(mode="after")
    def _reserved(self) -> AuditConfig:
        if {"arm", "reward"} & set(self.groups):
            raise ValueError("a group cannot be called 'arm' or 'reward'")
        return self


class ChoicesConfig(_Strict):
    share: Share


class SiteConfig(_Strict):
    privacy: PrivacyConfig
    jurisdiction: JurisdictionConfig = JurisdictionConfig()
    measures: dict[Slug, MeasureConfig] = Field(default_factory=dict)
    policies: dict[Slug, PolicyConfig] = Field(default_factory=dict)
    audits: dict[Slug, AuditConfig] = Field(default_factory=dict)
    consent_choices: ChoicesConfig | None = None


class FileConfig(_Strict):
    sites: dict[Slug, SiteConfig] = Field(min_length=1)


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
    return Declaration({name: _site(name, site) for name, site in config.sites.items()})


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
    path = ".".join(str(part) for part in error["loc"] if part not in ("[key]", "SlidingConfig") and not str(part).startswith("literal["))
    return {"path": path or "the file", "detail": error["msg"].removeprefix("Value error, "), "remedy": REMEDIES.get(error["type"], "")}


def _cross_checks(name: str, site: SiteConfig) -> list[dict[str, str]]:
    at = f"sites.{name}"
    faults = []
    for audit_name, audit in site.audits.items():
        if audit.policy not in site.policies:
            faults.append(
                {"path": f"{at}.audits.{audit_name}.policy", "detail": "names a policy that is not declared", "remedy": "declare it"}
            )
    for measure_name, measure in site.measures.items():
        if measure.per_cell > measure.per_window:
            remedy = "lower per_cell or raise per_window"
            faults.append({"path": f"{at}.measures.{measure_name}.per_cell", "detail": "is above per_window", "remedy": remedy})
        if measure.event in ("trial", "consent"):
            remedy = "policies, audits and consent_choices count those"
            faults.append({"path": f"{at}.measures.{measure_name}.event", "detail": f"{measure.event!r} is Tacit's own", "remedy": remedy})
    if faults:
        return faults
    expanded = _site(name, site)
    for one in expanded.measures:
        if one.length > CELL_LIMIT:
            remedy = "declare fewer values or fewer dimensions"
            faults.append({"path": f"{at}.{_path(one)}", "detail": f"has {one.length} cells; the limit is {CELL_LIMIT}", "remedy": remedy})
    if (total := sum(m.share for m in expanded.measures)) > 1:
        remedy = "lower shares until they sum to at most 1"
        faults.append({"path": at, "detail": f"the shares of measures, policies and audits sum to {total}", "remedy": remedy})
    return faults


def _path(measure: Measure) -> str:
    match measure.kind:
        case Kind.POLICY | Kind.AUDIT:
            kind, _, name = measure.name.partition(".")
            return f"{'policies' if kind == 'policy' else 'audits'}.{name}"
        case Kind.CHOICES:
            return "consent_choices"
        case _:
            return f"measures.{measure.name}"


def _dimensions(domains: dict[str, list[Any]]) -> tuple[Dimension, ...]:
    return tuple(Dimension(name, tuple(values)) for name, values in domains.items())


def _site(name: str, config: SiteConfig) -> Site:
    measures = [_measure(name, measure, one) for measure, one in config.measures.items()]
    policies = {
        policy: Policy(
            name=policy,
            zone=one.zone,
            purpose=one.purpose,
            arms=one.arms,
            context=_dimensions(one.context),
            reward_event=one.reward.event,
            reward_within_ms=one.reward.within,
            learner=one.learner,
            explore=one.explore,
            holdout=one.holdout,
            share=one.share,
            trigger=one.trigger,
        )
        for policy, one in config.policies.items()
    }
    audits = {
        audit: Audit(audit, one.policy, _dimensions(one.groups), one.purpose, one.limit, one.share) for audit, one in config.audits.items()
    }
    measures += [policy_measure(name, policy) for policy in policies.values()]
    measures += [audit_measure(name, audit, policies[audit.policy]) for audit in audits.values()]
    if config.consent_choices:
        measures.append(choices_measure(name, config.consent_choices.share))
    terms = PrivacyTerms(config.privacy.epsilon, config.privacy.delta, config.privacy.epoch, config.privacy.window)
    return Site(name, terms, config.jurisdiction.default, config.jurisdiction.header, tuple(measures), policies, audits)


def _measure(site: str, name: str, config: MeasureConfig) -> Measure:
    over_time = config.over_time if isinstance(config.over_time, str) else f"sliding:{config.over_time.sliding}"
    return Measure(
        site=site,
        name=name,
        kind=Kind.SUM if config.value else Kind.COUNT,
        event=config.event,
        purpose=config.purpose,
        dimensions=_dimensions(config.by),
        share=config.share,
        bounds=Bounds(config.windows, config.per_window, config.per_cell),
        value=ValueRange(config.value.field, config.value.low, config.value.high) if config.value else None,
        over_time=over_time,
    )
