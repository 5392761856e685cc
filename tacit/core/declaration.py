"""What a site measures, adjusts and audits, as plain immutable values: the one vocabulary that all rooms share.

A policy and an audit expand into measures like any other. A measure numbers its cells here, so the door can turn an event into
contributions, the sanitiser can bound and count them, and the engine can read them back, without knowing each other.
The invariant: a measure's `id` changes whenever anything changes that alters what a number in it means or what a person may add to it.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from tacit.core.clock import iso
from tacit.core.evidence import canonical
from tacit.core.evidence_terms import EvidenceTerms

OTHER = "other"
"""The cell of every value outside a declared domain."""

HOLDOUT = "holdout"
"""The arm of people kept out of a policy; they see the default arm's content."""

MEASUREMENT: Final = "measurement"
PERSONALISATION: Final = "personalisation"
FAIRNESS_AUDIT: Final = "fairness_audit"
PURPOSES = (MEASUREMENT, PERSONALISATION, FAIRNESS_AUDIT)
"""What a person can be asked for. Each is granted, refused and withdrawn on its own."""

BOOKKEEPING = "bookkeeping"
"""Under this key consent choices themselves are counted: the law requires the record, so nobody is asked."""

CELL_LIMIT = 100_000

BLOCK = 1024
"""Windows after which correlated noise starts afresh, where a measure does not say."""


class Kind(StrEnum):
    """What a measure counts: events, people, clipped sums beside events, steps from one value to the next, or values nobody declared."""

    COUNT = "count"
    PEOPLE = "people"
    SUM = "sum"
    TRANSITIONS = "transitions"
    KEYS = "keys"
    POLICY = "policy"
    AUDIT = "audit"
    KPI = "kpi"
    CHOICES = "choices"


@dataclass(frozen=True, slots=True)
class Dimension:
    """A public, declared domain. An open dimension has one more cell, `other`, for every value outside it."""

    name: str
    values: tuple[str, ...]
    closed: bool = False
    edges: tuple[float, ...] = ()
    """For a number: the borders of its bins, one more than there are values. A number beyond the ends falls into the outer bin."""

    @classmethod
    def binned(cls, name: str, edges: Sequence[float]) -> Dimension:
        """A number in bins `[a, b)`; whatever is not a number falls into `other`.

        >>> Dimension.binned("depth", (0, 50, 100)).labels
        ('0..50', '50..100', 'other')
        """
        return cls(name, tuple(f"{low:g}..{high:g}" for low, high in itertools.pairwise(edges)), edges=tuple(map(float, edges)))

    @property
    def labels(self) -> tuple[str, ...]:
        """All cell labels in order."""
        return self.values if self.closed else (*self.values, OTHER)

    @property
    def size(self) -> int:
        """Number of cells along this dimension."""
        return len(self.values) + (not self.closed)


