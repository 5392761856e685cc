"""What can stop a window from being released. Each depends on public quantities only, never on what anybody did."""

from __future__ import annotations

from tacit.core.errors import Conflict, Problem


class EpochMismatch(Problem):
    """The window lies in an epoch that overlaps one promised with another length, so a person could be counted under both promises."""

    type = "epoch-mismatch"
    title = "The epoch overlaps an earlier promise"
    default_next_step = "Releases start again with the first epoch that begins after the earlier one has ended."


class EpochEnded(Problem):
    """The epoch's keys and bounding state are destroyed; nothing of it can be released any more."""

    type = "epoch-ended"
    title = "The epoch has ended"
    default_next_step = "Nothing can be added to an ended epoch; later windows are released as usual."


class WindowNotDue(Problem):
    """The window is still open, unknown to the event source, or an earlier one has not been finished."""

    type = "window-not-due"
    title = "The window is not due"
    default_next_step = "Close the windows that `due` lists, in that order."


class NotCharged(Problem):
    """A release without a ledger line of its own was about to be published."""

    type = "not-charged"
    title = "The release was not charged"
    default_next_step = "Charge the window with `Ledger.charge` and publish with the rho that it answers."


class NotCertified(Problem):
    """OpenDP's own privacy map puts the loss of a mechanism above what the ledger was charged; nothing is drawn."""

    type = "not-certified"
    title = "The noise does not cover the charge"
    default_next_step = "This is a defect in Tacit: report it. Nothing was published."


class Overtaken(Problem):
    """Another process closed another window meanwhile: it counted people, or published a row, that this one has to take into account."""

    type = "overtaken"
    title = "Another process was faster"
    default_next_step = "Nothing to do: what was computed is thrown away and the window is computed again."


class MeasuresDiffer(Conflict):
    """Releases of different definitions count different things; those of undeclared keys name only the keys that were shown."""

    type = "measures-differ"
    title = "These releases do not add up"
    default_next_step = "Add up releases of one measure definition whose cells are declared."
