"""The shape of `tacit.yaml`: every key that may stand there, and what each value must be by itself."""

from __future__ import annotations

import base64
import itertools
import math
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from tacit.core.declaration import BLOCK, FAIRNESS_AUDIT, HOLDOUT, MEASUREMENT, OTHER, PERSONALISATION

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ .:/+-]{0,63}")


def duration_ms(text: object) -> int:
    """Milliseconds of `30s`, `1m`, `2h`, `1d`. Raises `ValueError`."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", str(text))
    if not match or not int(match[1]):
        raise ValueError("a duration is a whole number and s, m, h or d, for example 1m or 1d")
    return int(match[1]) * UNITS[match[2]]


def duration_text(ms: int) -> str:
    """The shortest text of a whole number of seconds, as declared: `1h`, not `60m`."""
    unit = next(unit for unit in ("d", "h", "m", "s") if ms % UNITS[unit] == 0)
    return f"{ms // UNITS[unit]}{unit}"


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


def _address_of_hook(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("the address cannot be read") from None
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= 2000
    if not plain or not parts.hostname or "@" in parts.netloc or parts.scheme not in (("https", "http") if local else ("https",)):
        raise ValueError("a webhook is https:// with a host and without a password; http:// is for loopback only")
    return url


def _witness(key: str) -> str:
    name, _, rest = key.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        material = base64.b64decode(encoded, validate=True)
    except ValueError:
        material = b""
    named = re.fullmatch(r"\S{1,255}", name) and len(material) == 33 and material[0] == 4
    if not named or sha256(name.encode() + b"\n" + material).hexdigest()[:8] != key_id:
        raise ValueError("a witness is its verifier key, name+key id+base64, of the Ed25519 cosignature kind (c2sp.org/tlog-cosignature)")
    return key


Slug = Annotated[str, AfterValidator(_slug)]
Address = Annotated[str, Field(pattern=r"^[^\s@<>,;\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.-]{1,255}$")]
Duration = Annotated[int, BeforeValidator(duration_ms)]
Exact = Annotated[Decimal, BeforeValidator(_decimal)]
Share = Annotated[Exact, Field(gt=0, le=1)]
Domain = Annotated[list[Any], AfterValidator(_domain), Field(min_length=1, max_length=10_000)]
Statement = Annotated[str, Field(min_length=20, max_length=4_000)]
Purpose = Literal["measurement", "personalisation", "fairness_audit"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PrivacyConfig(_Strict):
    epsilon: Annotated[Exact, Field(gt=0, le=20)]
    delta: Annotated[Exact, Field(gt=0, le=Decimal("0.001"))]
    epoch: Duration = UNITS["d"]
    window: Duration = UNITS["m"]

    @model_validator(mode="after")
    def _fits(self) -> PrivacyConfig:
        if self.epoch % self.window:
            raise ValueError("the epoch must be a whole number of windows")
        return self


class JurisdictionConfig(_Strict):
    default: Slug = "eu"
    header: str | None = None
    opt_out: bool = False


class NecessityConfig(_Strict):
    """The statement that opens the bias-detection route, from one date until another, in UTC; by the second the data is deleted."""

    law: Statement
    in_force: date = Field(alias="from")
    delete_by: date = Field(alias="until")
    other_data: Statement
    access: Statement
    reason: Statement

    @model_validator(mode="after")
    def _ordered(self) -> NecessityConfig:
        if self.in_force >= self.delete_by:
            raise ValueError("`from` must be before `until`")
        return self


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
    sliding: int = Field(ge=2, le=10_000)


class BinsConfig(_Strict):
    """A number in bins: `{from, to, bins}` for bins of equal width, or `{edges}`."""

    low: float | None = Field(default=None, alias="from")
    high: float | None = Field(default=None, alias="to")
    bins: int | None = Field(default=None, ge=1, le=10_000)
    edges: list[float] | None = Field(default=None, min_length=2, max_length=10_001)

    @model_validator(mode="after")
    def _one_way(self) -> BinsConfig:
        given = [part for part in (self.low, self.high, self.bins) if part is not None]
        if (len(given) != 3) if self.edges is None else given:
            raise ValueError("a number's bins are either `from`, `to` and `bins`, or `edges`")
        if not all(map(math.isfinite, self.borders())) or any(a >= b for a, b in itertools.pairwise(self.borders())):
            raise ValueError("the borders of bins are finite numbers that rise")
        return self

    def borders(self) -> list[float]:
        """All borders, one more than there are bins."""
        if self.edges is not None:
            return self.edges
        low, high, bins = self.low or 0.0, self.high or 0.0, self.bins or 1
        return [low + (high - low) * i / bins for i in range(bins)] + [high]


class KeysConfig(_Strict):
    field: Slug
    delta_share: Annotated[Exact, Field(gt=0, lt=1)]
    max_bytes: int = Field(default=128, ge=1, le=256)


class LocalConfig(_Strict):
    epsilon: Annotated[Exact, Field(gt=0, le=20)]


Values = Annotated[
    Annotated[Domain, Tag("<values>")] | Annotated[BinsConfig, Tag("<bins>")],
    Discriminator(lambda given: "<bins>" if isinstance(given, dict | BinsConfig) else "<values>"),
]
"""What a measure is counted by: a list of values, or a number in bins."""


class MeasureConfig(_Strict):
    event: Slug
    purpose: Purpose = MEASUREMENT
    count: Literal["events", "people", "transitions"] = "events"
    by: dict[Slug, Values] = Field(default_factory=dict, max_length=6)
    keys: KeysConfig | None = None
    value: ValueConfig | None = None
    local: LocalConfig | None = None
    windows: int = Field(default=1, ge=1, le=1_000_000)
    per_window: int = Field(default=1, ge=1, le=10_000)
    per_cell: int = Field(default=1, ge=1, le=10_000)
    share: Share
    over_time: Literal["none", "prefix"] | SlidingConfig = "none"
    block: int = Field(default=BLOCK, ge=2, le=20_000)

    @model_validator(mode="after")
    def _fits(self) -> MeasureConfig:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        if self.value and self.count != "events":
            yield f"`value` sums over events and cannot stand beside `count: {self.count}`"
        if self.count == "people" and self.per_cell != 1:
            yield "`count: people` counts a person once in a cell: leave `per_cell` at 1"
        if self.count == "transitions" and (len(self.by) != 1 or any(isinstance(d, BinsConfig) for d in self.by.values())):
            yield "`count: transitions` needs exactly one list of values in `by`"
        if self.keys and (self.by or self.value or self.local or self.count == "transitions" or self.over_time != "none"):
            yield "`keys` stands alone: no `by`, `value`, `local`, `over_time` or transitions beside it"
        if self.local and (self.value or self.count == "transitions"):
            yield "`local` randomises cells on the device: no `value` and no transitions beside it"
        if not isinstance(self.over_time, str) and self.over_time.sliding > self.block:
            yield "`over_time.sliding` looks back further than `block`"


class RewardConfig(_Strict):
    event: Slug
    within: Duration = UNITS["h"] // 2


class NamespaceConfig(_Strict):
    name: Slug
    low: float = Field(alias="from", ge=0, lt=1)
    high: float = Field(alias="to", gt=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> NamespaceConfig:
        if self.low >= self.high:
            raise ValueError("`from` must be below `to`")
        return self


class ScheduleConfig(_Strict):
    """ISO 8601 with a zone, `2026-12-01T08:00:00+01:00`."""

    start: AwareDatetime | None = None
    stop: AwareDatetime | None = None

    @model_validator(mode="after")
    def _ordered(self) -> ScheduleConfig:
        if self.start and self.stop and self.start >= self.stop:
            raise ValueError("`start` must be before `stop`")
        return self


class GuardrailConfig(_Strict):
    """Of one cell of a measure, or of all of them together."""

    measure: Slug
    cell: dict[Slug, str] | None = Field(default=None, min_length=1, max_length=6)
    least: float | None = Field(default=None, alias="min", allow_inf_nan=False)
    most: float | None = Field(default=None, alias="max", allow_inf_nan=False)

    @model_validator(mode="after")
    def _bounded(self) -> GuardrailConfig:
        if (self.least is None) == (self.most is None):
            raise ValueError("a guardrail has either `min` or `max`")
        return self


class KpiConfig(_Strict):
    """A further outcome of a policy's trials: yes or no (`rate`), a mark from 1 to 5 (`rating`), or a number in bins (`number`)."""

    kind: Literal["rate", "rating", "number"]
    low: float | None = Field(default=None, alias="from")
    high: float | None = Field(default=None, alias="to")
    bins: int = Field(default=20, ge=2, le=200)
    better: Literal["higher", "lower"] = "higher"
    guardrail: float | None = Field(default=None, gt=0)
    share: Share

    @model_validator(mode="after")
    def _bounded(self) -> KpiConfig:
        given = self.low is not None and self.high is not None
        if (self.kind == "number") != given or (self.low is None) != (self.high is None):
            raise ValueError("`from` and `to` belong to `kind: number`, which needs both")
        if self.low is not None and self.high is not None and not -1e9 <= self.low < self.high <= 1e9:
            raise ValueError("`from` must be below `to`, both within a thousand million")
        return self


