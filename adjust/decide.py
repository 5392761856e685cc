"""Decisions from a bundle: one hash, one look-up, nothing stored.

The same unit gets the same arm within a bundle, and is in or out of a policy's holdout for ever. The propensity that is answered is the exact
probability, over units, of the arm in that cell.
"""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from adjust.bundle import FULL
from adjust.errors import UnknownPolicy
from tacit.core.declaration import HOLDOUT, OTHER

_SPAN = 1 << 32


class _Policy:
    __slots__ = ("arms", "cells", "context", "default", "default_parameters", "holdout", "name", "parameters", "salt")

    def __init__(self, name: str, entry: Mapping[str, Any], *, salt: str, site: str) -> None:
        self.name = name
        self.arms = list(entry["arms"])
        self.parameters = [entry["arms"][arm] for arm in self.arms]
        self.context = [(key, frozenset(values)) for key, values in entry["context"].items()]
        self.default = tuple(entry["default"])
        self.cells = {cell: tuple(steps) for cell, steps in entry["weights"].items()}
        self.holdout = int(entry["holdout"] * _SPAN)
        self.salt = (f"{name}\0{salt}\0".encode(), f"{name}:{HOLDOUT}\0{site}\0".encode())


class Decider:
    """All policies of one bundle, ready to answer."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.version: int = payload["version"]
        self._policies = {
            name: _Policy(name, entry, salt=payload["salt"], site=payload["site"]) for name, entry in payload["policies"].items()
        }
        self._zones: dict[str, _Policy] = {}
        for name, entry in payload["policies"].items():
            self._zones.setdefault(entry["zone"], self._policies[name])

    @classmethod
    def from_bundle(cls, payload: Mapping[str, Any]) -> Decider:
        """The decider of a verified payload."""
        return cls(payload)

    def decide(
        self, *, policy: str | None = None, zone: str | None = None, context: Mapping[str, Any] | None = None, unit: str | None = None
    ) -> dict[str, Any]:
        """The arm for a unit in a context. Raises `UnknownPolicy`."""
        chosen = self._policies.get(policy) if policy is not None else self._zones.get(zone or "")
        if chosen is None:
            raise UnknownPolicy("no policy of this name or for this zone is in the bundle")
        cell = (
            "|".join([_label(context, key, values) for key, values in chosen.context])
            if context
            else "|".join([OTHER] * len(chosen.context))
        )
        steps = chosen.cells.get(cell)
        reason = "weights"
        if steps is None:
            steps, reason = chosen.default, "default"
        name = unit.encode("utf-8", "surrogatepass") if unit else secrets.token_bytes(16)
        kept = 1 - chosen.holdout / _SPAN
        if chosen.holdout and int.from_bytes(sha256(chosen.salt[1] + name).digest()[:4], "big") < chosen.holdout:
            arm, parameters, propensity, reason = HOLDOUT, chosen.parameters[0], 1 - kept, HOLDOUT
        else:
            draw = int.from_bytes(sha256(chosen.salt[0] + name).digest()[:4], "big") * FULL // _SPAN
            index = bisect_right(steps, draw)
            arm, parameters = chosen.arms[index], chosen.parameters[index]
            propensity = kept * (steps[index] - (steps[index - 1] if index else 0)) / FULL
        return {
            "policy": chosen.name,
            "arm": arm,
            "parameters": parameters,
            "propensity": propensity,
            "cell": cell,
            "reason": reason,
            "bundle": self.version,
        }


def _label(context: Mapping[str, Any], key: str, values: frozenset[str]) -> str:
    value = context.get(key)
    return value if isinstance(value, str) and value in values else OTHER