@dataclass(frozen=True, slots=True)
class ValueRange:
    """A property that is summed beside the count, rounded to whole units and clipped to `[low, high]`."""

    field: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Keys:
    """Values that nobody declared: a text property whose values are published where enough people sent them.

    `delta_share` is the part of the site's delta that may go wrong in telling that a rare value exists at all.
    """

    field: str
    delta_share: Decimal
    max_bytes: int = 128


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one person adds to a measure in one epoch: in `windows` windows, `per_window` rows each, `per_cell` to one cell."""

    windows: int = 1
    per_window: int = 1
    per_cell: int = 1

    def l2(self, cells: int) -> float:
        """Worst-case L2 norm of one person's rows in one window: as many cells as possible filled to `per_cell`.

        >>> Bounds(per_window=3, per_cell=1).l2(100) == 3 ** 0.5
        True
        >>> Bounds(per_window=5, per_cell=2).l2(100)
        3.0
        """
        filled, rest = divmod(self.per_window, self.per_cell)
        if filled >= cells:
            filled, rest = cells, 0
        return math.sqrt(filled * self.per_cell**2 + rest**2)


@dataclass(frozen=True)
class Measure:
    """One vector of counts that a site releases for every window."""

    site: str
    name: str
    kind: Kind
    event: str
    purpose: str
    dimensions: tuple[Dimension, ...]
    share: Decimal
    bounds: Bounds = Bounds()
    value: ValueRange | None = None
    over_time: str = "none"
    """Which sums will be read: `none`, `prefix`, or `sliding:W` for the last W windows."""
    block: int = BLOCK
    """Windows after which correlated noise starts afresh."""
    whole: bool = False
    """Whether the first block is that long already, the number of windows being known; otherwise blocks start short and grow."""
    keys: Keys | None = None
    local_epsilon: Decimal | None = None
    """Set where the device answers at random (k-ary randomised response): what each report tells anybody, this service included."""
    subject_of: str = ""
    """The policy that a policy or audit measure belongs to."""
    strata: tuple[str, ...] = ()
    """Which dimensions of an audit measure are context of its policy and not groups."""

    @cached_property
    def cells(self) -> int:
        """Number of cells: the product of the dimensions' sizes; 0 where the values are not declared."""
        return 0 if self.keys else math.prod(d.size for d in self.dimensions)

    @property
    def length(self) -> int:
        """Length of the released vector: the counts and, for a sum, the sums after them."""
        return self.cells * (2 if self.value else 1)

    @property
    def path(self) -> str:
        """Where it stands in the declaration, below its site."""
        match self.kind:
            case Kind.POLICY | Kind.AUDIT:
                kind, _, name = self.name.partition(".")
                return f"{'policies' if kind == 'policy' else 'audits'}.{name}"
            case Kind.KPI:
                return f"policies.{self.subject_of}.kpis.{self.name.removeprefix(f'policy.{self.subject_of}.')}"
            case Kind.CHOICES:
                return "consent_choices"
            case _:
                return f"measures.{self.name}"

    @cached_property
    def definition(self) -> dict[str, Any]:
        """Everything that gives the numbers their meaning, as JSON."""
        return (
            {
                "site": self.site,
                "name": self.name,
                "kind": self.kind.value,
                "event": self.event,
                "purpose": self.purpose,
                "dimensions": [
                    {"name": d.name, "values": list(d.values), "closed": d.closed, "edges": list(d.edges)} for d in self.dimensions
                ],
                "bounds": [self.bounds.windows, self.bounds.per_window, self.bounds.per_cell],
                "value": [self.value.field, self.value.low, self.value.high] if self.value else None,
                "share": str(self.share.normalize()),
                "over_time": self.over_time,
                "block": self.block,
                "keys": [self.keys.field, str(self.keys.delta_share.normalize()), self.keys.max_bytes] if self.keys else None,
                "local_epsilon": None if self.local_epsilon is None else str(self.local_epsilon.normalize()),
                "subject_of": self.subject_of,
            }
            | ({"whole": True} if self.whole else {})
            | ({"strata": list(self.strata)} if self.strata else {})
        )

    @cached_property
    def id(self) -> int:
        """63 bits of the SHA-256 of the canonical definition: staged rows and ledger lines name the measure by it."""
        return int.from_bytes(hashlib.sha256(canonical(self.definition)).digest()[:8], "big") >> 1

    def labels(self, cell: int) -> dict[str, str]:
        """The names of one cell. The last dimension varies fastest."""
        found: dict[str, str] = {}
        for dimension in reversed(self.dimensions):
            cell, index = divmod(cell, dimension.size)
            found[dimension.name] = dimension.labels[index]
        return dict(reversed(found.items()))

    @cached_property
    def all_labels(self) -> tuple[dict[str, str], ...]:
        """The names of every cell, in the order of the vector."""
        return tuple(self.labels(cell) for cell in range(self.cells))