class PolicyConfig(_Strict):
    zone: Slug
    purpose: Purpose = PERSONALISATION
    arms: dict[Slug, dict[str, str | int | float | bool]] = Field(min_length=2, max_length=200)
    context: dict[Slug, Domain] = Field(default_factory=dict, max_length=6)
    trigger: dict[str, Any] | None = None
    reward: RewardConfig
    learner: Literal["fixed", "factorial", "thompson", "top_two", "gbt", "markov"] = "thompson"
    factors: list[Slug] = Field(default_factory=list, max_length=6)
    transitions: Slug | None = None
    planned_windows: int | None = Field(default=None, ge=2, le=10_000)
    kpis: dict[Slug, KpiConfig] = Field(default_factory=dict, max_length=10)
    verdict_after: Duration = 7 * UNITS["d"]
    explore: float = Field(default=0.03, ge=0, le=1)
    holdout: float = Field(default=0.05, ge=0, le=0.5)
    share: Share
    targeting: dict[str, Any] | None = None
    rollout: float = Field(default=1.0, ge=0, le=1)
    namespace: NamespaceConfig | None = None
    schedule: ScheduleConfig | None = None
    max_step: float | None = Field(default=None, gt=0, le=1)
    guardrails: list[GuardrailConfig] = Field(default_factory=list, max_length=20)
    approval: Literal["required", "none"] = "none"

    @model_validator(mode="after")
    def _reserved(self) -> PolicyConfig:
        if reserved := {HOLDOUT, OTHER} & set(self.arms):
            raise ValueError(f"the arm name {min(reserved)!r} is Tacit's own")
        if {"arm", "reward"} & set(self.context):
            raise ValueError("a context key cannot be called 'arm' or 'reward'")
        return self

    @model_validator(mode="after")
    def _learns(self) -> PolicyConfig:
        if bool(self.factors) != (self.learner == "factorial"):
            raise ValueError("`factors` names the arms' parameters that `learner: factorial` learns about: give both or none")
        for factor in self.factors:
            if any(factor not in parameters for parameters in self.arms.values()):
                raise ValueError("a factor is a parameter that every arm has")
        if bool(self.transitions) != (self.learner == "markov"):
            raise ValueError("`transitions` names the measure that `learner: markov` reads: give both or none")
        if self.transitions and any(not isinstance(parameters.get("next"), str) for parameters in self.arms.values()):
            raise ValueError("with `learner: markov` each arm's parameter `next` is the value that it leads to")
        return self


