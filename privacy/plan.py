"""What a declaration will cost and what it can show, before anything is collected: the noise of every measure, the rewards a policy
needs, the differences an audit can see. Nothing here has seen an event.
"""

from __future__ import annotations

import math
from typing import Any

from privacy import accounting
from privacy.models import PICO
from tacit.core.declaration import Declaration, Kind, Measure, Site

NORMAL_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""

DETECTION = 2.801586
"""Sum of the normal quantiles for a two-sided 5 % test and 80 % power."""

BASE_RATE = 0.1
"""The reward rate that detectable differences are stated for."""


def plan(declaration: Declaration, *, people: int = 10_000) -> list[dict[str, Any]]:
    """One JSON-able object for each measure of each site; `people` in one epoch is what detectable differences are stated for."""
    return [row for site in declaration.sites.values() for row in _site_rows(site, people)]


def _site_rows(site: Site, people: int) -> list[dict[str, Any]]:
    terms = site.privacy
    rho = accounting.rho_of(terms.epsilon, terms.delta)
    promise = {
        "epsilon": float(terms.epsilon),
        "delta": float(terms.delta),
        "rho": rho / PICO,
        "epoch_ms": terms.epoch_ms,
        "window_ms": terms.window_ms,
        "accumulated": accounting.accumulation(rho, terms.delta),
    }
    return [_row(site, measure, rho, promise, people) for measure in site.measures]


def _row(site: Site, measure: Measure, rho: int, promise: dict[str, Any], people: int) -> dict[str, Any]:
    reserved = accounting.share_of(rho, measure.share)
    row: dict[str, Any] = {
        "site": site.name,
        "measure": measure.name,
        "kind": measure.kind.value,
        "purpose": measure.purpose,
        "share": float(measure.share),
        "cells": measure.cells,
        "bounds": {"windows": measure.bounds.windows, "per_window": measure.bounds.per_window, "per_cell": measure.bounds.per_cell},
        "rho": reserved / PICO,
        "promise": promise,
    }
    noise = accounting.plan_window(measure, accounting.per_window(measure, reserved))
    if noise is None:
        return row | {"mechanism": None, "warning": "the share is too small to buy any noise: this measure is never released"}
    windows = site.privacy.epoch_ms // site.privacy.window_ms
    mechanism = noise.mechanism
    row |= {
        "mechanism": mechanism.name,
        "sensitivity": noise.count_sensitivity,
        "sigma": mechanism.scale,
        "half_width_95": NORMAL_95 * mechanism.scale,
        "half_width_95_epoch": NORMAL_95 * mechanism.scale * math.sqrt(windows),
    }
    if mechanism.sum_scale is not None:
        row |= {
            "sum_sensitivity": noise.sum_sensitivity,
            "sum_sigma": mechanism.sum_scale,
            "sum_half_width_95": NORMAL_95 * mechanism.sum_scale,
        }
    if measure.kind is Kind.POLICY:
        row["needs"] = _rewards(mechanism.scale, windows)
    if measure.kind is Kind.AUDIT:
        row["detects"] = _detectable(measure, mechanism.scale, windows, people)
    return row


def _rewards(sigma: float, windows: int) -> dict[str, int]:
    """Rewards in one cell above which noise adds less than 10 % to the variance of their count (a Poisson count's variance is its size)."""
    return {"rewards_per_cell_and_window": math.ceil(10 * sigma**2), "rewards_per_cell_and_epoch": math.ceil(10 * sigma**2 * windows)}


def _detectable(measure: Measure, sigma: float, windows: int, people: int) -> dict[str, Any]:
    """The smallest difference in reward rate between a group of average size and the rest, seen with 80 % power after one epoch.

    Variance of a rate y/n with noise on both bins: p(1-p)/n + s²((1-p)² + p²)/n², s² the noise of all cells and windows summed into it.
    """
    groups = {d.name: d.size for d in measure.dimensions[:-2]}
    found: dict[str, Any] = {"people": people, "reward_rate": BASE_RATE, "difference": {}}
    for name, size in groups.items():
        cells = measure.cells // 2 // size
        variance = 0.0
        for part, own_cells in ((people / size, cells), (people * (size - 1) / size, cells * (size - 1))):
            noise = sigma**2 * own_cells * windows
            variance += BASE_RATE * (1 - BASE_RATE) / part + noise * ((1 - BASE_RATE) ** 2 + BASE_RATE**2) / part**2
        found["difference"][name] = DETECTION * math.sqrt(variance)
    return found
