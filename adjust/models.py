"""A model version: the weights that a learner gave once, with everything needed to know where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adjust.bundle import Payload
from tacit.core.clock import iso
from tacit.core.evidence import canonical

WEIGHTS = ("order", "context", "weights", "default", "windows")
"""What is kept of a bundle's entry: the weights, and what they must fit to be served again."""


@dataclass(frozen=True, slots=True)
class Model:
    """One version of a policy's model. `version` counts up from 1 for each policy."""

    site: str
    policy: str
    version: int
    at_ms: int
    learner: str
    releases: dict[str, Any]
    """`{first, last, count, sha256}` of the ids it was learned from, oldest first: learners draw nothing, so these give it again."""
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    weights: Payload

    @property
    def sha256(self) -> str:
        """Of everything but the version's number and time, so that a model that was learned twice is recognised."""
        content = [self.site, self.policy, self.learner, self.releases, self.parameters, self.metrics, self.weights]
        return hashlib.sha256(canonical(content)).hexdigest()

    def to_json(self, *, whole: bool = True) -> dict[str, Any]:
        """For the API; in lists without weights and parameters."""
        head = {
            "policy": self.policy,
            "version": self.version,
            "at": iso(self.at_ms),
            "learner": self.learner,
            "releases": self.releases,
            "metrics": self.metrics,
            "sha256": self.sha256,
        }
        return head | ({"parameters": self.parameters, "weights": self.weights} if whole else {})

    def fits(self, entry: Payload) -> bool:
        """Whether a bundle's entry has the arms and the context that these weights are for."""
        return all(self.weights[name] == entry[name] for name in ("order", "context"))


def lineage(ids: Sequence[str]) -> dict[str, Any]:
    """Which releases a model was learned from, in a few words.

    >>> lineage(["rel_1", "rel_2"])["count"]
    2
    """
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    return {"first": ids[0] if ids else None, "last": ids[-1] if ids else None, "count": len(ids), "sha256": digest}