class DueConfig(_Strict):
    """How long somebody has for a finding, by its verdict; two weeks and thirty days."""

    breach: Duration = 14 * UNITS["d"]
    attention: Duration = 30 * UNITS["d"]


class AuditConfig(_Strict):
    policy: Slug
    groups: dict[Slug, Domain] = Field(min_length=1, max_length=3)
    purpose: Purpose = FAIRNESS_AUDIT
    limit: float = Field(default=0.05, gt=0, lt=1)
    strata: list[Slug] = Field(default_factory=list, max_length=3)
    intersections: list[Annotated[list[Slug], Field(min_length=2, max_length=3)]] = Field(default_factory=list, max_length=4)
    share: Share
    schedule: Duration = UNITS["d"]
    offset: Duration | None = None
    catch_up: int = Field(default=7, ge=1, le=1_000)
    open_at: Literal["breach", "attention"] = "breach"
    contain: Literal["nothing", "pause", "equalise"] = "nothing"
    due: DueConfig = DueConfig()

    @model_validator(mode="after")
    def _fits(self) -> AuditConfig:
        if {"arm", "reward"} & set(self.groups):
            raise ValueError("a group cannot be called 'arm' or 'reward'")
        if set(self.strata) & set(self.groups) or len(set(self.strata)) != len(self.strata):
            raise ValueError("`strata` names each context key once, and none that is a group")
        crossed = [tuple(sorted(names)) for names in self.intersections]
        if any(len(set(names)) != len(names) or not set(names) <= set(self.groups) for names in crossed):
            raise ValueError("`intersections` crosses different dimensions of `groups`")
        if len(set(crossed)) != len(crossed):
            raise ValueError("an intersection stands twice")
        if self.offset is not None and self.offset >= self.schedule:
            raise ValueError("`offset` must be shorter than `schedule`")
        return self


