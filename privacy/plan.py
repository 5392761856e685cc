"""What a declaration will cost and what it can show, before anything is collected: the noise of every measure and sum, the rewards a policy
needs, the differences an audit can see, the people an undeclared key needs, and advice. Nothing here has seen an event.

Costs are stated as the whole numbers that the ledger will write, so that the two can be compared digit for digit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from privacy import accounting
from privacy.models import ATTO, PICO
from privacy.outlook import PEOPLE, USUAL, Outlook, Traffic, outlook
from privacy.plan_advice import advise
from privacy.plan_needs import cell_sd, detectable, local_price, policy_needs, shown
from privacy.plan_words import NORMAL_95, exact
from tacit.core.declaration import Declaration, Kind, Site

INDEPENDENT = "independent noise in every window leaves no secret behind; no sums over time are declared to be read"
THRESHOLD = "the values are not declared: only those whose noisy count reaches a threshold are published"
TOO_SMALL = "the share is too small to buy any noise: this measure is never released"


def plan(declaration: Declaration, *, people: int = PEOPLE, contributions: float = 1.0) -> list[dict[str, Any]]:
    """One JSON-able object for each measure of each site, with its site's `promise` and the `advice` that is about it.

    `people` a day, each with `contributions` to a measure in an epoch, are what expectations and detectable differences are stated for.
    """
    rows = []
    for site in declaration.sites.values():
        whole = plan_site(site, Traffic(people, contributions))
        for row in whole["measures"]:
            about = [line for line in whole["advice"] if line["measure"] == row["measure"]]
            rows.append({"site": site.name} | row | {"promise": whole["promise"], "advice": about})
    return rows


def plan_site(site: Site, traffic: Traffic = USUAL) -> dict[str, Any]:
    """`{site, traffic, promise, measures, advice}` as JSON-able values."""
    found = [outlook(site, measure, traffic) for measure in site.measures]
    advice = advise(site, found, traffic)
    return {
        "site": site.name,
        "traffic": {
            "people": traffic.people,
            "people_in_epoch": traffic.people_in_epoch(site),
            "contributions": traffic.contributions,
            "assumed": "people are spread evenly over windows and cells",
        },
        "promise": _promise(site, found) | {"advice": [line for line in advice if line["measure"] is None]},
        "measures": [_row(site, one, traffic) for one in found],
        "advice": advice,
    }


def _promise(site: Site, found: list[Outlook]) -> dict[str, Any]:
    """The promise and what is left of it. `reserved` is what the ledger will have spent once every measure has been charged."""
    terms = site.privacy
    rho, delta = accounting.terms_of(site)
    keys = accounting.atto(site.delta_for_keys)
    reserved = sum(one.rho_pico for one in found if one.plan)
    return {
        "epsilon": float(terms.epsilon),
        "delta": float(terms.delta),
        "rho": rho / PICO,
        "rho_pico": rho,
        "epoch_ms": terms.epoch_ms,
        "window_ms": terms.window_ms,
        "accumulated": accounting.accumulation(rho, delta),
        "shares": {measure.name: exact(measure.share) for measure in site.measures},
        "share_left": exact(1 - sum((m.share for m in site.measures), Decimal(0))),
        "reserved_pico": reserved,
        "left_pico": rho - reserved,
        "epsilon_reserved": accounting.epsilon_of(reserved, terms.delta - Decimal(keys) / ATTO),
        "delta_for_keys": exact(site.delta_for_keys),
        "delta_for_noise": exact(delta),
        "keys_atto": keys,
    }


def _row(site: Site, found: Outlook, traffic: Traffic) -> dict[str, Any]:
    measure = found.measure
    row: dict[str, Any] = {
        "measure": measure.name,
        "kind": measure.kind.value,
        "purpose": measure.purpose,
        "share": float(measure.share),
        "cells": measure.cells,
        "bounds": {"windows": measure.bounds.windows, "per_window": measure.bounds.per_window, "per_cell": measure.bounds.per_cell},
        "rho": found.rho_pico / PICO,
        "rho_pico": found.rho_pico,
        "window_rho_pico": accounting.per_window(measure, found.rho_pico),
        "delta_atto": found.delta_atto,
        "window_delta_atto": accounting.per_window(measure, found.delta_atto),
        "over_time": measure.over_time,
    }
    if found.plan is None:
        return row | {"mechanism": None, "warning": TOO_SMALL}
    return row | _mechanism(site, found) | _noise(found) | _purpose(site, found, traffic)


def _mechanism(site: Site, found: Outlook) -> dict[str, Any]:
    """The mechanism that was picked, why, and what it has to remember between windows."""
    measure, strategy = found.measure, found.strategy
    if measure.over_time == "none" or found.plan is None:
        keys = measure.keys is not None
        name = "discrete_gaussian_threshold" if keys else "discrete_gaussian"
        return {"mechanism": name, "strategy": None, "why": THRESHOLD if keys else INDEPENDENT}
    choice = accounting.choice(measure)
    named = {
        "mechanism": found.plan.mechanism.name,
        "why": choice.reason,
        "error": {"of_sums": choice.error, "independent": choice.independent},
    }
    if strategy is None:
        return named | {"strategy": None}
    return named | {
        "strategy": {
            "over_time": strategy.over_time,
            "exponent": strategy.exponent,
            "block_windows": strategy.length,
            "block_ms": strategy.length * site.privacy.window_ms,
            "remembers": {"vectors": strategy.remembers, "numbers": strategy.remembers * measure.length},
        }
    }


def _noise(found: Outlook) -> dict[str, Any]:
    """Standard deviations and half-widths of a cell, and what noise is of an expected count."""
    if found.plan is None:
        return {}
    window = found.sd()
    noise: dict[str, Any] = {
        "sensitivity": found.plan.count_sensitivity,
        "sigma": found.sigma,
        "sigma_first": found.sigma_first,
        "window_sd": window,
        "half_width_95": NORMAL_95 * window,
        "sums": [_sum(found, *one) for one in found.read],
    }
    if noise["sums"]:
        noise["half_width_95_epoch"] = noise["sums"][0]["half_width_95"]
    if found.measure.cells:
        each = found.expected / found.measure.cells
        noise["expected"] = {"window": each / found.windows, "epoch": each}
        noise["relative_error"] = {"window": cell_sd(found, 1) * found.windows / each, "epoch": cell_sd(found, found.windows) / each}
    if (sum_sd := found.sum_sd()) is not None:
        noise |= {
            "sum_sensitivity": found.plan.sum_sensitivity,
            "sum_sigma": found.plan.mechanism.sum_scale,
            "sum_window_sd": sum_sd,
            "sum_half_width_95": NORMAL_95 * sum_sd,
        }
    return noise


def _sum(found: Outlook, of: str, windows: int, start: int | None) -> dict[str, Any]:
    """The noise of a cell's sum over windows: over an `epoch`, a whole `block`, or the `last` windows.

    `sd` is that of the worst place, `sd_inside` that of a sum inside a block, which is where most short ones lie.
    """
    sd, sum_sd, strategy = found.sd(windows, start), found.sum_sd(windows, start), found.strategy
    inside = found.sd(windows, strategy.length - windows) if strategy and windows <= strategy.length else sd
    times_less = found.independent_sd(windows) / inside
    line = {"of": of, "windows": windows, "sd": sd, "sd_inside": inside, "half_width_95": NORMAL_95 * sd, "times_less": times_less}
    return line if sum_sd is None else line | {"sum_sd": sum_sd, "sum_half_width_95": NORMAL_95 * sum_sd}


def _purpose(site: Site, found: Outlook, traffic: Traffic) -> dict[str, Any]:
    """What it takes to see through the noise, by kind."""
    measure, people = found.measure, traffic.people_in_epoch(site)
    more: dict[str, Any] = {}
    policy = site.policies.get(measure.subject_of)
    if measure.kind is Kind.POLICY:
        more["needs"] = policy_needs(found, policy, people)
    if measure.kind is Kind.AUDIT:
        more["detects"] = detectable(found, site.audit_of(measure), policy, people)
    if measure.kind is Kind.KEYS:
        more["shown"] = shown(found)
    if (local := local_price(found)) is not None:
        more["local"] = local
    return more
