"""Decisions from a bundle: a few dictionary look-ups and two hashes, nothing stored. The browser SDK computes exactly the same.

Assignment. x = first 4 bytes of SHA-256(policy \\0 bundle salt \\0 unit), big-endian; the arm is the first whose cumulative weight is
above floor(x * 65535 / 2^32). Held out is who has first 4 bytes of SHA-256(policy ":holdout" \\0 site \\0 unit) < holdout * 2^32: the
site's name does not change between bundles, so neither does the holdout. Without a unit both numbers are fresh and random.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from adjust.bundle import ONE, Payload
from adjust.cells import SEPARATOR
from adjust.errors import UnknownPolicy
from tacit.core.declaration import HOLDOUT, OTHER

WEIGHTS, DEFAULT = "weights", "default"
"""Reasons of a decision: the cell has weights of its own, or has the policy's; the third one is `holdout`."""

_SPAN = 1 << 32
_PREPARED_LIMIT = 200_000

_Prepared = tuple[list[int], list[dict[str, Any]], dict[str, Any]]


def number(policy: str, salt: str, unit: str) -> int:
    """The 32-bit number that decides for a unit."""
    return int.from_bytes(hashlib.sha256(f"{policy}\0{salt}\0{unit}".encode("utf-8", "surrogatepass")).digest()[:4], "big")


class Decider:
    """One bundle, prepared for deciding."""

    def __init__(self, site: str, version: int, policies: Mapping[str, _Policy]) -> None:
        self.site, self.version = site, version
        self._by_name = dict(policies)
        self._by_zone = {policy.zone: policy for policy in reversed(list(policies.values()))}

    @classmethod
    def from_bundle(cls, payload: Payload) -> Decider:
        """The decider for a verified payload."""
        policies = {name: _Policy(name, entry, payload) for name, entry in payload["policies"].items()}
        return cls(payload["site"], payload["version"], policies)

    def decide(
        self, policy: str | None = None, *, zone: str | None = None, context: Mapping[str, Any] | None = None, unit: str | None = None
    ) -> dict[str, Any]:
        """`{policy, arm, parameters, propensity, cell, reason, bundle}`. Unknown context keys are dropped. Raises `UnknownPolicy`.

        `propensity` is the exact probability of this arm in this cell, the holdout included.
        """
        found = self._by_name.get(policy) if policy is not None else self._by_zone.get(zone) if zone is not None else None
        if found is None:
            raise UnknownPolicy("the bundle has no such policy or zone")
        return found.decide(context or {}, unit)


class _Policy:
    __slots__ = ("_arm", "_dimensions", "_entry", "_held", "_holdout", "_name", "_prepared", "_version", "_weights", "zone")

    def __init__(self, name: str, entry: Payload, payload: Payload) -> None:
        self.zone: str = entry["zone"]
        self._name, self._entry, self._version = name, entry, payload["version"]
        self._weights: Mapping[str, list[int]] = entry["weights"]
        self._dimensions = [(key, {value: value for value in values}) for key, values in entry["context"].items()]
        self._holdout = int(entry["holdout"] * _SPAN)
        self._arm = hashlib.sha256(f"{name}\0{payload['salt']}\0".encode())
        self._held = hashlib.sha256(f"{name}:holdout\0{payload['site']}\0".encode())
        self._prepared: dict[str, _Prepared] = {}

    def decide(self, context: Mapping[str, Any], unit: str | None) -> dict[str, Any]:
        labels = []
        for key, values in self._dimensions:
            value = context.get(key)
            if value.__class__ is not str:
                value = _text(value)
            labels.append(values.get(value, OTHER))
        cell = SEPARATOR.join(labels)
        prepared = self._prepared.get(cell)
        if prepared is None:
            prepared = self._prepare(cell)
        steps, answers, held_out = prepared
        if unit is None:
            held, x = random.getrandbits(32), random.getrandbits(32)
        else:
            encoded = unit.encode("utf-8", "surrogatepass")
            hashed = self._held.copy()
            hashed.update(encoded)
            held = int.from_bytes(hashed.digest()[:4], "big")
            if held >= self._holdout:
                hashed = self._arm.copy()
                hashed.update(encoded)
                x = int.from_bytes(hashed.digest()[:4], "big")
        if held < self._holdout:
            return held_out.copy()
        return answers[bisect_right(steps, x * ONE >> 32)].copy()

    def _prepare(self, cell: str) -> _Prepared:
        """Every possible answer for one cell. Cells are declared ones, so there are not many; the limit is for very large contexts."""
        if len(self._prepared) >= _PREPARED_LIMIT:
            self._prepared.clear()
        steps = self._weights.get(cell)
        reason = DEFAULT if steps is None else WEIGHTS
        if steps is None:
            steps = self._entry["default"]
        holdout = self._holdout / _SPAN
        common = {"cell": cell, "reason": reason, "bundle": self._version}
        answers = [
            {"policy": self._name, "arm": arm, "parameters": parameters, "propensity": (high - low) / ONE * (1 - holdout)} | common
            for (arm, parameters), (low, high) in zip(self._entry["arms"].items(), itertools.pairwise([0, *steps]), strict=True)
        ]
        shown = next(iter(self._entry["arms"].values()))
        held_out = {"policy": self._name, "arm": HOLDOUT, "parameters": shown, "propensity": holdout} | common | {"reason": HOLDOUT}
        found = self._prepared[cell] = (steps, answers, held_out)
        return found


def _text(value: object) -> str:
    """A number is its text, as in the declaration; anything else is outside every domain."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""
