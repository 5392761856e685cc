"""What can be wrong with a log, a proof or a checkpoint."""

from __future__ import annotations

from tacit.core.errors import InvalidRequest, NotFound, Problem


class EvidenceDamaged(Problem):
    """The log, or a copy of it, is not what was signed; `first_bad` is the first index at which that shows."""

    type = "evidence-damaged"
    title = "The evidence log does not verify"
    default_next_step = "Keep it as it is, and compare it with an earlier export and with the checkpoints that were anchored or witnessed."

    def __init__(self, first_bad: int, reason: str) -> None:
        super().__init__(f"first bad index {first_bad}: {reason}", first_bad=first_bad)
        self.first_bad, self.reason = first_bad, reason


class NoteRefused(InvalidRequest):
    """A text that is not a checkpoint signed as it should be."""

    type = "note-refused"
    title = "The checkpoint is refused"
    default_next_step = "Send a checkpoint as /v1/evidence/checkpoint gives it, with the lines of its signatures."


class KeyRefused(Problem):
    """A file or a text that is not a verifier key."""

    type = "verifier-key-refused"
    title = "The verifier key cannot be used"
    default_next_step = "`tacit evidence key` prints one line: name+key id+base64; get it by another way than the log itself."


class ExportRefused(Problem):
    """A folder that cannot be written to, or that holds no whole export."""

    type = "evidence-export-refused"
    title = "The folder is not a whole export"


class NotMailed(Problem):
    """The mail server did not take a checkpoint."""

    type = "checkpoint-not-mailed"
    title = "A checkpoint was not mailed"
    default_next_step = "Check the settings that begin with TACIT_SMTP_; it is tried again."


class NoSuchEntry(NotFound):
    """The log has no such entry, tree or tile."""

    type = "no-such-entry"
    title = "The evidence log has no such place"
    default_next_step = "Its size is the second line of /v1/evidence/checkpoint; indices begin with 0."