def measure_from(definition: Mapping[str, Any]) -> Measure:
    """The measure that a stored definition describes (releases keep theirs, so that old ones stay readable)."""
    value, bounds, keys = definition["value"], definition["bounds"], definition.get("keys")
    local = definition.get("local_epsilon")
    return Measure(
        site=definition["site"],
        name=definition["name"],
        kind=Kind(definition["kind"]),
        event=definition["event"],
        purpose=definition["purpose"],
        dimensions=tuple(
            Dimension(d["name"], tuple(d["values"]), d["closed"], tuple(d.get("edges", ()))) for d in definition["dimensions"]
        ),
        share=Decimal(definition["share"]),
        bounds=Bounds(*bounds),
        value=ValueRange(*value) if value else None,
        over_time=definition.get("over_time", "none"),
        block=definition.get("block", BLOCK),
        whole=definition.get("whole", False),
        keys=Keys(keys[0], Decimal(keys[1]), keys[2]) if keys else None,
        local_epsilon=None if local is None else Decimal(local),
        subject_of=definition["subject_of"],
        strata=tuple(definition.get("strata", ())),
    )


@dataclass(frozen=True, slots=True)
class Namespace:
    """A part `[low, high)` of a numbered line of people: policies with parts that do not overlap never share a person."""

    name: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Holdout:
    """People kept out of every policy of a site."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a policy runs: from `start_ms` on, and before `stop_ms`; None is open."""

    start_ms: int | None = None
    stop_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A measure of the site that must stay above or below a value while the policy runs; of one cell where it names one."""

    measure: str
    cell: Mapping[str, str] | None = None
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Kpi:
    """A further outcome of a policy's trials, counted by arm: what an experiment is judged by beside its reward."""

    name: str
    outcome: Dimension
    """What a trial may say: 0 and 1, marks from 1 to 5, or a number in bins. Anything else falls into `other` and is not judged."""
    scores: tuple[float, ...]
    """What each value counts as in the mean; a bin counts as its middle."""
    higher_is_better: bool
    guardrail: float | None
    """By how much the mean may be worse than the default's before the policy is paused."""
    share: Decimal


