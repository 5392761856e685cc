"""What can go wrong between the door and the sanitiser."""

from __future__ import annotations

from tacit.core.errors import Problem


class StagingCorrupt(Problem):
    """Staged bytes were changed after they were written. Nothing of their window is published."""

    type = "staging-corrupt"
    title = "Staged events are damaged"
    default_next_step = "Check the disk. The window stays unpublished and its files are kept until its epoch ends."


class EpochKeyLost(Problem):
    """The epoch's key is gone before its end. Nobody is pseudonymised a second time within an epoch, so nothing more is accepted in it."""

    type = "epoch-key-lost"
    title = "The key of this epoch is lost"
    default_next_step = "Events are accepted again when the next epoch starts. Nothing has to be done."


class EpochKeyDestroyed(EpochKeyLost):
    """The epoch has ended and its key was destroyed."""

    type = "epoch-key-destroyed"
    title = "The key of this epoch was destroyed"
    default_next_step = "The epoch has ended; check the clocks of the hosts."
