"""A small installation in memory: real readers of realistic, made-up figures, and an app around the pages."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from dashboards.api import router
from dashboards.days import sum_by_day
from dashboards.ports import (
    AdviceRow,
    AlertRow,
    ArmRow,
    BundlePolicyRow,
    BundleRow,
    ComparisonRow,
    DayRow,
    EpochRow,
    EvidenceHead,
    FindingEventRow,
    FindingRow,
    GroupRow,
    LiftRow,
    MeasurePlanRow,
    PlanRow,
    PolicyStateRow,
    RefusalRow,
    ReleaseRow,
    ScanRow,
    SpendRow,
)
from dashboards.rendering import render_problem_page
from dashboards.services import DashboardServices
from dashboards.session import Sessions
from privacy.models import Mechanism, Release, Window, noisy
from tacit.core.access import KeyStore, Role
from tacit.core.clock import from_iso, iso
from tacit.core.configuration import parse
from tacit.core.db import connect, released_metadata
from tacit.core.declaration import Measure
from tacit.core.errors import Forbidden, NotFound, Problem, Unauthenticated

NOW = from_iso("2026-11-24T09:12:30Z")
DAY = 86_400_000
TODAY = NOW - NOW % DAY
SECRET = b"s" * 32

CONFIGURATION = """
sites:
  newsroom:
    privacy: {epsilon: 1.0, delta: 1.0e-6, epoch: 1d, window: 1m}
    measures:
      pages: {event: page, by: {category: [frontpage, news, tech]}, per_window: 3, share: 0.15}
    policies:
      headline:
        zone: front.headline
        arms: {control: {scale: 1.0}, larger: {scale: 1.1}, largest: {scale: 1.2}}
        context: {device: [mobile, desktop], daypart: [morning, evening]}
        reward: {event: click}
        share: 0.4
      teaser:
        zone: article.teaser
        arms: {short: {lines: 1}, long: {lines: 3}}
        reward: {event: click}
        share: 0.15
    audits:
      by_age: {policy: headline, groups: {age_band: [under_35, 35_to_54, 55_plus]}, limit: 0.05, share: 0.15}
      by_region: {policy: teaser, groups: {region: [north, south]}, share: 0.1}
    consent_choices: {share: 0.05}
  empty:
    privacy: {epsilon: 0.5, delta: 1.0e-6}
    policies:
      banner: {zone: top, arms: {a: {}, b: {}}, reward: {event: click}, share: 0.5}
    audits:
      by_age: {policy: banner, groups: {age_band: [young, old]}, share: 0.2}
"""


class FixedClock:
    """A clock that stands."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now


@dataclass
class Releases:
    """Releases of two minutes ago, and choices of the last days with one day missing."""

    filled: bool = True

    def latest(self, site: str, *, limit: int) -> list[ReleaseRow]:
        if site != "newsroom" or not self.filled:
            return []
        end = NOW - NOW % 60_000 - 60_000
        return [
            ReleaseRow(
                id=f"rel_{k:026d}",
                measure=name,
                window={"start": iso(end - 60_000), "end": iso(end)},
                published_at=end + 2_000,
                usable=True,
                evidence={"index": 4_800 + k},
            )
            for k, name in enumerate(("pages", "policy.headline", "policy.teaser", "audit.by_age", "audit.by_region", "consent.choices"))
        ][:limit]

    def by_day(self, site: str, measure: str, *, from_ms: int) -> list[DayRow]:
        if site != "newsroom" or not self.filled:
            return []
        found = DECLARATION.sites[site].measure(measure)
        assert found is not None
        base = (2410, 590, 61, 1720, 1310, 140, 820, 640, 25)
        releases = [
            _release(found, TODAY - k * DAY + hour * 3_600_000, [round(v * (1 + 0.1 * math.sin(k + i)) / 4) for i, v in enumerate(base)])
            for k in range(40)
            if k != 5
            for hour in (0, 2, 4, 6)
        ]
        return [d for d in sum_by_day(releases) if int(d["start"]) >= from_ms]


def _release(measure: Measure, start_ms: int, values: list[int]) -> Release:
    vector = noisy([*values, *[0] * (measure.cells - len(values))])
    window = Window(measure.site, start_ms, start_ms + 60_000, start_ms - start_ms % DAY)
    return Release(f"rel_{start_ms}", measure.site, measure, window, Mechanism(scale=42.0), 1, vector, start_ms + 62_000)


