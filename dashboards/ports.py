"""What the pages need to read, as small protocols over plain JSON-able values. `tacit.wiring` joins them to the rooms' stores.

Everything here lies in the released vault already: noisy figures, ledger lines, bundles, verdicts, hashes. A `Moment` is either
milliseconds since 1970 in UTC or an ISO 8601 text with a zone, so that a room's own `to_json` can be handed through unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Protocol, TypedDict

Moment = int | str


class Span(TypedDict):
    """A half-open stretch of time."""

    start: Moment
    end: Moment


class CellRow(TypedDict):
    """One noisy value; `sd` is the standard deviation of its noise."""

    by: dict[str, str]
    bin: str
    value: float
    sd: float


class ReleaseRow(TypedDict):
    """One release, as `Release.to_json()` gives it; `cells` may be left out, the pages do not show single windows' cells."""

    id: str
    measure: str
    window: Span
    published_at: Moment
    usable: NotRequired[bool | None]
    """Whether the quality checks let the engine use it; None while they have not run."""
    evidence: NotRequired[dict[str, Any]]


class DayRow(TypedDict):
    """The sum of one measure's releases over one day in UTC."""

    start: Moment
    windows: int
    cells: list[CellRow]


class ReleaseReader(Protocol):
    """Stored releases."""

    def latest(self, site: str, *, limit: int) -> list[ReleaseRow]:
        """The newest releases of all measures, newest first."""
        ...

    def by_day(self, site: str, measure: str, *, from_ms: int) -> list[DayRow]:
        """One measure's daily sums, oldest first, days without any release left out. `dashboards.days.sum_by_day` does the adding."""
        ...


class EpochRow(TypedDict):
    """One line of the ledger's epochs."""

    start: Moment
    end: Moment
    epsilon: str
    delta: str
    rho_pico: int
    spent_pico: int
    epsilon_spent: str
    accumulated: dict[str, str]
    """Number of epochs -> the epsilon that somebody present in all of them accumulates."""


class SpendRow(TypedDict):
    """One measure's reservation in an epoch."""

    measure: str
    rho_pico: int
    at: Moment


class RefusalRow(TypedDict):
    """A release that the ledger refused before anything was computed."""

    measure: str
    at: Moment
    detail: str


class BudgetReader(Protocol):
    """The ledger's public lines."""

    def epochs(self, site: str, *, limit: int) -> list[EpochRow]:
        """Newest first."""
        ...

    def spends(self, site: str, epoch_ms: int) -> list[SpendRow]:
        """Reservations of one epoch, oldest first."""
        ...

    def refusals(self, site: str, *, limit: int) -> list[RefusalRow]:
        """Newest first."""
        ...


class MeasurePlanRow(TypedDict):
    """What was reckoned of one measure; None where nothing of it can be released or its cells are not declared."""

    measure: str
    noise: str
    """`independent`, `prefix`, `sliding:7`, `threshold`, `local` or `never released`."""
    share: float
    sd: float | None
    window: float | None
    """95 % half-width of a cell in one window."""
    epoch: float | None
    error: float | None


class AdviceRow(TypedDict):
    """One line of advice on the declaration."""

    path: str
    text: str


class PlanRow(TypedDict):
    """A site's plan."""

    people: int
    """A day."""
    measures: list[MeasurePlanRow]
    advice: list[AdviceRow]


class PlanReader(Protocol):
    """The sanitiser's plans."""

    def latest(self, site: str) -> PlanRow | None:
        """None before the sanitiser's first pass."""
        ...


class BundlePolicyRow(TypedDict):
    """A policy's weights: cumulative over the arms in their declared order; the last number stands for 1."""

    default: list[int]
    """The weights of every cell that `weights` does not list."""
    weights: dict[str, list[int]]


class BundleRow(TypedDict):
    """The latest bundle's payload, as far as pages show it."""

    version: int
    published_at: Moment
    policies: dict[str, BundlePolicyRow]


class PolicyStateRow(TypedDict):
    """What had been learned of a policy at the end of a window: arm -> share of people."""

    at: Moment
    weights: dict[str, float]


class PolicyReader(Protocol):
    """Published bundles and their history."""

    def bundle(self, site: str) -> BundleRow | None:
        """The bundle that clients use now."""
        ...

    def history(self, site: str, policy: str, *, limit: int) -> list[PolicyStateRow]:
        """The newest `limit` states, oldest first."""
        ...


class ComparisonRow(TypedDict):
    """A difference of two reward rates with its 95 % interval (sampling and privacy noise); None where it cannot be assessed."""

    name: str
    against: str
    """`holdout` for the policy as a whole, otherwise the default arm's name."""
    difference: float | None
    low: float | None
    high: float | None


class ArmRow(TypedDict):
    """An arm's reward rate with its 95 % interval, and the noisy number of trials."""

    arm: str
    rate: float | None
    low: float | None
    high: float | None
    trials: float
    trials_sd: float


class LiftRow(TypedDict):
    """What a policy is known to achieve."""

    sentence: str
    as_of: Moment
    comparisons: list[ComparisonRow]
    arms: list[ArmRow]


class LiftReader(Protocol):
    """Experiments' results."""

    def lift(self, site: str, policy: str) -> LiftRow | None:
        """None before the first usable release."""
        ...


class GroupRow(TypedDict):
    """One comparison of a scan: a group against everybody else; None where the figures are too noisy to assess."""

    dimension: str
    group: str
    what: str
    """For example `reward rate` or `sees larger`."""
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    people: float
    people_sd: float
    verdict: str


class ScanRow(TypedDict):
    """The latest scan of one audit."""

    id: str
    audit: str
    at: Moment
    verdict: str
    groups: list[GroupRow]


class ScanReader(Protocol):
    """Bias scans."""

    def latest(self, site: str) -> list[ScanRow]:
        """The newest scan of every audit that has one."""
        ...


class FindingRow(TypedDict):
    """An opened finding: `open`, `assigned`, `accepted`, `corrected`, `dismissed`, `closed` or `reopened`."""

    id: str
    audit: str
    subject: str
    verdict: str
    state: str
    opened_at: Moment
    due_at: Moment
    detail: Mapping[str, Any]
    signatures: NotRequired[int]
    """How many people have signed the decision."""


class FindingEventRow(TypedDict):
    """One row of a finding's history; no words that anybody wrote."""

    at: Moment
    subject: str
    action: str
    state: str
    actor: str


class FindingReader(Protocol):
    """Findings of scans."""

    def history(self, site: str, *, limit: int) -> list[FindingEventRow]:
        """What was done about findings, newest first."""
        ...

    def findings(self, site: str, *, limit: int) -> list[FindingRow]:
        """Newest first, closed ones included."""
        ...


class EvidenceHead(TypedDict):
    """The state of the evidence log."""

    size: int
    head: str
    """Hash of the newest entry in hexadecimal; empty for an empty log."""
    verified_at: Moment | None
    first_bad: int | None
    """Index of the first entry that did not verify."""


class EvidenceReader(Protocol):
    """The evidence log, as far as pages show it."""

    def head(self) -> EvidenceHead:
        """How long the log is and when it was last verified."""
        ...


class AlertRow(TypedDict):
    """Something the operator was told."""

    at: Moment
    kind: str
    detail: str


class AlertReader(Protocol):
    """Alerts."""

    def alerts(self, site: str, *, limit: int) -> Sequence[AlertRow]:
        """Newest first."""
        ...