class RetentionConfig(_Strict):
    """For how long consent records stay after they ended, webhook messages after they were settled, and who was shown a notice."""

    records: Duration = 1095 * UNITS["d"]
    messages: Duration = 30 * UNITS["d"]
    served: Duration = 365 * UNITS["d"]


class ControllerConfig(_Strict):
    """Who is responsible in law, as it stands on receipts."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    contact: Annotated[str, Field(min_length=1, max_length=200)]


class RightsConfig(_Strict):
    """Within what time a rights request must be finished; at most a month (Art. 12(3) GDPR)."""

    due: Duration = 30 * UNITS["d"]

    @model_validator(mode="after")
    def _fits(self) -> RightsConfig:
        if self.due > 31 * UNITS["d"]:
            raise ValueError("the law gives one month")
        return self


class ChoicesConfig(_Strict):
    share: Share


class SiteConfig(_Strict):
    privacy: PrivacyConfig
    jurisdiction: JurisdictionConfig = JurisdictionConfig()
    measures: dict[Slug, MeasureConfig] = Field(default_factory=dict)
    policies: dict[Slug, PolicyConfig] = Field(default_factory=dict)
    holdouts: dict[Slug, Annotated[float, Field(gt=0, le=0.5)]] = Field(default_factory=dict, max_length=10)
    segments: dict[Slug, dict[str, Any]] = Field(default_factory=dict, max_length=100)
    audits: dict[Slug, AuditConfig] = Field(default_factory=dict)
    consent_choices: ChoicesConfig | None = None
    retention: RetentionConfig = RetentionConfig()
    controller: ControllerConfig | None = None
    rights: RightsConfig = RightsConfig()
    bias_detection: NecessityConfig | None = None


class AnchorConfig(_Strict):
    """Where checkpoints of the evidence log are put at least so often."""

    every: Duration = UNITS["d"]
    folder: str | None = None
    mail: list[Address] = Field(default_factory=list, max_length=20)
    webhook: Annotated[str, AfterValidator(_address_of_hook)] | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> AnchorConfig:
        if not (self.folder or self.mail or self.webhook):
            raise ValueError("an anchor needs at least one of `folder`, `mail` and `webhook`")
        return self


class EvidenceConfig(_Strict):
    origin: str | None = Field(default=None, pattern=r"^[^\s+\x00-\x1f\x7f]{1,255}$")
    public: bool = False
    witnesses: list[Annotated[str, AfterValidator(_witness)]] = Field(default_factory=list, max_length=16)
    anchor: AnchorConfig | None = None


class FileConfig(_Strict):
    evidence: EvidenceConfig = EvidenceConfig()
    sites: dict[Slug, SiteConfig] = Field(min_length=1)