@dataclass
class Budget:
    """Ten epochs, each spent to 99.9 %."""

    refused: list[RefusalRow] = field(default_factory=list)
    spent_pico: int = 19_380_000_000

    def epochs(self, site: str, *, limit: int) -> list[EpochRow]:
        if site != "newsroom":
            return []
        return [
            EpochRow(
                start=TODAY - k * DAY,
                end=TODAY - (k - 1) * DAY,
                epsilon="1.0",
                delta="1e-6",
                rho_pico=19_400_000_000,
                spent_pico=self.spent_pico,
                epsilon_spent="0.99943" if k != 3 else "0.7312",
                accumulated={"7": "2.87", "30": "6.5", "365": "29.8"},
            )
            for k in range(10)
        ][:limit]

    def spends(self, site: str, epoch_ms: int) -> list[SpendRow]:
        shares = {"pages": 15, "policy.headline": 40, "policy.teaser": 15, "audit.by_age": 15, "audit.by_region": 10, "consent.choices": 5}
        return [SpendRow(measure=m, rho_pico=193_800_000 * s, at=epoch_ms + 60_000) for m, s in shares.items()]

    def refusals(self, site: str, *, limit: int) -> list[RefusalRow]:
        return self.refused[:limit] if site == "newsroom" else []


class Plans:
    """Two measures, one of them never released, and one line of advice."""

    def latest(self, site: str) -> PlanRow | None:
        if site != "newsroom":
            return None
        lost = MeasurePlanRow(measure="lost", noise="never released", share=1e-12, sd=None, window=None, epoch=None, error=None)
        pages = MeasurePlanRow(measure="pages", noise="prefix", share=0.15, sd=12.5, window=24.5, epoch=61.0, error=0.031)
        text = "One person may put 3 into one cell. With `per_cell: 1` the noise is 1.7 times smaller."
        return PlanRow(people=10_000, measures=[pages, lost], advice=[AdviceRow(path="sites.newsroom.measures.pages.per_cell", text=text)])


class Policies:
    """Bundle 1,433 and two days of learning."""

    def bundle(self, site: str) -> BundleRow | None:
        if site != "newsroom":
            return None
        headline = BundlePolicyRow(
            default=[9_175, 52_428, 65_536],
            weights={"mobile|morning": [3_276, 60_293, 65_536], "desktop|evening": [26_214, 45_875, 65_536]},
        )
        return BundleRow(
            version=1_433,
            published_at=NOW - 58_000,
            policies={"headline": headline, "teaser": BundlePolicyRow(default=[32_000, 65_536], weights={})},
        )

    def history(self, site: str, policy: str, *, limit: int) -> list[PolicyStateRow]:
        if site != "newsroom" or policy != "headline":
            return []
        rows = []
        for k in range(96):
            larger = 0.66 - 0.33 * math.exp(-k / 25) + 0.015 * math.sin(k)
            control = 0.14 + 0.19 * math.exp(-k / 18)
            weights = {"control": control, "larger": larger, "largest": 1 - larger - control}
            rows.append(PolicyStateRow(at=NOW - (96 - k) * 1_800_000, weights=weights if k != 40 else {}))
        return rows[-limit:]


@dataclass
class Lifts:
    """`headline` helps; `teaser` is unclear."""

    low: float = 0.004

    def lift(self, site: str, policy: str) -> LiftRow | None:
        if site != "newsroom":
            return None
        if policy == "teaser":
            whole = ComparisonRow(name="all treated", against="holdout", difference=0.002, low=-0.011, high=0.015)
            return LiftRow(sentence="Nothing can be told yet.", as_of=NOW - 90_000, comparisons=[whole], arms=[])
        return LiftRow(
            sentence="People who get the policy click more than the holdout: between +0.4 and +2.1 points at 95 %.",
            as_of=NOW - 90_000,
            comparisons=[
                ComparisonRow(name="all treated", against="holdout", difference=self.low + 0.0085, low=self.low, high=self.low + 0.017),
                ComparisonRow(name="larger", against="control", difference=0.018, low=0.011, high=0.025),
                ComparisonRow(name="largest", against="control", difference=None, low=None, high=None),
            ],
            arms=[
                ArmRow(arm="control", rate=0.081, low=0.076, high=0.086, trials=11_240.0, trials_sd=260.0),
                ArmRow(arm="larger", rate=0.099, low=0.095, high=0.103, trials=41_310.0, trials_sd=260.0),
                ArmRow(arm="largest", rate=0.05, low=0.01, high=0.09, trials=610.0, trials_sd=260.0),
            ],
        )


