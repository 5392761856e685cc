"""A bundle's policies as OpenFeature flags: what each key means, and a decision in the words of the OpenFeature Remote Evaluation Protocol.

A policy is an object flag of its own name, `{policy}.{parameter}` a flag of the parameter's type, and `{policy}.arm` the arm's name where
no parameter is called so. A policy's name goes before a parameter's where both make the same key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adjust.decide import Decider

ARM = "arm"

STATIC, SPLIT, DISABLED = "STATIC", "SPLIT", "DISABLED"

REASONS = {"weights": SPLIT, "default": SPLIT, "holdout": SPLIT} | dict.fromkeys(("paused", "killed", "not_started", "ended"), DISABLED)
"""OFREP 0.3.0 knows five reasons, and a client may fail on any other; ours stand in the metadata. Whoever is not part of an experiment is
shown the default without a draw, which is `STATIC`."""

_METADATA = ("policy", "arm", "propensity", "cell", "reason", "bundle", "counted")


@dataclass(frozen=True, slots=True)
class Flag:
    """What a flag key stands for."""

    key: str
    policy: str
    parameter: str | None
    """None: all parameters as an object."""


class Flags:
    """The flags of one bundle."""

    def __init__(self, decider: Decider, policies: Mapping[str, Mapping[str, Any]]) -> None:
        self._decider = decider
        self._policies = tuple(policies)
        self._flags = {flag.key: flag for name, entry in policies.items() for flag in _of(name, entry["arms"])}
        self._flags |= {name: Flag(name, name, None) for name in policies}

    def one(self, key: str, context: Mapping[str, Any], unit: str | None) -> dict[str, Any] | None:
        """The evaluation of one flag as OFREP's success object; None for an unknown key."""
        flag = self._flags.get(key)
        return None if flag is None else self._evaluated(flag, self._decider.decide(flag.policy, context=context, unit=unit))

    def all(self, context: Mapping[str, Any], unit: str | None) -> Iterator[dict[str, Any]]:
        """Every flag's evaluation; one decision a policy."""
        decisions = {name: self._decider.decide(name, context=context, unit=unit) for name in self._policies}
        return (self._evaluated(flag, decisions[flag.policy]) for flag in self._flags.values())

    def _evaluated(self, flag: Flag, decision: Mapping[str, Any]) -> dict[str, Any]:
        found = {
            "key": flag.key,
            "reason": REASONS.get(decision["reason"], STATIC),
            "variant": decision["arm"],
            "metadata": {name: decision[name] for name in _METADATA if name in decision},
        }
        shown = decision["parameters"]
        if flag.parameter is None:
            found["value"] = shown
        elif flag.parameter in shown:
            found["value"] = shown[flag.parameter]
        elif flag.parameter == ARM:
            found["value"] = decision["arm"]
        return found  # without `value`, the client's own default stands: this arm does not set the parameter


def _of(policy: str, arms: Mapping[str, Mapping[str, Any]]) -> Iterator[Flag]:
    for parameter in dict.fromkeys([ARM, *(name for parameters in arms.values() for name in parameters)]):
        yield Flag(f"{policy}.{parameter}", policy, parameter)
