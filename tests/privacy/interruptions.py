"""What can happen to a sanitiser in the middle of its work: it dies, or somebody else acts meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from privacy.service import Sanitiser

STEPS = [
    ("source", "contributions"),
    ("presence", "state"),
    ("presence", "others"),
    ("presence", "record"),
    ("ledger", "open_epoch"),
    ("ledger", "charge"),
    ("releases", "publish"),
    ("source", "forget"),
    ("ledger", "end_epoch"),
    ("presence", "end_epoch"),
    ("source", "end_epoch"),
    ("releases", "finish"),
]
"""The steps of every close, and those of the close that ends an epoch."""

BLOCK_STEPS = [
    ("releases", "last_row"),
    ("releases", "rows"),
    ("secrets", "secret"),
    ("secrets", "keep"),
    ("secrets", "secrets"),
    ("secrets", "destroy_secrets"),
    ("releases", "row_before"),
]
"""Those of correlated noise; not every close comes to each of them."""


class Killed(Exception):
    """The process died here."""


@dataclass
class Dying:
    """The real part, dying once just before or just after the work of one step."""

    part: Any
    step: str
    after: bool
    armed: bool = True

    def __getattr__(self, name: str) -> Any:
        real: Callable[..., Any] = getattr(self.part, name)
        return self._fatal(real) if name == self.step and self.armed else real

    def _fatal(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self.armed = False
            if self.after:
                real(*args, **named)
            raise Killed

        return call


@dataclass
class Meeting:
    """The real part; somebody else acts once just before one of its steps."""

    part: Any
    step: str
    act: Callable[[], object]
    armed: bool = True

    def __getattr__(self, name: str) -> Any:
        if name == self.step and self.armed:
            self.armed = False
            self.act()
        return getattr(self.part, name)


def dying_in(sanitiser: Sanitiser, part: str, step: str, *, after: bool) -> Sanitiser:
    """The same sanitiser, which dies once at that step."""
    changed: dict[str, Any] = {part: Dying(getattr(sanitiser, part), step, after)}
    return replace(sanitiser, **changed)


def met_in(sanitiser: Sanitiser, part: str, step: str, act: Callable[[], object]) -> Sanitiser:
    """The same sanitiser; `act` happens just before that step."""
    changed: dict[str, Any] = {part: Meeting(getattr(sanitiser, part), step, act)}
    return replace(sanitiser, **changed)
