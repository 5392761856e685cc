"""Standing orders over a policy, and what they make of the learned weights. People and auditors give them, the engine obeys.

The invariant: no cell of a published bundle gives a capped arm more than its cap, whatever was learned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tacit.core.errors import InvalidRequest

Weights = dict[str, list[float]]

_NOBODY = "\0"
"""Stands for the cell that nobody is in yet; no label has this character."""

KEYS = ("paused", "kill", "caps", "blend", "within", "mixes", "pinned", "versus", "max_step")
"""What a control can be about. The newest value of each key stands; null lifts it."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Two groups of people as shares of cells, and how much their exposure to an arm may differ."""

    one: Mapping[str, float]
    other: Mapping[str, float]
    limit: float


@dataclass(frozen=True, slots=True)
class Versus:
    """A model version and the share of people that it answers."""

    version: int
    share: float


@dataclass(frozen=True, slots=True)
class Controls:
    """One policy's standing orders."""

    paused: str | None = None
    """Why, where somebody has paused it."""
    killed: bool = False
    caps: Mapping[str, float] = field(default_factory=dict)
    """Arm -> the most it may have of the people in any cell."""
    blend: float = 0.0
    """How much of each cell's weights is replaced by those of the policy as a whole: 1 treats all cells alike."""
    within: float | None = None
    """The most that an arm's share differs between two cells."""
    mixes: tuple[Mix, ...] = ()
    """Groups of people whose exposure may differ by their limit only."""
    pinned: int | None = None
    """Model version whose weights stand instead of newly learned ones."""
    versus: Versus | None = None
    """An earlier model version that answers a part of the people beside the one that stands."""
    max_step: float | None = None
    """The most that a cell's weights move in one update, as total variation distance."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Controls:
        """From the values by key; null and what is missing is not ordered."""
        return cls(
            paused=values.get("paused"),
            killed=bool(values.get("kill")),
            caps=values.get("caps") or {},
            blend=values.get("blend") or 0.0,
            within=values.get("within"),
            mixes=tuple(Mix(one["one"], one["other"], one["limit"]) for one in values.get("mixes") or ()),
            pinned=values.get("pinned"),
            versus=Versus(**values["versus"]) if values.get("versus") else None,
            max_step=values.get("max_step"),
        )


def check(key: str, value: Any) -> None:
    """Raises `InvalidRequest` for an order that cannot be given."""
    fits: dict[str, Callable[[], bool]] = {
        "paused": lambda: isinstance(value, str) and 0 < len(value) <= 500,
        "kill": lambda: isinstance(value, bool),
        "caps": lambda: isinstance(value, dict) and all(isinstance(arm, str) and _share(most) for arm, most in value.items()),
        "blend": lambda: _share(value),
        "within": lambda: _share(value),
        "mixes": lambda: isinstance(value, list) and all(_is_mix(one) for one in value),
        "pinned": lambda: isinstance(value, int) and not isinstance(value, bool) and value > 0,
        "versus": lambda: _is_versus(value),
        "max_step": lambda: _share(value) and value > 0,
    }
    if key not in fits:
        raise InvalidRequest(f"there is no such control; there are {', '.join(KEYS)}")
    if value is not None and not fits[key]():
        raise InvalidRequest(f"the value does not fit the control {key!r}")


def apply(
    weights: Mapping[str, Sequence[float]],
    general: Sequence[float],
    marginal: Sequence[float],
    controls: Controls,
    before: Mapping[str, Sequence[float]] | None = None,
    *,
    arms: Sequence[str],
    general_before: Sequence[float] | None = None,
    traffic: Mapping[str, float] | None = None,
) -> tuple[Weights, list[float]]:
    """The weights of each cell and the general ones as they may be published: blended, not too far from `before`, capped, alike enough.

    All lists follow `arms` and sum to 1. Caps and limits on differences act at once, also where that is more than `max_step`. `traffic` is
    people by cell; where it is not known, cells count alike.
    """
    caps = [controls.caps.get(arm, 1.0) for arm in arms]

    def ordered(learned: Sequence[float], last: Sequence[float] | None) -> list[float]:
        blended = [(1 - controls.blend) * w + controls.blend * m for w, m in zip(learned, marginal, strict=True)]
        return capped(stepped(blended, last, controls.max_step), caps)

    cells = {cell: ordered(learned, (before or {}).get(cell)) for cell, learned in weights.items()}
    return _alike(cells, ordered(general, general_before), controls, traffic or {}, caps)


def _alike(
    cells: Weights, general: list[float], controls: Controls, traffic: Mapping[str, float], caps: Sequence[float]
) -> tuple[Weights, list[float]]:
    """With as little change as the limits on differences allow. The general weights are those of a cell that nobody is in yet."""
    if controls.within is None and not controls.mixes:
        return cells, general
    from adjust.fairness import constrained  # numpy: web processes read controls, the sanitiser applies them

    found = constrained(cells | {_NOBODY: general}, traffic, within=controls.within, mixes=controls.mixes, most=possible(caps))
    return {cell: found[cell] for cell in cells}, found[_NOBODY]


def stepped(wanted: Sequence[float], last: Sequence[float] | None, most: float | None) -> list[float]:
    """As far towards `wanted` as a total variation distance of `most` from `last` allows.

    >>> stepped([1.0, 0.0], [0.5, 0.5], 0.1)
    [0.6, 0.4]
    """
    if last is None or most is None or len(last) != len(wanted):
        return list(wanted)
    distance = sum(abs(w - b) for w, b in zip(wanted, last, strict=True)) / 2
    if distance <= most:
        return list(wanted)
    return [b + (w - b) * most / distance for w, b in zip(wanted, last, strict=True)]


def capped(weights: Sequence[float], caps: Sequence[float]) -> list[float]:
    """No arm above its cap; what is too much goes to the others in proportion to their weights, evenly where they have none.

    Caps that leave some people without any arm cannot all be kept: they are then widened in proportion.

    >>> capped([0.8, 0.1, 0.1], [0.5, 1.0, 1.0])
    [0.5, 0.25, 0.25]
    """
    limits = possible(caps)
    found, full = list(weights), set[int]()
    while over := [i for i, w in enumerate(found) if i not in full and w > limits[i]]:
        full.update(over)
        rest = 1 - sum(limits[i] for i in full)
        free = [i for i in range(len(found)) if i not in full]
        held = sum(found[i] for i in free)
        for i in full:
            found[i] = limits[i]
        for i in free:
            found[i] = found[i] / held * rest if held > 0 else rest / len(free)
    return found


def possible(caps: Sequence[float]) -> list[float]:
    """Caps that leave an arm for everybody: widened in proportion where they do not.

    >>> possible([0.4, 0.4])
    [0.5, 0.5]
    """
    total = sum(caps)
    if total >= 1:
        return list(caps)
    return [cap / total for cap in caps] if total > 1e-9 else [1 / len(caps)] * len(caps)


def _is_versus(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"version", "share"} or not _share(value["share"]):
        return False
    return isinstance(value["version"], int) and not isinstance(value["version"], bool) and value["version"] > 0


def _is_mix(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"one", "other", "limit"} or not _share(value["limit"]):
        return False
    sides = (value["one"], value["other"])
    return all(isinstance(side, dict) and all(isinstance(cell, str) and _share(part) for cell, part in side.items()) for side in sides)


def _share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
