"""What an auditor may do to a policy. The engine does it; `tacit.wiring` joins the two.

The invariant: whatever is done is part of the caller's transaction, together with the finding it is done for and its line in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from sqlalchemy import Connection

from audit.errors import ChangeInvalid, CorrectionsUnavailable


@dataclass(frozen=True, slots=True)
class Pause:
    """Everybody sees the default arm until somebody resumes the policy."""

    kind = "pause"


@dataclass(frozen=True, slots=True)
class Cap:
    """At most this share of people is shown one arm."""

    arm: str
    most: float
    kind = "cap"


@dataclass(frozen=True, slots=True)
class Equalise:
    """Exposure to each arm differs between context cells by at most this much."""

    within: float
    kind = "equalise"


@dataclass(frozen=True, slots=True)
class Constrain:
    """The least change of allocation that brings the audited differences within a limit."""

    limit: float
    kind = "constrain"


@dataclass(frozen=True, slots=True)
class RollBack:
    """The weights of an earlier model version stand."""

    version: int
    kind = "roll_back"


Change = Pause | Cap | Equalise | Constrain | RollBack


@dataclass(frozen=True, slots=True)
class Price:
    """What a change costs: the policy's lift over its default arm as it is and as it would be, with the standard deviation of the loss.

    None where the figures cannot tell.
    """

    lift_before: float | None
    lift_after: float | None
    sd: float | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


class Corrections(Protocol):
    """Prices and makes changes to policies. Each call is one released-vault transaction of the caller's."""

    def price(self, site: str, policy: str, change: Change) -> Price:
        """What the change would cost, before anything is done. Raises a `Problem` where it cannot be made."""
        ...

    def act(self, site: str, policy: str, change: Change, *, actor: str, finding: str, connection: Connection) -> None:
        """Make the change. Raises a `Problem` where it cannot be made, and has then written nothing."""
        ...


class NoCorrections:
    """For an installation whose engine takes no corrections: says so."""

    def price(self, _site: str, _policy: str, _change: Change) -> Price:
        """Raises `CorrectionsUnavailable`."""
        raise CorrectionsUnavailable

    def act(self, _site: str, _policy: str, _change: Change, *, actor: str, finding: str, connection: Connection) -> None:  # noqa: ARG002
        """Raises `CorrectionsUnavailable`."""
        raise CorrectionsUnavailable


def change_json(change: Change) -> dict[str, Any]:
    """A change as it is written down.

    >>> change_json(Cap("larger", 0.3))
    {'kind': 'cap', 'arm': 'larger', 'most': 0.3}
    """
    return {"kind": change.kind, **asdict(change)}


def change_from(given: Mapping[str, Any]) -> Change:
    """The change that somebody asks for. Raises `ChangeInvalid`.

    >>> change_from({"kind": "equalise", "within": 0.05})
    Equalise(within=0.05)
    """
    rest = {key: value for key, value in given.items() if key != "kind"}
    match given.get("kind"), rest:
        case "pause", {}:
            return Pause() if not rest else _refuse()
        case "cap", {"arm": str(arm), "most": int() | float() as most} if len(rest) == 2 and _share(most):
            return Cap(arm, float(most))
        case "equalise", {"within": int() | float() as within} if len(rest) == 1 and _share(within):
            return Equalise(float(within))
        case "constrain", {"limit": int() | float() as limit} if len(rest) == 1 and _share(limit):
            return Constrain(float(limit))
        case "roll_back", {"version": int() | float() as version} if len(rest) == 1 and _whole(version):
            return RollBack(int(version))
        case _:
            return _refuse()


def _share(number: float) -> bool:
    return not isinstance(number, bool) and 0 <= number <= 1


def _whole(number: float) -> bool:
    """JSON has one kind of number: 2.0 is 2."""
    return not isinstance(number, bool) and number > 0 and float(number).is_integer()


def _refuse() -> Change:
    raise ChangeInvalid
