"""What an auditor may have done to a policy, as standing orders that the engine keeps at every bundle from then on.

Satisfies `audit.ports.Corrections`. Prices are read from releases and spend nothing. The invariant: a correction is written in the caller's
transaction, with its own line in the evidence log, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from adjust.errors import UnknownPolicy
from adjust.policies import PolicyBook
from audit.ports import Cap, Change, Constrain, Equalise, Pause, Price, RollBack
from privacy.releases import ReleaseStore
from tacit.core.declaration import Declaration, Policy, Site
from tacit.core.errors import InvalidRequest
from tacit.core.evidence import Entry, EvidenceLog

if TYPE_CHECKING:
    from adjust.pricing import Pricing

Orders = Mapping[str, Any]


class PolicyCorrections:
    """Corrections by standing orders."""

    def __init__(
        self,
        declaration: Declaration,
        book: PolicyBook,
        pricing: Callable[[], Pricing],
        releases: ReleaseStore,
        evidence: EvidenceLog,
    ) -> None:
        """`pricing` loads numpy, so it is made when it is first needed."""
        self._declaration, self._book, self._make = declaration, book, pricing
        self._releases, self._evidence = releases, evidence

    @cached_property
    def _pricing(self) -> Pricing:
        return self._make()

    def price(self, site: str, policy: str, change: Change) -> Price:
        """What the change would cost in lift. Raises `UnknownPolicy` and `InvalidRequest`."""
        where, declared = self._declared(site, policy)
        return self._pricing.price(where, declared, self._orders(where, declared, change))

    def act(self, site: str, policy: str, change: Change, *, actor: str, finding: str, connection: Connection) -> None:
        """Give the orders. Raises `UnknownPolicy` and `InvalidRequest`, before anything is written."""
        where, declared = self._declared(site, policy)
        for key, value in self._orders(where, declared, change).items():
            reason = f"correction of {finding}"
            self._book.controls.put(site, policy, key, value, actor=actor, reason=reason, connection=connection)
            body = {"policy": policy, "key": key, "value": value, "by": actor, "note": reason}
            self._evidence.append([Entry("policy.ordered", site, body)], connection)

    def _orders(self, site: Site, policy: Policy, change: Change) -> Orders:
        match change:
            case Pause():
                return {"paused": "paused by an audit finding"}
            case Cap(arm, most):
                if arm not in policy.arms:
                    raise InvalidRequest("the policy has no such arm", next_step=f"It has {', '.join(policy.arms)}.")
                return {"caps": dict(self._book.controls.read(site.name, policy.name).caps) | {arm: most}}
            case Equalise(within):
                return {"within": within}
            case RollBack(version):
                self._pricing.model(site, policy, version)
                return {"pinned": version}
            case Constrain(limit):
                from adjust.group_mixes import orders_for

                known = self._pricing.known(site, policy)
                standing = self._book.controls.read(site.name, policy.name)
                learned = self._pricing.learned(site, policy, standing, known)
                return orders_for(site, policy, self._releases, learned, limit=limit)

    def _declared(self, site: str, policy: str) -> tuple[Site, Policy]:
        found = self._declaration.sites[site]
        if policy not in found.policies:
            raise UnknownPolicy("the site declares no such policy")
        return found, found.policies[policy]
