"""The pages Policies and one policy: what is shown to whom, whether it is better than the holdout, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from tacit.core.declaration import Policy, Site

from .charts import IntervalChart, LineChart, Row, Series
from .errors import NoSuchPolicy
from .pages import Empty, Figure, PoliciesPage, PolicyPage
from .ports import ArmRow, BundleRow, ComparisonRow, LiftRow, PolicyStateRow
from .services import DashboardServices
from .tables import Column, Table, Value
from .words import READABLE, Finding, Mark, Verdict, between_points, counted, lasting, ms_of, noisy, percent, when

HISTORY = 500
CELLS_SHOWN = 500
AS_A_WHOLE = "holdout"


def shares(cumulative: Sequence[int], arms: Sequence[str]) -> dict[str, float]:
    """Shares of arms from cumulative 16-bit weights.

    >>> shares([16384, 65536], ["control", "larger"])
    {'control': 0.25, 'larger': 0.75}
    """
    whole = cumulative[-1] if cumulative and cumulative[-1] > 0 else 1
    return {arm: (b - a) / whole for arm, a, b in zip(arms, [0, *cumulative], cumulative, strict=False)}


def overall(lift: LiftRow | None) -> ComparisonRow | None:
    """The comparison of the policy as a whole with its holdout."""
    return next((c for c in lift["comparisons"] if c["against"] == AS_A_WHOLE), None) if lift else None


def judge(policy: Policy, lift: LiftRow | None) -> Finding:
    """Attention where the policy is surely worse than its holdout, within limits where it is surely better."""
    if not policy.held_out:
        return Finding(Verdict.CANNOT_TELL, f"{policy.name} has no holdout, so nothing can be said about what it achieves.")
    found = overall(lift)
    if found is None or found["low"] is None or found["high"] is None:
        return Finding(Verdict.CANNOT_TELL, f"There are not enough figures yet to say whether {policy.name} helps.")
    interval = between_points(found["low"], found["high"])
    if found["high"] < 0:
        return Finding(Verdict.ATTENTION, f"{policy.name} does worse than its holdout: {interval} at 95 %.")
    if found["low"] > 0:
        return Finding(Verdict.WITHIN, f"{policy.name} does better than its holdout: {interval} at 95 %.")
    return Finding(Verdict.CANNOT_TELL, f"Whether {policy.name} helps cannot be told yet: {interval} at 95 % includes no difference.")


def policies_page(services: DashboardServices, site: Site) -> PoliciesPage:
    """All declared policies, the ones in trouble first in the sentence."""
    bundle = services.policies.bundle(site.name)
    lifts = {name: services.lift.lift(site.name, name) for name in site.policies}
    judged = {name: judge(policy, lifts[name]) for name, policy in site.policies.items()}
    table_rows: list[tuple[Value, ...]] = []
    chart_rows: list[Row] = []
    for name, policy in site.policies.items():
        found, leader = overall(lifts[name]), _leader(policy, bundle)
        low, high = (found["low"], found["high"]) if found else (None, None)
        none = Mark.SUPPRESSED if found else Mark.MISSING
        table_rows.append(
            (
                name,
                policy.zone,
                "live" if bundle and name in bundle["policies"] else "waiting",
                judged[name].verdict.value,
                none if low is None else low,
                none if high is None else high,
                leader[0] if leader else Mark.MISSING,
                leader[1] if leader else Mark.MISSING,
            )
        )
        point = found["difference"] if found else None
        chart_rows.append(Row(name, low, high, point, judged[name].verdict, none if low is None or high is None else None))
    return PoliciesPage(
        path="/policies",
        title="Policies",
        site=site.name,
        finding=_summary(judged),
        made_ms=services.clock.now_ms(),
        as_of_ms=max((ms_of(one["as_of"]) for one in lifts.values() if one), default=None),
        charts=(
            IntervalChart(
                id="lift",
                title="Lift over the holdout",
                finding="The difference in reward rate between people who get a policy and people kept out of it, "
                "in percentage points at 95 %.",
                rows=tuple(chart_rows),
                table=Table(
                    "policies", "Policies", _POLICY_COLUMNS, tuple(table_rows), links=tuple(f"/policies/{n}" for n in site.policies)
                ),
            ),
        )
        if site.policies
        else (),
        empty=None if site.policies else Empty("Each policy with its lift.", "Declare one under `policies` in tacit.yaml and restart."),
    )


_POLICY_COLUMNS = (
    Column("policy", "Policy"),
    Column("zone", "Zone"),
    Column("state", "State"),
    Column("verdict", "Verdict", "verdict"),
    Column("low", "Lift at least (points)", "points"),
    Column("high", "Lift at most (points)", "points"),
    Column("leader", "Leading arm"),
    Column("share", "Shown to", "percent", 0),
)


def _summary(judged: dict[str, Finding]) -> Finding:
    if not judged:
        return Finding(Verdict.CANNOT_TELL, "This site declares no policy.")
    for verdict, words in ((Verdict.ATTENTION, "worse than the holdout"), (Verdict.WITHIN, "better than the holdout")):
        names = [n for n, f in judged.items() if f.verdict is verdict]
        unclear = sum(f.verdict is Verdict.CANNOT_TELL for f in judged.values())
        if names:
            does = "does" if len(names) == 1 else "do"
            rest = f"; for {unclear} of {len(judged)} it cannot be told yet" if unclear else ""
            both = Verdict.CANNOT_TELL if unclear and verdict is Verdict.WITHIN else verdict
            return Finding(both, f"{' and '.join(names)} {does} {words}{rest}.")
    if len(judged) == 1:
        return next(iter(judged.values()))
    return Finding(Verdict.CANNOT_TELL, f"For none of {len(judged)} policies can it be told yet whether it helps.")


def _leader(policy: Policy, bundle: BundleRow | None) -> tuple[str, float] | None:
    if bundle is None or policy.name not in bundle["policies"]:
        return None
    found = shares(bundle["policies"][policy.name]["default"], list(policy.arms))
    return max(found.items(), key=lambda pair: pair[1]) if found else None


def policy_page(services: DashboardServices, site: Site, name: str) -> PolicyPage:
    """One policy. Raises `NoSuchPolicy`."""
    policy = site.policies.get(name)
    if policy is None:
        raise NoSuchPolicy("the name in the address is not declared")
    bundle, lift = services.policies.bundle(site.name), services.lift.lift(site.name, name)
    history = services.policies.history(site.name, name, limit=HISTORY)
    leader, found = _leader(policy, bundle), overall(lift)
    charts: list[IntervalChart | LineChart] = []
    if lift:
        charts += [_lifts(policy, lift), _rates(lift)]
    if len(history) > 1:
        charts.append(_weights_over_time(policy, history))
    mine = bundle["policies"].get(name) if bundle else None
    known = found is not None and found["low"] is not None and found["high"] is not None
    return PolicyPage(
        path=f"/policies/{name}",
        title=f"Policy {name}",
        site=site.name,
        finding=judge(policy, lift),
        made_ms=services.clock.now_ms(),
        as_of_ms=ms_of(lift["as_of"]) if lift else None,
        figures=(
            Figure("Lift", _interval(found) if known else "—", "over the holdout, at 95 %" if known else "not enough figures yet"),
            Figure(
                "Leading arm", leader[0] if leader else "—", f"shown to {percent(leader[1], 0)} of people" if leader else "no bundle yet"
            ),
            Figure(
                "Bundle",
                f"version {bundle['version']:,}" if mine and bundle else "—",
                f"of {when(ms_of(bundle['published_at']))}" if mine and bundle else "",
            ),
        ),
        charts=tuple(charts),
        tables=(_cells(policy, bundle),) if mine else (),
        empty=None
        if lift
        else Empty(
            "The lift over the holdout, each arm's reward rate and its share of people over time.",
            f"Send `trial` events for {name} with the purpose {policy.purpose} granted; figures appear after the next window "
            f"({lasting(site.privacy.window_ms)}). `tacit plan tacit.yaml` says how many rewards are needed.",
        ),
        name=name,
        settings=(
            ("Zone", policy.zone),
            ("Arms", ", ".join(policy.arms)),
            ("Context", ", ".join(d.name for d in policy.context) or "none"),
            ("Reward", f"{policy.reward_event} within {lasting(policy.reward_within_ms)}"),
            ("Learner", policy.learner),
            ("Explores", percent(policy.explore)),
            ("Holdout", percent(policy.held_out)),
            ("Purpose", policy.purpose.replace("_", " ")),
            ("Share of the budget", percent(float(policy.share))),
        ),
    )


def _interval(found: ComparisonRow | None) -> str:
    if found is None or found["low"] is None or found["high"] is None:
        return "—"
    return between_points(found["low"], found["high"]).removeprefix("between ").replace(" and ", " to ")


def _lifts(policy: Policy, lift: LiftRow) -> IntervalChart:
    rows, cells = [], []
    for one in lift["comparisons"]:
        against = "holdout" if one["against"] == AS_A_WHOLE else one["against"]
        low, high = one["low"], one["high"]
        mark = Mark.SUPPRESSED if low is None or high is None else None
        rows.append(Row(f"{one['name']} against {against}", low, high, one["difference"], None, mark))
        cells.append((one["name"], against, *(Mark.SUPPRESSED if v is None else v for v in (low, high, one["difference"]))))
    return IntervalChart(
        id="lift",
        title="Differences in reward rate",
        finding=lift["sentence"],
        rows=tuple(rows),
        table=Table(
            "lift",
            f"Differences of {policy.name}",
            (
                Column("name", "Compared"),
                Column("against", "against"),
                Column("low", "At least (points)", "points", 2),
                Column("high", "At most (points)", "points", 2),
                Column("difference", "Best guess (points)", "points", 2),
            ),
            tuple(cells),
        ),
    )


def _rates(lift: LiftRow) -> IntervalChart:
    rows, cells = [], []
    for arm in lift["arms"]:
        hidden = arm["low"] is None or arm["high"] is None or arm["trials"] < READABLE * arm["trials_sd"]
        rows.append(Row(arm["arm"], mark=Mark.SUPPRESSED) if hidden else Row(arm["arm"], arm["low"], arm["high"], arm["rate"]))
        values = (Mark.SUPPRESSED,) * 3 if hidden else (arm["low"], arm["high"], arm["rate"])
        cells.append((arm["arm"], *values, noisy(arm["trials"], arm["trials_sd"])))
    best = _best(lift["arms"])
    return IntervalChart(
        id="rates",
        title="Reward rate of each arm",
        finding=f"{best} is ahead of every other arm." if best else "The intervals overlap: no arm is clearly ahead.",
        rows=tuple(rows),
        unit="percent",
        table=Table(
            "rates",
            "Reward rates",
            (
                Column("arm", "Arm"),
                Column("low", "At least", "percent", 2),
                Column("high", "At most", "percent", 2),
                Column("rate", "Best guess", "percent", 2),
                Column("trials", "Trials (95 %)"),
            ),
            tuple(cells),
        ),
    )


def _best(arms: Sequence[ArmRow]) -> str | None:
    known = [(a["low"], a["high"], a["arm"]) for a in arms if a["low"] is not None and a["high"] is not None]
    if len(known) < 2:
        return None
    low, _, name = max(known)
    return name if all(low > high for _, high, other in known if other != name) else None


def _weights_over_time(policy: Policy, history: list[PolicyStateRow]) -> LineChart:
    times = tuple(ms_of(h["at"]) for h in history)
    last = history[-1]["weights"]
    leading = max(policy.arms, key=lambda arm: last.get(arm, 0.0))
    series = tuple(Series(arm, tuple(h["weights"].get(arm) for h in history), leading=arm == leading) for arm in policy.arms)
    return LineChart(
        id="shares",
        title="Share of people that see each arm",
        finding=f"{leading} is now shown to {percent(last.get(leading, 0.0), 0)} of the people in the policy.",
        times=times,
        series=series,
        table=Table(
            "shares",
            "Shares over time",
            (Column("at", "Learned up to", "time"), *(Column(arm, arm, "percent") for arm in policy.arms)),
            tuple(
                (at, *(Mark.MISSING if (v := h["weights"].get(arm)) is None else v for arm in policy.arms))
                for at, h in zip(times, history, strict=True)
            ),
        ),
    )


def _cells(policy: Policy, bundle: BundleRow | None) -> Table:
    rows: list[tuple[Value, ...]] = []
    arms = list(policy.arms)
    if bundle and (mine := bundle["policies"].get(policy.name)):
        everywhere = shares(mine["default"], arms)
        rows.append(("all others" if mine["weights"] else "everybody", *(everywhere.get(a, Mark.MISSING) for a in arms)))
        for key, cumulative in list(mine["weights"].items())[:CELLS_SHOWN]:
            found = shares(cumulative, arms)
            rows.append((key.replace("|", " · "), *(found.get(a, Mark.MISSING) for a in arms)))
    where = " · ".join(d.name for d in policy.context) or "Context"
    title = f"What is shown where ({counted(len(rows), 'line')})"
    return Table("cells", title, (Column("cell", where.capitalize()), *(Column(a, a, "percent", 0) for a in arms)), tuple(rows))
