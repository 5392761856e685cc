"""What can be wrong with a table or a request that the auditor is handed."""

from __future__ import annotations

from tacit.core.errors import Conflict, InvalidRequest, NotFound, Problem


class TableRefused(Problem):
    """A table that cannot be judged, above all one that does not say how much noise is in it."""

    type = "table-refused"
    title = "The table cannot be judged"
    default_next_step = (
        'Give "id", "limit", "mechanism" {"name": "discrete_gaussian", "discrete_laplace" or "none", "sd"} '
        'and "cells" [{"group", "bin": "1" or "0", "value"}].'
    )


class ReleaseMismatch(Problem):
    """Releases of another measure, or of an older definition of it, were handed in together."""

    type = "release-mismatch"
    title = "The releases do not belong together"
    default_next_step = "Scan the releases of one measure definition at a time."


class SlotNotReady(Problem):
    """A scheduled scan was asked for before everything that it has to read was released. A slot is scanned once, so it has to wait."""

    type = "slot-not-ready"
    title = "The slot cannot be scanned yet"
    default_next_step = "Run it again when the sanitiser has closed the windows before it; `tacit scan` without --slot reads what there is."


class SlotBusy(Problem):
    """Another process has held the slot for longer than a scan can take."""

    type = "slot-busy"
    title = "The slot is being scanned by another process"
    default_next_step = "Run it again; a process that died lets go of its slot after a minute."


class SlotInvalid(Problem):
    """What was given for a slot is neither a moment nor a whole number."""

    type = "slot-invalid"
    title = "The slot cannot be read"
    default_next_step = "Give a moment with a zone, for example --slot 2026-01-31T00:00:00Z."


class ChangeInvalid(InvalidRequest):
    """What was asked for is not one of the changes that an auditor may make."""

    type = "change-invalid"
    title = "The change cannot be read"
    default_next_step = (
        'Give {"kind": "pause"}, {"kind": "cap", "arm", "most"}, {"kind": "equalise", "within"}, {"kind": "constrain", "limit"} '
        'or {"kind": "roll_back", "version"}; shares from 0 to 1.'
    )


class CorrectionsUnavailable(Conflict):
    """The engine of this installation takes no corrections from the auditor."""

    type = "corrections-unavailable"
    title = "Corrections cannot be made here"
    default_next_step = "Change the policy in tacit.yaml and restart; then accept or dismiss the finding with a note that says so."


class UnknownFinding(NotFound):
    """The site has no finding of that id."""

    type = "unknown-finding"
    title = "Unknown finding"
    default_next_step = "GET /v1/findings lists the site's findings."


class FindingChanged(Conflict):
    """Somebody changed the finding after the caller had read it."""

    type = "finding-changed"
    title = "The finding has changed meanwhile"
    default_next_step = "Read it again with GET /v1/findings/{id} and decide anew."


class FindingState(Conflict):
    """A step that does not follow from where the finding is."""

    type = "finding-state"
    title = "The finding is not in a state for that"
    default_next_step = "open -> assigned -> accepted, corrected or dismissed -> signed by two people -> closed; see docs/audit.md."


class SignedAlready(Conflict):
    """The same person would sign twice."""

    type = "signed-already"
    title = "This key has signed already"
    default_next_step = "The second signature is another person's, with a key of their own."


class SignaturesMissing(Conflict):
    """Closing needs two signatures."""

    type = "signatures-missing"
    title = "Two people have to sign first"
    default_next_step = "POST /v1/findings/{id}/sign with two different keys."


class NotVerifiedYet(Conflict):
    """No scan has looked at the time after the correction."""

    type = "not-verified-yet"
    title = "No scan has looked at the correction yet"
    default_next_step = "Wait for the next scheduled scan, or run `tacit scan` when a window has closed."


class UnknownAssignee(InvalidRequest):
    """Findings are assigned to keys of officers and admins of the site."""

    type = "unknown-assignee"
    title = "Unknown assignee"
    default_next_step = "Name the id of an officer's or admin's key, as `tacit keys create` prints it."


class UnknownSubscription(NotFound):
    """The site has no subscription of this name."""

    type = "unknown-subscription"
    title = "Unknown subscription"
    default_next_step = "GET /v1/subscriptions lists the site's subscriptions."


class AddressRefused(InvalidRequest):
    """What was given for a mail address is none."""

    type = "address-refused"
    title = "Mail address refused"
    default_next_step = "Give one plain address, without a name and without a list."


class NoSuchScan(NotFound):
    """A scan that is not stored, or whose audit is gone."""

    type = "no-such-scan"
    title = "There is no such scan"
    default_next_step = "List the scans with `GET /v1/audits`, or run one with `tacit scan`."


class UnknownPreset(InvalidRequest):
    """A preset that does not exist."""

    type = "unknown-preset"
    title = "Unknown preset"


class PdfUnavailable(Problem):
    """The extra `pdf` is not installed."""

    type = "pdf-unavailable"
    title = "PDF is not available"
    default_next_step = "Install Tacit with its extra `pdf`; JSON and HTML need nothing more."


class TrendBusy(Problem):
    """Many scans of one audit ran at the same time."""

    type = "trend-busy"
    title = "Other scans of this audit are running"
    default_next_step = "Scan again in a moment."
