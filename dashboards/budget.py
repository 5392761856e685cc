"""The page Privacy budget: what was promised to each person and epoch, what was charged against it, and what it adds up to.

Charges are in ρ (zero-concentrated privacy), which adds; ε is what the sum converts to. The page shows both and adds only ρ.
"""

from __future__ import annotations

from tacit.core.declaration import Site

from .charts import IntervalChart, MeterChart, Row, Segment
from .pages import BudgetPage, Empty, Figure
from .plan import plan_tables
from .ports import EpochRow, RefusalRow, SpendRow
from .services import DashboardServices
from .tables import Column, Table
from .words import Finding, Verdict, counted, lasting, loss, ms_of, percent, when

EPOCHS_SHOWN = 30
REFUSALS_SHOWN = 50
PARTS_SHOWN = 5
"""More parts than this could not be told apart; the table has all."""

PICO = 1e-12


def judge(site: Site, epoch: EpochRow | None, refusals: list[RefusalRow], now_ms: int) -> Finding:
    """Breach where more was charged than promised; attention where a release had to be refused; never green without a ledger line."""
    started = site.privacy.epoch_of(now_ms)
    if epoch is None or ms_of(epoch["start"]) < started:
        return Finding(Verdict.CANNOT_TELL, f"Nothing has been charged yet in the epoch that began on {when(started)}.")
    spent, promised, name = epoch["epsilon_spent"], epoch["epsilon"], when(ms_of(epoch["start"]))
    if epoch["spent_pico"] > epoch["rho_pico"]:
        return Finding(Verdict.BREACH, f"More was charged than promised in the epoch from {name}: ε {loss(spent)} of {loss(promised)}.")
    sentence = f"Each person's loss is at most ε {loss(spent)} of the ε {loss(promised)} promised for the epoch from {name}"
    refused = sum(ms_of(r["at"]) >= ms_of(epoch["start"]) for r in refusals)
    if refused:
        return Finding(Verdict.ATTENTION, f"{sentence}; {counted(refused, 'release')} had to be refused.")
    return Finding(Verdict.WITHIN, f"{sentence}.")


def budget_page(services: DashboardServices, site: Site) -> BudgetPage:
    """The page, from the ledger's newest epochs."""
    now = services.clock.now_ms()
    epochs = services.budget.epochs(site.name, limit=EPOCHS_SHOWN)
    refusals = services.budget.refusals(site.name, limit=REFUSALS_SHOWN)
    newest = epochs[0] if epochs else None
    spends = services.budget.spends(site.name, ms_of(newest["start"])) if newest else []
    terms = site.privacy
    charts: list[MeterChart | IntervalChart] = []
    if newest:
        charts.append(_meter(site, newest, spends))
        charts.append(_history(epochs))
    tables = [_promise(newest), _refusals(refusals)] if newest else [_refusals(refusals)]
    tables += plan_tables(services.plans.latest(site.name))
    return BudgetPage(
        path="/budget",
        title="Privacy budget",
        site=site.name,
        finding=judge(site, newest, refusals, now),
        made_ms=now,
        as_of_ms=max((ms_of(s["at"]) for s in spends), default=None),
        figures=(
            Figure(
                "Promised", f"ε {loss(str(terms.epsilon))}", f"for each person in {lasting(terms.epoch_ms)}, with δ = {terms.delta:.0e}"
            ),
            Figure(
                "Charged", f"ε {loss(newest['epsilon_spent'])}" if newest else "—", "the most anybody can have lost in the newest epoch"
            ),
            Figure("Left", percent(_left(newest)) if newest else "—", "of the epoch's ρ"),
        ),
        charts=tuple(charts),
        tables=tuple(tables),
        empty=None
        if newest
        else Empty(
            "A meter of what was promised and charged, by measure and epoch.",
            f"It appears when the first window closes, {lasting(terms.window_ms)} after `tacit serve` or `tacit worker` started. "
            "`tacit plan tacit.yaml` shows beforehand what will be charged.",
        ),
        epsilon=loss(str(terms.epsilon)),
        delta=f"{terms.delta:.0e}",
        epoch=lasting(terms.epoch_ms),
    )


