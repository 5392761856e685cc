"""Bundles: every policy of a site as weights per context cell, signed, so that anybody may cache one and nobody can change it.

Payload (canonical JSON, RFC 8785): `{site, version, published_at, salt, releases, policies: {name: {zone, arms, order: {arms, context},
floats, trigger, context, weights: {cell: [cumulative]}, default: [cumulative], holdout, explore, windows, targeting, rollout,
namespace: {name, from, to}, holdouts: [{name, share}], schedule: {start, stop}, state, kill, revision}}}`. Cumulative weights follow
`order.arms`, are 16-bit and end with 65535, which stands for 1. A cell that `weights` does not name has the weights of `default`.
The first of `order.arms` is the default arm. Canonical JSON sorts keys and writes 1.0 as 1,
therefore `order` and `floats`; `verify` restores both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adjust.draws import ONE
from adjust.errors import BundleInvalid
from tacit.core import jws
from tacit.core.clock import iso
from tacit.core.declaration import Holdout, Policy
from tacit.core.evidence import canonical
from tacit.core.rootkey import RootKey

TYPE, PART_TYPE = "tacit-bundle+json", "tacit-bundle-part+json"
"""The JWS header's `typ` of a whole bundle and of one zone's part, so that neither can be taken for the other."""

RUNNING = "running"
"""The only state in which a policy decides."""

Payload = dict[str, Any]


def cumulative(weights: Sequence[float]) -> list[int]:
    """16-bit cumulative weights that end with exactly 65535, by largest remainders; each is off by less than 1/65535.

    >>> cumulative([0.5, 0.25, 0.25])
    [32767, 49151, 65535]
    """
    total = sum(weights)
    exact = [w / total * ONE for w in weights]
    parts = [int(x) for x in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for i in by_remainder[: ONE - sum(parts)]:
        parts[i] += 1
    found, so_far = [], 0
    for part in parts:
        so_far += part
        found.append(so_far)
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a policy runs, and which of its orders that is."""

    state: str = RUNNING
    kill: bool = False
    revision: int = 0
    """Counts up with every version, state and control of the policy."""


def policy_entry(
    policy: Policy,
    weights: Mapping[str, Sequence[float]],
    general: Sequence[float],
    *,
    windows: int,
    standing: Standing = Standing(),
) -> Payload:
    """One policy as it stands in a payload. Cells whose weights are the general ones are left out."""
    default = cumulative(general)
    cells = {key: cumulative(found) for key, found in weights.items()}
    return {
        "zone": policy.zone,
        "arms": {name: dict(parameters) for name, parameters in policy.arms.items()},
        "order": {"arms": list(policy.arms), "context": [d.name for d in policy.context]},
        "floats": floats(policy.arms),
        "trigger": None if policy.trigger is None else dict(policy.trigger),
        "context": {d.name: list(d.values) for d in policy.context},
        "weights": {key: found for key, found in cells.items() if found != default},
        "default": default,
        "holdout": policy.holdout,
        "explore": policy.explore,
        "windows": windows,
        "targeting": None if policy.targeting is None else dict(policy.targeting),
        "rollout": policy.rollout,
        "namespace": {"name": space.name, "from": space.low, "to": space.high} if (space := policy.namespace) else None,
        "holdouts": [{"name": one.name, "share": one.share} for one in _holdouts(policy)],
        "schedule": {"start": _iso(plan.start_ms), "stop": _iso(plan.stop_ms)} if (plan := policy.schedule) else None,
        "state": standing.state,
        "kill": standing.kill,
        "revision": standing.revision,
    }


def _holdouts(policy: Policy) -> list[Holdout]:
    """The site's, then the policy's own under the policy's name."""
    return [*policy.holdouts, *([Holdout(policy.name, policy.holdout)] if policy.holdout else [])]


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso(at_ms)


def floats(arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Parameters that are numbers, and a float in any arm. Canonical JSON writes 1.0 as 1, and a typed client would take it for an integer.

    >>> floats({"plain": {"scale": 1.0, "columns": 2}, "large": {"scale": 2, "columns": 3}})
    ['scale']
    """
    values = [(name, value) for parameters in arms.values() for name, value in parameters.items()]
    found = {name for name, value in values if isinstance(value, float)}
    return sorted(found - {name for name, value in values if isinstance(value, bool | str)})


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is about to be published for a site."""

    site: str
    version: int
    published_ms: int
    salt: str
    releases: Sequence[str]
    policies: Mapping[str, Payload] = field(default_factory=dict)

    def payload(self) -> Payload:
        """The content that is signed."""
        return {
            "site": self.site,
            "version": self.version,
            "published_at": iso(self.published_ms),
            "salt": self.salt,
            "releases": list(self.releases),
            "policies": dict(self.policies),
        }

    def sign(self, root: RootKey) -> str:
        """The bundle as a flattened JWS (RFC 7515, `alg: EdDSA`), one line of JSON."""
        return canonical(jws.sign(self.payload(), TYPE, root.signing_key())).decode()


def salt_of(site: str, epoch_ms: int) -> str:
    """The same within an epoch, so that a new bundle moves few people to another arm, and another one in the next epoch."""
    return hashlib.sha256(f"tacit bundle\0{site}\0{epoch_ms}".encode()).hexdigest()[:16]


def verify(signed: str | bytes, public_key: Ed25519PublicKey) -> Payload:
    """The payload of a bundle, with arms and context in declared order. Raises `BundleInvalid`."""
    try:
        return _ordered(jws.verify(json.loads(signed), TYPE, public_key))
    except jws.SignatureInvalid as error:
        raise BundleInvalid(str(error)) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BundleInvalid("it cannot be read") from None


def jwks(root: RootKey) -> dict[str, Any]:
    """The installation's public key as a JWK set (RFC 7517, RFC 8037)."""
    public = root.signing_key().public_key()
    return {"keys": [jws.jwk(public) | {"kid": jws.thumbprint(public), "alg": "EdDSA", "use": "sig"}]}


def _ordered(payload: Payload) -> Payload:
    for policy in payload["policies"].values():
        for name in ("arms", "context"):
            policy[name] = {key: policy[name][key] for key in policy["order"][name]}
        for parameters in policy["arms"].values():
            parameters |= {name: float(parameters[name]) for name in policy.get("floats", ()) if name in parameters}
    return payload
