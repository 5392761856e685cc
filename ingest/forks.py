"""What holds file descriptors, locks or nonce counters registers here, so that a forked child starts without its parent's."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Something that a forked child must not share with its parent."""

    def after_fork(self) -> None:
        """Let go of everything inherited. Runs in the child."""
        ...


_registered: WeakSet[Forkable] = WeakSet()


def reset_in_child(thing: Forkable) -> None:
    """Call `thing.after_fork()` in every forked child while `thing` lives."""
    _registered.add(thing)


def _in_child() -> None:
    for thing in list(_registered):
        thing.after_fork()


os.register_at_fork(after_in_child=_in_child)