@dataclass(frozen=True)
class Policy:
    """Which variants a zone may show, what is learned about them and how much may be risked for it."""

    name: str
    zone: str
    purpose: str
    arms: Mapping[str, Mapping[str, Any]]
    context: tuple[Dimension, ...]
    reward_event: str
    reward_within_ms: int
    learner: str
    explore: float
    holdout: float
    share: Decimal
    trigger: Mapping[str, Any] | None = None
    targeting: Mapping[str, Any] | None = None
    rollout: float = 1.0
    namespace: Namespace | None = None
    holdouts: tuple[Holdout, ...] = ()
    """Those of the whole site."""
    schedule: Schedule | None = None
    max_step: float | None = None
    """The most that a cell's weights move in one update, as total variation distance."""
    guardrails: tuple[Guardrail, ...] = ()
    approval: bool = False
    """Whether what stands in the file waits for somebody's approval."""
    planned_windows: int | None = None
    """For how many windows it is meant to run: noise that is chosen for that is smaller."""
    factors: tuple[str, ...] = ()
    """The arms' parameters that a factorial learner learns about."""
    transitions: str | None = None
    """The measure of transitions that a Markov learner reads."""
    kpis: tuple[Kpi, ...] = ()
    verdict_after_ms: int = 7 * 86_400_000
    """How long an experiment lasts before there is a verdict."""

    @property
    def default_arm(self) -> str:
        """The first arm: what the holdout sees and what is shown when nothing is known."""
        return next(iter(self.arms))

    @property
    def held_out(self) -> float:
        """Part of the people that see the default arm as a measure of comparison: the policy's holdout and the site's together."""
        return 1 - (1 - self.holdout) * math.prod(1 - one.share for one in self.holdouts) if self.holdouts else self.holdout

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Everything that the engine acts on, as JSON."""
        found = asdict(replace(self, context=(), kpis=()))
        found |= {"kpis": [[one.name, list(one.outcome.values), one.higher_is_better, one.guardrail] for one in self.kpis]}
        return found | {"context": {d.name: list(d.values) for d in self.context}, "share": str(self.share.normalize())}

    @cached_property
    def arm_dimension(self) -> Dimension:
        """The arms, and `holdout` after them where the policy has one."""
        return Dimension("arm", (*self.arms, HOLDOUT) if self.holdout or self.holdouts else tuple(self.arms), closed=True)


@dataclass(frozen=True, slots=True)
class AuditTerms:
    """When an audit is scanned and what follows from what a scan finds.

    Slots are the moments `offset_ms + k * schedule_ms` since 1970-01-01T00:00Z; of missed ones the newest `catch_up` are made up for.
    """

    schedule_ms: int = 86_400_000
    offset_ms: int = 0
    catch_up: int = 7
    open_at: str = "breach"
    """From which verdict a finding is opened: `breach` or `attention`."""
    contain: str = "nothing"
    """What is done about the policy at a breach, before anybody has looked: `nothing`, `pause` or `equalise`."""
    due_breach_ms: int = 14 * 86_400_000
    due_attention_ms: int = 30 * 86_400_000

    def due_ms(self, verdict: str) -> int:
        """How long somebody has for a finding of that verdict."""
        return self.due_attention_ms if verdict == "attention" else self.due_breach_ms


@dataclass(frozen=True)
class Audit:
    """Between which groups a policy is compared, and how large a difference is accepted."""

    name: str
    policy: str
    groups: tuple[Dimension, ...]
    purpose: str
    limit: float
    share: Decimal
    terms: AuditTerms = AuditTerms()
    strata: tuple[Dimension, ...] = ()
    """Context of the policy within which groups are compared too."""
    intersections: tuple[tuple[str, ...], ...] = ()
    """Which groups are compared crossed with each other."""


@dataclass(frozen=True, slots=True)
class PrivacyTerms:
    """The promise: (epsilon, delta) for each person and epoch."""

    epsilon: Decimal
    delta: Decimal
    epoch_ms: int
    window_ms: int

    def epoch_of(self, at_ms: int) -> int:
        """Start of the epoch that holds a moment. Epochs are counted from 1970-01-01T00:00Z."""
        return at_ms - at_ms % self.epoch_ms

    def span_of(self, at_ms: int) -> tuple[int, int]:
        """Start and end of the epoch that holds a moment."""
        start_ms = self.epoch_of(at_ms)
        return start_ms, start_ms + self.epoch_ms


@dataclass(frozen=True, slots=True)
class RetentionTerms:
    """For how long what the law asks to be kept is kept: consent records after they ended, and webhook messages after they were settled."""

    records_ms: int = 1095 * 86_400_000
    messages_ms: int = 30 * 86_400_000
    served_ms: int = 365 * 86_400_000


@dataclass(frozen=True, slots=True)
class Necessity:
    """An operator's statement, in the operator's words, that looking for bias without consent is strictly necessary for a time."""

    law: str
    in_force_ms: int
    delete_by_ms: int
    other_data: str
    access: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As it is shown."""
        times = {"in_force": iso(self.in_force_ms), "delete_by": iso(self.delete_by_ms)}
        return {"law": self.law, **times, "other_data": self.other_data, "access": self.access, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class ConsentTerms:
    """What may be presumed of people who have said nothing. By default nothing."""

    opt_out: bool = False
    bias_detection: Necessity | None = None


@dataclass(frozen=True)
class Site:
    """One site with all its measures, the policies' and audits' included."""

    name: str
    privacy: PrivacyTerms
    jurisdiction: str
    jurisdiction_header: str | None
    measures: tuple[Measure, ...]
    policies: Mapping[str, Policy] = field(default_factory=dict)
    audits: Mapping[str, Audit] = field(default_factory=dict)
    retention: RetentionTerms = RetentionTerms()
    terms: ConsentTerms = ConsentTerms()
    controller: Mapping[str, str] | None = None
    """Who is responsible, `name` and `contact`, as it stands on receipts and in answers."""
    rights_due_ms: int = 30 * 86_400_000
    """Within what time a rights request must be finished (Art. 12(3) GDPR: one month)."""
    segments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Targeting expressions by name, for versions of policies to refer to; those of the policies here are in their places already."""

    @cached_property
    def delta_for_keys(self) -> Decimal:
        """The part of delta that measures of undeclared values may use; the rest backs the conversion of rho to epsilon."""
        return self.privacy.delta * sum((m.keys.delta_share for m in self.measures if m.keys), Decimal(0))

    def measure(self, name: str) -> Measure | None:
        """The measure of that name."""
        return next((m for m in self.measures if m.name == name), None)

    def audit_of(self, measure: Measure) -> Audit | None:
        """The audit that a measure was made for."""
        return next((a for a in self.audits.values() if measure.kind is Kind.AUDIT and measure.name == f"audit.{a.name}"), None)

    def policy_measure(self, policy: str) -> Measure:
        """The measure that counts a policy's trials. Raises `KeyError`."""
        return next(m for m in self.measures if m.kind is Kind.POLICY and m.subject_of == policy)

    def kpi_measure(self, policy: str, kpi: str) -> Measure:
        """The measure that counts one of a policy's KPIs. Raises `KeyError`."""
        name = f"policy.{policy}.{kpi}"
        return next(m for m in self.measures if m.kind is Kind.KPI and m.name == name)


@dataclass(frozen=True)
class Declaration:
    """All sites of an installation, and the terms of its evidence log."""

    sites: Mapping[str, Site]
    evidence: EvidenceTerms = field(default_factory=EvidenceTerms)


REWARD = Dimension("reward", ("0", "1"), closed=True)


def policy_measure(site: str, policy: Policy) -> Measure:
    """context x arm x reward under the policy's purpose; one trial a person, so the norm is 1 (disjoint bins).

    What is read of it, and of an audit and of consent choices, is sums over all windows: so the noise is chosen for prefix sums.
    """
    return Measure(
        site=site,
        name=f"policy.{policy.name}",
        kind=Kind.POLICY,
        event="trial",
        purpose=policy.purpose,
        dimensions=(*policy.context, policy.arm_dimension, REWARD),
        share=policy.share,
        over_time="prefix",
        block=policy.planned_windows or BLOCK,
        whole=policy.planned_windows is not None,
        subject_of=policy.name,
    )


def kpi_measure(site: str, policy: Policy, kpi: Kpi) -> Measure:
    """arm x outcome under the policy's purpose; one trial a person, as in the policy's own measure."""
    return Measure(
        site=site,
        name=f"policy.{policy.name}.{kpi.name}",
        kind=Kind.KPI,
        event="trial",
        purpose=policy.purpose,
        dimensions=(policy.arm_dimension, kpi.outcome),
        share=kpi.share,
        over_time="prefix",
        block=policy.planned_windows or BLOCK,
        whole=policy.planned_windows is not None,
        subject_of=policy.name,
    )


def audit_measure(site: str, audit: Audit, policy: Policy) -> Measure:
    """group x stratum x arm x reward under the audit's own purpose."""
    return Measure(
        site=site,
        name=f"audit.{audit.name}",
        kind=Kind.AUDIT,
        event="trial",
        purpose=audit.purpose,
        dimensions=(*audit.groups, *audit.strata, policy.arm_dimension, REWARD),
        share=audit.share,
        over_time="prefix",
        subject_of=policy.name,
        strata=tuple(stratum.name for stratum in audit.strata),
    )


def choices_measure(site: str, share: Decimal) -> Measure:
    """purpose x choice: the private figures behind the consent page."""
    return Measure(
        site=site,
        name="consent.choices",
        kind=Kind.CHOICES,
        event="",
        purpose=BOOKKEEPING,
        dimensions=(Dimension("purpose", PURPOSES, closed=True), Dimension("choice", ("granted", "refused", "withdrawn"), closed=True)),
        share=share,
        bounds=Bounds(windows=1, per_window=len(PURPOSES), per_cell=1),
        over_time="prefix",
    )
