"""A released vault with a site, one policy and releases put into it, without the sanitiser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import toeplitz
from sqlalchemy import Connection, Engine, insert

import adjust.tables
import privacy.tables
from adjust.bundle import Bundle, Payload, policy_entry, salt_of
from privacy.choosing import choose
from privacy.models import Mechanism, Release, Row, Window, noisy, packed
from privacy.strategy import coefficients
from tacit.core.db import connect, released_metadata, writing
from tacit.core.declaration import Declaration, Dimension, Measure, Policy, PrivacyTerms, Site, policy_measure
from tacit.core.evidence import Entry, canonical
from tacit.core.rootkey import RootKey

assert adjust.tables.bundles.metadata is released_metadata

WINDOW = 3_600_000
ROOT = RootKey(bytes(range(32)))
ARMS = {"control": {"scale": 1.0}, "bigger": {"scale": 1.1}, "a_biggest": {"scale": 1.2}}
CONTEXT = (Dimension("device", ("mobile", "desktop")), Dimension("daypart", ("morning", "evening")))


@dataclass
class FixedClock:
    now: int = 10 * WINDOW

    def now_ms(self) -> int:
        return self.now


@dataclass
class MemoryEvidence:
    entries: list[Entry] = field(default_factory=list)

    def append(self, entries: Sequence[Entry], connection: Connection | None = None) -> list[int]:
        start = len(self.entries)
        self.entries.extend(entries)
        return list(range(start, len(self.entries)))

    def kinds(self) -> list[str]:
        return [e.kind for e in self.entries]


def policy(name: str = "headline", **changes: Any) -> Policy:
    values: dict[str, Any] = {
        "name": name,
        "zone": f"front.{name}",
        "purpose": "personalisation",
        "arms": ARMS,
        "context": CONTEXT,
        "reward_event": "click",
        "reward_within_ms": 1_800_000,
        "learner": "thompson",
        "explore": 0.03,
        "holdout": 0.05,
        "share": Decimal("0.4"),
    }
    return Policy(**(values | changes))


def site(*policies: Policy) -> Site:
    terms = PrivacyTerms(Decimal(1), Decimal("1e-6"), 24 * WINDOW, WINDOW)
    measures = tuple(policy_measure("newsroom", p) for p in policies)
    return Site("newsroom", terms, "eu", None, measures, {p.name: p for p in policies})


def declaration(*policies: Policy) -> Declaration:
    return Declaration({"newsroom": site(*policies)})


def payload(*policies: Policy, weights: Mapping[str, Sequence[float]] | None = None, version: int = 1) -> Payload:
    """A payload as `verify` gives it, with even weights where none are named."""
    entries = {p.name: policy_entry(p, weights or {}, [1 / len(p.arms)] * len(p.arms), windows=0) for p in policies}
    return Bundle("newsroom", version, 0, salt_of("newsroom", 0), [], entries).payload()


def release(measure: Measure, vector: Sequence[int], *, number: int = 0, scale: float = 5.0, usable: bool | None = True) -> Release:
    window = Window(measure.site, number * WINDOW, (number + 1) * WINDOW, 0)
    return Release(f"rel_{measure.name}_{number}", measure.site, measure, window, Mechanism(scale=scale), 1, noisy(vector), 0, usable, 0)


def draw(
    measure: Measure,
    rates: Mapping[str, Sequence[float]],
    people: Mapping[str, Sequence[int]],
    generator: np.random.Generator,
    *,
    number: int = 0,
    scale: float = 5.0,
) -> Release:
    """One noisy window: `rates` and `people` by context cell, for the arms in the order of the measure's arm dimension."""
    vector = np.zeros(measure.cells, dtype=np.int64)
    keys = {"|".join(v for k, v in labels.items() if k not in ("arm", "reward")) for labels in measure.all_labels}
    assert rates.keys() == people.keys() <= keys
    arms = measure.dimensions[-2].labels
    for cell, labels in enumerate(measure.all_labels):
        key = "|".join(v for k, v in labels.items() if k not in ("arm", "reward"))
        if key in rates and labels["reward"] == "1":
            arm = arms.index(labels["arm"])
            clicks = generator.binomial(people[key][arm], rates[key][arm])
            vector[cell] += clicks
            vector[cell - 1] += people[key][arm] - clicks
    vector += np.rint(generator.normal(0, scale, measure.cells)).astype(np.int64)
    return release(measure, vector.tolist(), number=number, scale=scale)


STREAM = choose("prefix", windows=1, length=64, bits=20).strategy


def streamed(exact: Sequence[Release], noise: Sequence[np.typing.NDArray[np.float64]], *, scale: float) -> list[Release]:
    """Exact windows in order as rows of one block with correlated noise: `noise` is each row's, of standard deviation `scale`."""
    assert STREAM is not None
    weights = np.tril(toeplitz(np.array(coefficients(STREAM)[: len(exact)])))
    rows = np.rint((weights @ np.array([r.vector for r in exact], dtype=float) + np.array(noise)) * STREAM.unit)
    estimates = np.linalg.solve(weights, rows / STREAM.unit)
    found = []
    for at, (one, row, estimate) in enumerate(zip(exact, rows, estimates, strict=True)):
        place = Row(STREAM, "blk", at, tuple(estimate.tolist()))
        found.append(replace(one, mechanism=Mechanism(scale=scale, over_time="prefix"), vector=noisy(row.astype(int).tolist()), row=place))
    return found


def vault(place: Path) -> Engine:
    engine = connect(f"sqlite:///{place / 'released.db'}")
    released_metadata.create_all(engine)
    return engine


def put(engine: Engine, *releases: Release) -> None:
    """Store releases as the sanitiser would, without its ledger."""
    with writing(engine) as connection:
        for one in releases:
            known = {"measure_id": one.measure.id, "definition": canonical(one.measure.definition).decode()}
            if not connection.execute(
                privacy.tables.definitions.select().where(privacy.tables.definitions.c.measure_id == one.measure.id)
            ).first():
                connection.execute(insert(privacy.tables.definitions).values(**known))
            connection.execute(
                insert(privacy.tables.releases).values(
                    id=one.id,
                    site=one.site,
                    measure=one.measure.name,
                    measure_id=one.measure.id,
                    window_ms=one.window.start_ms,
                    window_end_ms=one.window.end_ms,
                    epoch_ms=0,
                    scale=one.mechanism.scale,
                    sum_scale=None,
                    rho_pico=1,
                    vector=packed(one.vector),
                    published_ms=0,
                    usable=one.usable,
                    evidence_index=0,
                )
            )