def group(name: str, what: str, low: float | None, high: float | None, verdict: str, people: float = 9_000.0) -> GroupRow:
    """One comparison."""
    middle = None if low is None or high is None else (low + high) / 2
    p = None if middle is None else 0.001 if verdict in ("breach", "attention") else 0.4
    return GroupRow(
        dimension="age_band",
        group=name,
        what=what,
        difference=middle,
        low=low,
        high=high,
        p=p,
        people=people,
        people_sd=310.0,
        verdict=verdict,
    )


@dataclass
class Scans:
    """One audit scanned, one not."""

    verdict: str = "breach"

    def latest(self, site: str) -> list[ScanRow]:
        if site != "newsroom":
            return []
        groups = [
            group("under_35", "reward rate", 0.006, 0.031, "within limits"),
            group("35_to_54", "reward rate", -0.012, 0.018, "within limits"),
            group("55_plus", "reward rate", -0.094, -0.056, self.verdict, 6_200.0),
            group("55_plus", "sees larger", -0.071, -0.012, "attention", 6_200.0),
            group("under_35", "sees larger", -0.02, 0.064, "cannot tell"),
            group("other", "reward rate", None, None, "cannot tell", 410.0),
        ]
        return [ScanRow(id="scan_1", audit="by_age", at=iso(NOW - 3_600_000), verdict=self.verdict, groups=groups)]


@dataclass
class Findings:
    """One open, one closed."""

    def history(self, site: str, *, limit: int) -> list[FindingEventRow]:
        return [
            FindingEventRow(at=NOW - DAY, subject=row["subject"], action="opened", state="open", actor="scan") for row in self.rows[:limit]
        ]

    rows: list[FindingRow] = field(
        default_factory=lambda: [
            FindingRow(
                id="fnd_01kaxbreach",
                audit="by_age",
                subject="55_plus: reward rate",
                verdict="breach",
                state="open",
                opened_at=NOW - 2 * DAY,
                due_at=NOW + 12 * DAY,
                detail={},
            ),
            FindingRow(
                id="fnd_01kawclosed",
                audit="by_age",
                subject="35_to_54: sees largest",
                verdict="breach",
                state="closed",
                opened_at=NOW - 30 * DAY,
                due_at=NOW - 16 * DAY,
                detail={},
            ),
        ]
    )

    def findings(self, site: str, *, limit: int) -> list[FindingRow]:
        return self.rows[:limit] if site == "newsroom" else []


@dataclass
class Evidence:
    """A log that verified an hour ago."""

    row: EvidenceHead = field(
        default_factory=lambda: EvidenceHead(size=4_812, head="ab" * 32, verified_at=iso(NOW - 3_600_000), first_bad=None)
    )

    def head(self) -> EvidenceHead:
        return self.row


class Alerts:
    """One alert."""

    def alerts(self, site: str, *, limit: int) -> list[AlertRow]:
        if site != "newsroom":
            return []
        return [AlertRow(at=NOW - 5 * 3_600_000, kind="learner.failed", detail="teaser kept its last good weights")][:limit]


DECLARATION = parse(CONFIGURATION)


def services() -> DashboardServices:
    """All readers."""
    return DashboardServices(
        declaration=DECLARATION,
        releases=Releases(),
        budget=Budget(),
        plans=Plans(),
        policies=Policies(),
        lift=Lifts(),
        scans=Scans(),
        findings=Findings(),
        evidence=Evidence(),
        alerts=Alerts(),
        clock=FixedClock(),
    )


def installation(directory: Path, clock: FixedClock | None = None) -> tuple[FastAPI, KeyStore, dict[str, str]]:
    """An app with the pages, and a key of each role (`admin` for all sites, the others for newsroom)."""
    engine = connect(f"sqlite:///{directory / 'released.db'}")
    released_metadata.create_all(engine)
    store = KeyStore(engine)
    keys = {role.value: store.create("*" if role is Role.ADMIN else "newsroom", role, now_ms=NOW) for role in Role}
    app = FastAPI()
    app.include_router(router(services(), Sessions(store, SECRET, clock or FixedClock())))

    @app.exception_handler(Problem)
    def show(request: Request, problem: Problem) -> Response:
        known = {Unauthenticated: 401, Forbidden: 403, NotFound: 404}
        status = next((code for kind, code in known.items() if isinstance(problem, kind)), 400)
        if "text/html" in request.headers.get("accept", ""):
            return render_problem_page(problem, status=status, problem_id="prb_1")
        return JSONResponse({"type": problem.type}, status, media_type="application/problem+json")

    return app, store, keys
