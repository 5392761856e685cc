"""A small site with one policy and one audit, tables of known rates, and a clock that stands still."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, insert

import audit.tables
import privacy.tables
from privacy.models import Mechanism, Release, Window, noisy
from tacit.core.db import connect, released_metadata, writing
from tacit.core.declaration import Audit, Dimension, Measure, Policy, PrivacyTerms, Site, audit_measure, policy_measure
from tacit.core.evidence import canonical
from tacit.core.ids import new_id

assert audit.tables.evidence.metadata is released_metadata

MINUTE = 60_000
GROUPS = ("under_35", "35_to_54", "55_plus")
GENERATOR = np.random.default_rng(secrets.randbits(64))


@dataclass
class FixedClock:
    """Tells the time it was given."""

    ms: int = 1_700_000_040_000

    def now_ms(self) -> int:
        return self.ms


def example_site(
    groups: Mapping[str, Sequence[str]] | None = None,
    *,
    arms: Sequence[str] = ("control", "larger"),
    holdout: float = 0.0,
    limit: float = 0.05,
) -> Site:
    """A site whose audit is called `by_age`."""
    policy = Policy(
        name="headline",
        zone="front",
        purpose="personalisation",
        arms={arm: {} for arm in arms},
        context=(),
        reward_event="click",
        reward_within_ms=MINUTE,
        learner="fixed",
        explore=0.03,
        holdout=holdout,
        share=Decimal("0.5"),
    )
    dimensions = tuple(Dimension(name, tuple(values)) for name, values in (groups or {"age_band": GROUPS}).items())
    audit_ = Audit("by_age", "headline", dimensions, "fairness_audit", limit, Decimal("0.2"))
    terms = PrivacyTerms(Decimal(1), Decimal("1e-6"), 86_400_000, MINUTE)
    measures = (policy_measure("newsroom", policy), audit_measure("newsroom", audit_, policy))
    return Site("newsroom", terms, "eu", None, measures, {"headline": policy}, {"by_age": audit_})


def audit_measure_of(site: Site) -> Measure:
    return site.measures[-1]


def trials(
    measure: Measure, people: int, shares: Mapping[str, float], shown: Mapping[str, Sequence[float]], reward: Mapping[str, Sequence[float]]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Exact counts of a measure with one group dimension: who is in which group, is shown which arm, and gives the reward."""
    counts = np.zeros((len(measure.dimensions[0].labels), measure.dimensions[1].size, 2), dtype=np.int64)
    sizes = GENERATOR.multinomial(people, [shares.get(label, 0.0) for label in measure.dimensions[0].labels])
    for g, label in enumerate(measure.dimensions[0].labels):
        if not sizes[g]:
            continue
        for a, n in enumerate(GENERATOR.multinomial(sizes[g], shown[label])):
            hits = GENERATOR.binomial(n, reward[label][a])
            counts[g, a] = (n - hits, hits)
    return counts.ravel()


def with_noise(counts: np.ndarray[Any, np.dtype[np.int64]], sd: float, *, laplace: bool = False) -> tuple[int, ...]:
    """Counts with rounded noise of a standard deviation."""
    if not sd:
        return tuple(int(c) for c in counts)
    noise = GENERATOR.laplace(0, sd / 2**0.5, counts.shape) if laplace else GENERATOR.normal(0, sd, counts.shape)
    return tuple(int(c) for c in counts + np.rint(noise).astype(np.int64))


def release_of(
    measure: Measure, vector: Sequence[int], *, scale: float = 4.0, start_ms: int = 1_700_000_040_000, **changes: Any
) -> Release:
    """A usable release of one minute."""
    values: dict[str, Any] = {
        "id": new_id("rel", now_ms=start_ms),
        "site": measure.site,
        "measure": measure,
        "window": Window(measure.site, start_ms, start_ms + MINUTE, start_ms - start_ms % 86_400_000),
        "mechanism": Mechanism(scale=scale),
        "rho_pico": 10**9,
        "vector": noisy(vector),
        "published_ms": start_ms + MINUTE,
        "usable": True,
    }
    return Release(**(values | changes))


def charge(engine: Engine, release: Release) -> None:
    """What the ledger does before a release: its definition is known and it has been paid for."""
    with writing(engine) as connection:
        if not connection.execute(
            privacy.tables.definitions.select().where(privacy.tables.definitions.c.measure_id == release.measure.id)
        ).first():
            text = canonical(release.measure.definition).decode()
            connection.execute(insert(privacy.tables.definitions).values(measure_id=release.measure.id, definition=text))
        connection.execute(
            insert(privacy.tables.charges).values(
                site=release.site,
                window_ms=release.window.start_ms,
                measure_id=release.measure.id,
                rho_pico=release.rho_pico,
                state="charged",
                at_ms=release.window.end_ms,
            )
        )


def released_vault(tmp_path: Path) -> Engine:
    """An empty released vault."""
    engine = connect(f"sqlite:///{tmp_path / 'released.db'}")
    released_metadata.create_all(engine)
    return engine


def line(
    rows: Mapping[str, tuple[float, float]], *, sd: float = 0.0, limit: float = 0.05, name: str = "discrete_gaussian"
) -> dict[str, Any]:
    """A table for `infer_table`: group -> (hits, misses)."""
    cells = [
        {"group": group, "bin": bin_, "value": value}
        for (group, pair), (bin_, place) in itertools.product(rows.items(), (("1", 0), ("0", 1)))
        for value in [pair[place]]
    ]
    mechanism: dict[str, Any] = {"name": name, "sd": sd} if sd else {"name": "none"}
    return {"id": "table", "limit": limit, "mechanism": mechanism, "cells": cells}
