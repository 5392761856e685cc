"""What a site's declaration makes of the rules: where its visitors are when nobody says, and what may be presumed of the silent.

By default nothing is presumed. Two declarations change that, each for its own purposes: `jurisdiction.opt_out` and `bias_detection`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from consent.jurisdictions import SOLD_OR_TARGETED, Jurisdiction, Regime, jurisdiction_of
from consent.models import STRICTEST, Standing
from consent.purposes import BIAS_DETECTION, TERMS
from tacit.core.declaration import FAIRNESS_AUDIT, Declaration, Necessity

OPT_OUT_REGIME: Standing = ("opt_out_regime", -1)
PRESUMED_NECESSARY: Standing = ("bias_detection", -1)
"""Standings of people without a record. No stored standing equals them: a stored expiry is never negative."""

_NOTHING: Mapping[str, Standing] = {}


@dataclass(frozen=True, slots=True)
class SiteRules:
    """One site's part of the declaration."""

    jurisdiction: str = STRICTEST
    opt_out: bool = False
    necessity: Necessity | None = None

    def place(self, named: str | None) -> Jurisdiction:
        """The rules for somebody in a named place, or in the site's own where none is named."""
        return jurisdiction_of(named or self.jurisdiction)

    @property
    def opt_out_holds(self) -> bool:
        """Whether the silent may be counted: the site says so, and so does the law where its visitors are."""
        return self.opt_out and self.place(None).regime is Regime.OPT_OUT

    @property
    def presumable(self) -> frozenset[str]:
        """The purposes for which something may be presumed of the silent, now or at another time."""
        sold = SOLD_OR_TARGETED if self.opt_out_holds else ()
        return frozenset(sold if self.necessity is None else (*sold, FAIRNESS_AUDIT))

    def with_keys(self, versions: Collection[int]) -> SiteRules:
        """The rules while these versions of the site's lookup key are live.

        Once the first is destroyed, whoever said no under it can never be told from the silent, so nothing is presumed of anybody.
        """
        return self if 1 in versions else replace(self, opt_out=False, necessity=None)

    def presumed(self, *, now_ms: int) -> Mapping[str, Standing]:
        """What stands for a purpose without a record, for people of whom nothing is known."""
        if not self.opt_out and self.necessity is None:
            return _NOTHING
        found: dict[str, Standing] = {}
        if self.opt_out_holds:
            found |= dict.fromkeys(SOLD_OR_TARGETED, OPT_OUT_REGIME)
        if self.necessity is not None and self.necessity.in_force_ms <= now_ms < self.necessity.delete_by_ms:
            found[FAIRNESS_AUDIT] = PRESUMED_NECESSARY
        return found

    def presumed_in(self, codes: Iterable[str | None], *, now_ms: int) -> Mapping[str, Standing]:
        """The same for somebody whose records name these places: one of them with opt-in rules is enough to presume no opt-out."""
        found = self.presumed(now_ms=now_ms)
        if OPT_OUT_REGIME in found.values() and any(self.place(code or STRICTEST).regime is Regime.OPT_IN for code in codes):
            return {purpose: standing for purpose, standing in found.items() if standing is not OPT_OUT_REGIME}
        return found

    def to_json(self) -> dict[str, Any]:
        """What the site has declared, and which conditions of the bias-detection route that meets."""
        necessity = self.necessity
        return {
            "jurisdiction": self.jurisdiction,
            "rules_of": self.place(None).code,
            "opt_out": self.opt_out_holds,
            "bias_detection": necessity.to_json() if necessity is not None else None,
            "conditions_open": [c.name for c in BIAS_DETECTION.conditions if c.met_by == "operator"] if necessity is None else [],
        }


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of all sites; of a site nobody declared, the strictest."""

    sites: Mapping[str, SiteRules] = field(default_factory=dict)

    def of(self, site: str) -> SiteRules:
        """One site's."""
        return self.sites.get(site, _STRICT)

    @classmethod
    def declared(cls, declaration: Declaration) -> Rules:
        """What `tacit.yaml` says."""
        return cls(
            {name: SiteRules(site.jurisdiction, site.terms.opt_out, site.terms.bias_detection) for name, site in declaration.sites.items()}
        )


_STRICT = SiteRules()


def basis_of(purpose: str, standing: Standing | None) -> str:
    """The legal basis that a standing rests on."""
    return BIAS_DETECTION.basis if standing == PRESUMED_NECESSARY else TERMS[purpose].basis
