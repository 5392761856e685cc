"""Which rules hold where, as data: one row a place, each with its source. A place that is not here has the strictest rules, those of `eu`.

Tacit asks before it counts everywhere. `opt_out` in a row is what the law allows there; it takes effect only where `tacit.yaml` says so.
Laws change and these rows are no legal advice: have counsel check them, above all where `CHECKED` is long ago.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from consent.models import STRICTEST
from tacit.core.declaration import FAIRNESS_AUDIT, MEASUREMENT, PERSONALISATION, PURPOSES

CHECKED = "2026-11-24"
"""When the table was last compared with its sources."""

SOLD_OR_TARGETED = (MEASUREMENT, PERSONALISATION)
"""The purposes for which laws that recognise opt-out signals may bind us. The gate honours Global Privacy Control for all, everywhere."""


class Regime(StrEnum):
    """What the law says about somebody who has said nothing."""

    OPT_IN = "opt_in"
    OPT_OUT = "opt_out"


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """The rules of one place. Ages in years, durations in days; `gpc` are the purposes for which the law makes the signal binding."""

    code: str
    regime: Regime
    minimum_age: int
    expiry_days: Mapping[str, int]
    ask_again_days: int
    gpc: tuple[str, ...]
    source: str

    def to_json(self) -> dict[str, Any]:
        """As it is hashed and shown."""
        return {
            "code": self.code,
            "regime": self.regime.value,
            "minimum_age": self.minimum_age,
            "expiry_days": dict(self.expiry_days),
            "ask_again_days": self.ask_again_days,
            "gpc": list(self.gpc),
            "source": self.source,
        }


# Six months: how long the CNIL's recommendation on trackers of 17 September 2020 calls good practice for keeping a choice.
_SIX_MONTHS = MappingProxyType(dict.fromkeys(PURPOSES, 180))
_A_YEAR = MappingProxyType({MEASUREMENT: 365, PERSONALISATION: 365, FAIRNESS_AUDIT: 180})

_GDPR = "Regulation (EU) 2016/679, Art. 7 and 8; https://eur-lex.europa.eu/eli/reg/2016/679/oj; ages by national law"

# Art. 8(1) GDPR: 16 unless national law says less, at least 13. Where reforms are under way, the higher age stands here.
_AGES = {
    **dict.fromkeys(("be", "ee", "fi", "is", "lv", "mt", "pt", "se"), 13),
    **dict.fromkeys(("at", "bg", "cy", "es", "it", "lt"), 14),
    **dict.fromkeys(("cz", "dk", "fr", "gr", "no", "si"), 15),
    **dict.fromkeys(("de", "hr", "hu", "ie", "li", "lu", "nl", "pl", "ro", "sk"), 16),
}

# State laws; the first twelve recognise a universal opt-out signal.
_SIGNAL_BINDS = {
    "us-ca": "Cal. Civ. Code § 1798.135; Cal. Code Regs. tit. 11, § 7025",
    "us-co": "Colorado Privacy Act, C.R.S. § 6-1-1306",
    "us-ct": "Connecticut Data Privacy Act, Conn. Gen. Stat. § 42-515 et seq.",
    "us-de": "Delaware Personal Data Privacy Act, 6 Del. C. ch. 12D",
    "us-md": "Maryland Online Data Privacy Act of 2024",
    "us-mn": "Minnesota Consumer Data Privacy Act, Minn. Stat. ch. 325M",
    "us-mt": "Montana Consumer Data Privacy Act, Mont. Code § 30-14-2801 et seq.",
    "us-ne": "Nebraska Data Privacy Act, Neb. Rev. Stat. § 87-1101 et seq.",
    "us-nh": "New Hampshire RSA ch. 507-H",
    "us-nj": "New Jersey Data Privacy Act, N.J.S.A. 56:8-166.4 et seq.",
    "us-or": "Oregon Consumer Privacy Act, ORS 646A.570 et seq.",
    "us-tx": "Texas Data Privacy and Security Act, Tex. Bus. & Com. Code ch. 541",
}
_SIGNAL_OPEN = {
    "us-fl": "Florida Digital Bill of Rights, Fla. Stat. § 501.701 et seq.",
    "us-ia": "Iowa Consumer Data Protection Act, Iowa Code ch. 715D",
    "us-in": "Indiana Consumer Data Protection Act, Ind. Code 24-15",
    "us-ky": "Kentucky Consumer Data Protection Act",
    "us-ri": "Rhode Island Data Transparency and Privacy Protection Act",
    "us-tn": "Tennessee Information Protection Act",
    "us-ut": "Utah Consumer Privacy Act, Utah Code 13-61",
    "us-va": "Virginia Consumer Data Protection Act, Va. Code § 59.1-575 et seq.",
}
_COPPA = "; age: 15 U.S.C. § 6501 (COPPA)"


def _europe(code: str, age: int, source: str) -> Jurisdiction:
    return Jurisdiction(code, Regime.OPT_IN, age, _SIX_MONTHS, 180, (), source)


def _state(code: str, source: str, *, gpc: tuple[str, ...]) -> Jurisdiction:
    # Twelve months before a person may be asked again: Cal. Civ. Code § 1798.135(c)(4), taken for every state.
    return Jurisdiction(code, Regime.OPT_OUT, 13, _A_YEAR, 365, gpc, source + _COPPA)


JURISDICTIONS: Mapping[str, Jurisdiction] = MappingProxyType(
    {
        STRICTEST: _europe(STRICTEST, 16, _GDPR),
        **{code: _europe(code, age, _GDPR) for code, age in sorted(_AGES.items())},
        "gb": _europe("gb", 13, "UK GDPR, Data Protection Act 2018 s. 9; Privacy and Electronic Communications Regulations 2003"),
        "ch": _europe("ch", 16, "Federal Act on Data Protection of 25 September 2020"),
        **{code: _state(code, source, gpc=SOLD_OR_TARGETED) for code, source in _SIGNAL_BINDS.items()},
        **{code: _state(code, source, gpc=()) for code, source in _SIGNAL_OPEN.items()},
    }
)
"""By code: ISO 3166-1 in lower case, `us-` and the state, and `eu` for the Union without a member state."""

ALIASES = MappingProxyType({"uk": "gb", "el": "gr"})


def jurisdiction_of(code: str | None) -> Jurisdiction:
    """The rules of a place; of a place that the table does not know, the strictest.

    >>> jurisdiction_of("us-ca").regime.value, jurisdiction_of("us").code, jurisdiction_of(None).code
    ('opt_out', 'eu', 'eu')
    """
    named = (code or STRICTEST).lower()
    return JURISDICTIONS.get(ALIASES.get(named, named), JURISDICTIONS[STRICTEST])