def _left(epoch: EpochRow) -> float:
    return max(0.0, 1 - epoch["spent_pico"] / epoch["rho_pico"]) if epoch["rho_pico"] else 0.0


def _meter(site: Site, epoch: EpochRow, spends: list[SpendRow]) -> MeterChart:
    whole = max(epoch["rho_pico"], 1)
    rows = []
    for spend in spends:
        measure = site.measure(spend["measure"])
        purpose = measure.purpose.replace("_", " ") if measure else "no longer declared"
        rows.append((spend["measure"], purpose, spend["rho_pico"] * PICO, spend["rho_pico"] / whole, ms_of(spend["at"])))
    largest = sorted(spends, key=lambda s: -s["rho_pico"])
    parts = [Segment(s["measure"], s["rho_pico"] / whole) for s in largest[:PARTS_SHOWN]]
    if others := largest[PARTS_SHOWN:]:
        parts.append(Segment(f"{counted(len(others), 'other')}", sum(s["rho_pico"] for s in others) / whole))
    return MeterChart(
        id="charged",
        title="What was charged in the newest epoch",
        finding=f"{percent(epoch['spent_pico'] / whole)} of the epoch's ρ is charged, to {counted(len(spends), 'measure')}.",
        segments=tuple(parts),
        table=Table(
            "charged",
            "Charges of the newest epoch",
            (
                Column("measure", "Measure"),
                Column("purpose", "Purpose"),
                Column("rho", "ρ charged", "number", 5),
                Column("share", "Share of the epoch", "percent"),
                Column("charged_at", "First charged", "time"),
            ),
            tuple(rows),
            empty="No measure was charged in this epoch.",
        ),
    )


def _history(epochs: list[EpochRow]) -> IntervalChart:
    shown = epochs[:14]
    rows = tuple(Row(when(ms_of(e["start"])), 0.0, float(e["epsilon_spent"]), None) for e in shown)
    highest = max(float(e["epsilon_spent"]) for e in shown)
    return IntervalChart(
        id="epochs",
        title="Loss in each epoch",
        finding=f"The largest loss in the last {counted(len(shown), 'epoch')} is ε {loss(str(highest))}.",
        rows=rows,
        unit="epsilon",
        bars=True,
        reach=max(float(e["epsilon"]) for e in shown),
        table=Table(
            "epochs",
            "Epochs",
            (
                Column("start", "Epoch from", "time"),
                Column("end", "to", "time"),
                Column("epsilon_spent", "ε charged", "epsilon"),
                Column("epsilon", "ε promised", "epsilon"),
                Column("rho_spent", "ρ charged", "number", 5),
                Column("rho", "ρ promised", "number", 5),
            ),
            tuple(
                (
                    ms_of(e["start"]),
                    ms_of(e["end"]),
                    float(e["epsilon_spent"]),
                    float(e["epsilon"]),
                    e["spent_pico"] * PICO,
                    e["rho_pico"] * PICO,
                )
                for e in epochs
            ),
        ),
    )


def _promise(epoch: EpochRow) -> Table:
    rows = sorted((int(count), float(epsilon)) for count, epsilon in epoch["accumulated"].items())
    return Table(
        "accumulated",
        "What somebody accumulates who is here in every epoch",
        (Column("epochs", "Epochs in a row"), Column("epsilon", "ε at most", "epsilon")),
        tuple((str(count), epsilon) for count, epsilon in rows),
        empty="The ledger has no accumulation for this epoch.",
    )


def _refusals(refusals: list[RefusalRow]) -> Table:
    return Table(
        "refusals",
        "Refused before anything was computed",
        (Column("at", "Time", "time"), Column("measure", "Measure"), Column("detail", "Why")),
        tuple((ms_of(r["at"]), r["measure"], r["detail"]) for r in refusals),
        empty="No release was ever refused. One would be listed here if a new measure asked for more than is left of an epoch.",
    )
