"""A service with one policy and one audit on real stores: simulated people are answered by the newest bundle and counted with noise."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

import audit.officer_tables
import audit.tables
from adjust.corrections import PolicyCorrections
from adjust.models_store import ModelStore
from adjust.policies import PolicyBook
from adjust.pricing import Pricing
from adjust.published import weighed
from adjust.service import Engine
from adjust.store import BundleStore, PolicyHistory
from audit.findings_store import find
from audit.log import Log
from audit.results import ScanResult
from audit.scan import Scanner
from audit.service import Asking, Findings
from audit.store import AuditStore
from privacy.releases import ReleaseStore
from tacit.core.access import Caller, KeyStore, Role
from tacit.core.db import reading
from tacit.core.declaration import Audit, AuditTerms, Declaration, Dimension, Measure, Site, audit_measure, policy_measure
from tests.adjust.support import ROOT, WINDOW, FixedClock, policy, put, release, site, vault

assert audit.tables.scans.metadata is audit.officer_tables.finding_events.metadata

DEVICE = Dimension("device", ("mobile", "desktop"))
AGES = ("under_35", "55_plus")
MOBILE = {"under_35": 0.85, "55_plus": 0.25}
"""Which part of each age has a phone in its hand."""

RATES: Mapping[str, Sequence[float]] = {"mobile": (0.05, 0.15), "desktop": (0.15, 0.05)}
"""Of `control` and of `larger`: what the engine learns, and why groups are shown different arms."""

SCALE = 4.0


class Audited:
    """The whole released side: engine, scanner, desk and two officers."""

    def __init__(self, place: Path, *, strata: bool = False, limit: float = 0.1, terms: AuditTerms | None = None, **changes: Any) -> None:
        arms = {"control": {"scale": 1.0}, "larger": {"scale": 1.1}}
        declared = policy(**({"arms": arms, "context": (DEVICE,), "holdout": 0.0, "explore": 0.1} | changes))
        groups = (Dimension("age_band", AGES),)
        audited = Audit("by_age", declared.name, groups, "fairness_audit", limit, Decimal("0.2"), terms or AuditTerms())
        audited = replace(audited, strata=(DEVICE,) if strata else ())
        self.policy_measure = policy_measure("newsroom", declared)
        self.audit_measure = audit_measure("newsroom", audited, declared)
        self.site = Site(
            "newsroom",
            site(declared).privacy,
            "eu",
            None,
            (self.policy_measure, self.audit_measure),
            {declared.name: declared},
            {"by_age": audited},
        )
        self.policy, self.declaration = declared, Declaration({"newsroom": self.site})
        self.vault, self.clock, self.random = vault(place), FixedClock(), np.random.default_rng(secrets.randbits(64))
        self.log = Log(self.vault, self.clock)
        self.releases, self.models = ReleaseStore(self.vault), ModelStore(self.vault)
        self.found = ""
        self.book, self.bundles = PolicyBook(self.vault, self.log, self.clock), BundleStore(self.vault, ROOT)
        self.pricing = Pricing(self.releases, self.models, self.book)
        self.corrections = PolicyCorrections(self.declaration, self.book, lambda: self.pricing, self.releases, self.log)
        self.engine = Engine(self.releases, self.bundles, PolicyHistory(self.vault), self.log, ROOT, self.clock, self.models, self.book)
        self.store = AuditStore(self.vault)
        self.scanner = Scanner(self.releases, self.store, self.log, self.clock, self.corrections)
        keys = KeyStore(self.vault)
        self.desk = Findings(self.vault, self.log, self.corrections, keys.by_id, self.declaration, self.clock)
        self.anna, self.ben = (keys.identify(keys.create("newsroom", Role.OFFICER, now_ms=0)) for _ in range(2))

    def entry(self) -> dict[str, Any]:
        """The policy's entry in the newest bundle."""
        payload = self.bundles.latest_payload("newsroom")
        assert payload is not None
        found: dict[str, Any] = payload["policies"][self.policy.name]
        return found

    def weights(self) -> dict[str, list[float]]:
        """What people are answered by: cell -> shares of the arms."""
        entry = self.entry()
        if entry["state"] != "running":
            return {cell: [1.0] + [0.0] * (len(self.policy.arms) - 1) for cell in ("mobile", "desktop", "other")}
        return {cell: list(shares) for cell, shares in weighed(self.policy, entry).weights.items()}

    def window(self, people: int = 100_000) -> None:
        """People come, are answered by the newest bundle and counted; both measures are released, and the clock goes on."""
        self.step()
        weights = self.weights()
        arms = len(self.policy_measure.dimensions[-2].labels)
        cells = {(age, device): np.zeros((arms, 2), dtype=int) for age in AGES for device in DEVICE.values}
        for age in AGES:
            for device, part in zip(DEVICE.values, (MOBILE[age], 1 - MOBILE[age]), strict=True):
                held = self.policy.holdout
                shown = [(1 - held) * w for w in weights[device]] + ([held] if arms > len(self.policy.arms) else [])
                rates = [*RATES[device], *([0.05] * (len(self.policy.arms) - 2)), *([RATES[device][0]] if held else [])]
                each = self.random.multinomial(self.random.binomial(people // 2, part), shown)
                rewarded = self.random.binomial(each, rates)
                cells[age, device] = np.stack([each - rewarded, rewarded], axis=1)
        start = self.clock.now // WINDOW + 1
        self._release(self.policy_measure, self._by_context(cells), start)
        self._release(self.audit_measure, self._by_group(cells), start)
        self.clock.now = (start + 1) * WINDOW

    def step(self) -> None:
        """The engine's next bundle."""
        self.clock.now += 1
        self.engine.step(self.site)

    def scan(self) -> ScanResult:
        """Everything so far."""
        self.clock.now += 1
        return self.scanner.scan_audit(self.site, self.site.audits["by_age"])

    def skewed(self) -> str:
        """Two windows, after each of which the engine has learned, and a scan; the finding about the exposure of the elder to `larger`."""
        self.window()
        self.window()
        self.step()
        opened = self.scan().opened
        return next(f.id for f in self.store.findings("newsroom")[0] if f.subject == "age_band=55_plus exposure larger" and f.id in opened)

    def exposures(self) -> float:
        """How far apart the ages are in what they are shown, exactly, with the newest bundle."""
        weights = self.weights()
        one, other = (
            [MOBILE[age] * a + (1 - MOBILE[age]) * b for a, b in zip(weights["mobile"], weights["desktop"], strict=True)] for age in AGES
        )
        return max(abs(a - b) for a, b in zip(one, other, strict=True))

    def asks(self, caller: Caller | None = None) -> Asking:
        return Asking(caller or self.anna, "newsroom")

    def finding(self, finding: str) -> Any:
        with reading(self.vault) as connection:
            return find(connection, "newsroom", finding)

    def _by_context(self, cells: Mapping[tuple[str, str], Any]) -> Any:
        table = np.zeros([d.size for d in self.policy_measure.dimensions], dtype=int)
        for (_, device), counts in cells.items():
            table[DEVICE.values.index(device)] += counts
        return table

    def _by_group(self, cells: Mapping[tuple[str, str], Any]) -> Any:
        table = np.zeros([d.size for d in self.audit_measure.dimensions], dtype=int)
        for (age, device), counts in cells.items():
            place = (AGES.index(age), *((DEVICE.values.index(device),) if self.audit_measure.strata else ()))
            table[place] += counts
        return table

    def _release(self, measure: Measure, table: Any, number: int) -> None:
        noise = np.rint(self.random.normal(0, SCALE, table.shape)).astype(int)
        put(self.vault, release(measure, (table + noise).ravel().tolist(), number=number, scale=SCALE))
