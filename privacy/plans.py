"""The newest plan of each site, kept in the released vault: the sanitiser computes it, any process reads it. It holds nothing of anybody.

A plan is written when there is none for the declaration as it stands, so that what is read always names the declaration it is about.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from privacy.plan_words import NORMAL_95
from privacy.tables import plans
from tacit.core.clock import iso
from tacit.core.db import reading, writing
from tacit.core.declaration import Site
from tacit.core.evidence import canonical

FORM = 1
"""Raised when what a plan says changes, so that stored ones are made anew."""


def fingerprint(site: Site) -> str:
    """SHA-256 over everything of a site's declaration that a plan depends on."""
    terms = site.privacy
    content = {
        "form": FORM,
        "terms": [str(terms.epsilon), str(terms.delta), terms.epoch_ms, terms.window_ms],
        "measures": [m.definition for m in site.measures],
        "policies": {p.name: p.held_out for p in site.policies.values()},
        "audits": {a.name: [a.policy, a.limit] for a in site.audits.values()},
    }
    return hashlib.sha256(canonical(content)).hexdigest()


def brief(row: Mapping[str, Any]) -> dict[str, Any]:
    """A measure's line for tables: `{measure, noise, share, sd, window, epoch, error}`, of a cell as it is read.

    `sd` is the standard deviation in one window, `window` and `epoch` are 95 % half-widths, `error` is the noise over the count expected in
    an epoch; where the device answers at random, its randomness is in all of them. None where there is no such number.
    """
    line: dict[str, Any] = {"measure": row["measure"], "noise": "never released", "share": row["share"]}
    if row["mechanism"] is None:
        return line | dict.fromkeys(("sd", "window", "epoch", "error"))
    local, strategy = row.get("local"), row["strategy"]
    window, epoch = row["window_sd"], row["sums"][0]["sd"] if row["sums"] else None
    if local:
        window, epoch = local["window"]["sd"], local["epoch"]["sd"]
    plain = "local" if local else "threshold" if "shown" in row else "independent"
    return line | {
        "noise": strategy["over_time"] if strategy else plain,
        "sd": window,
        "window": NORMAL_95 * window,
        "epoch": None if epoch is None else NORMAL_95 * epoch,
        "error": row.get("relative_error", {}).get("epoch"),
    }


class PlanStore:
    """One plan a site."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def about(self, site: str) -> str | None:
        """The fingerprint of the declaration that the stored plan is about; None before the first plan."""
        with reading(self._engine) as connection:
            found: str | None = connection.scalar(select(plans.c.sha256).where(plans.c.site == site))
        return found

    def save(self, site: str, sha256: str, plan: dict[str, Any], *, at_ms: int) -> bool:
        """Put a plan in the place of the one before; False where it is about the same declaration. Two workers write the same plan."""
        values = {"sha256": sha256, "plan": json.dumps(plan), "at_ms": at_ms}
        try:
            with writing(self._engine) as connection:
                known = connection.scalar(select(plans.c.sha256).where(plans.c.site == site))
                if known == sha256:
                    return False
                if known is None:
                    connection.execute(insert(plans).values(site=site, **values))
                else:
                    connection.execute(update(plans).where(plans.c.site == site).values(**values))
        except IntegrityError:
            return False
        return True

    def latest(self, site: str) -> dict[str, Any] | None:
        """The plan with `sha256` and `planned_at`; None before the sanitiser's first pass."""
        with reading(self._engine) as connection:
            row = connection.execute(select(plans).where(plans.c.site == site)).one_or_none()
        return None if row is None else json.loads(row.plan) | {"sha256": row.sha256, "planned_at": iso(row.at_ms)}
