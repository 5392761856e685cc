"""Puts the log's checkpoint where we cannot take it back: a folder on another disk, a mailbox, somebody else's server.

Each way gets one checkpoint for each slot of time, from whichever worker claims it. A way that fails is tried again later, on its own;
a slot that was missed needs no catching up, since a newer checkpoint vouches for all that an older one did.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import httpx

from audit import mail
from audit.evidence_errors import ExportRefused, NotMailed
from audit.notary import Notary
from audit.notes import Note
from tacit.core import logs
from tacit.core.claims import Claims
from tacit.core.clock import Clock
from tacit.core.evidence_terms import AnchorTerms
from tacit.core.rootkey import write_private
from tacit.core.settings import MailSettings

TIMEOUT_SECONDS = 10.0
POLL_SECONDS = 5.0
WAIT_MS, LONGEST_WAIT_MS = 60_000, 6 * 3_600_000

Way = Callable[[Note], None]

logs.allow(["anchors", "checkpoint.anchored", "anchor.failed", "folder", "mail", "webhook"])
_log = logs.Log("anchors")


def ways(terms: AnchorTerms, server: MailSettings) -> dict[str, Way]:
    """What is declared, by name; mail goes through the server of the settings."""
    found: dict[str, Way] = {}
    if (folder := terms.folder) is not None:
        found["folder"] = lambda note: to_folder(note, folder)
    if terms.mail:
        found["mail"] = lambda note: to_mail(note, terms.mail, server)
    if (url := terms.webhook) is not None:
        found["webhook"] = lambda note: to_webhook(note, url)
    return found


class Anchors:
    """Anchors for one worker; any number of workers may run."""

    def __init__(self, notary: Notary, ways: Mapping[str, Way], claims: Claims, clock: Clock, *, every_ms: int) -> None:
        self._notary, self._ways, self._claims, self._clock, self._every_ms = notary, ways, claims, clock, every_ms
        self._failures: dict[str, tuple[int, int]] = {}

    def once(self) -> list[str]:
        """Anchor what is due; the ways that took the checkpoint. A failure is logged and put off."""
        now_ms = self._clock.now_ms()
        slot = now_ms - now_ms % self._every_ms
        done = []
        for name, way in self._ways.items():
            job, (failures, not_before) = f"anchor:{name}", self._failures.get(name, (0, 0))
            if now_ms < not_before or self._claims.is_done(job, slot) or not self._claims.take(job, slot, now_ms=now_ms):
                continue
            try:
                note = self._notary.keep()
                if note is None:
                    continue
                way(note)
            except Exception as error:
                self._failures[name] = (failures + 1, now_ms + min(LONGEST_WAIT_MS, WAIT_MS << min(failures, 16)))
                _log.fault("anchor.failed", error, way=name)
                continue
            self._failures.pop(name, None)
            self._claims.finish(job, slot)
            _log.info("checkpoint.anchored", way=name)
            done.append(name)
        return done

    def run(self, stop: threading.Event) -> None:
        """Anchor until told to stop."""
        while self._ways and not stop.is_set():
            try:
                self.once()
            except Exception as error:
                _log.fault("anchor.failed", error)
            stop.wait(POLL_SECONDS)


def to_folder(note: Note, folder: Path) -> None:
    """A file named by the checkpoint's size. One that is there already stays; raises `ExportRefused` when it says something else."""
    place = folder / f"{note.checkpoint().size:020d}.checkpoint"
    folder.mkdir(parents=True, exist_ok=True)
    if not write_private(place, str(note).encode()) and not place.read_bytes().startswith(note.text.encode()):
        raise ExportRefused(f"{place} holds another checkpoint of this size", next_step="Somebody has rewritten the log, or that folder.")


def to_mail(note: Note, to: Sequence[str], server: MailSettings) -> None:
    """A mail with the checkpoint as its text, and as a file so that no mail program can change a character of it.

    Raises `NotMailed` unless the server took it for everybody.
    """
    checkpoint = note.checkpoint()
    message = EmailMessage(policy=SMTP)
    message["Subject"] = f"Checkpoint of {checkpoint.origin} at {checkpoint.size} entries"
    message["From"], message["To"] = server.sender, ", ".join(to)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        f"Keep this: the signed head of an evidence log. `tacit evidence verify --since` shows whether the log still agrees.\n\n{note}"
    )
    message.add_attachment(str(note).encode(), maintype="application", subtype="octet-stream", filename=f"{checkpoint.size}.checkpoint")
    outcome = mail.send(server, message)
    if outcome != "sent":
        raise NotMailed(f"the checkpoint was not mailed ({outcome})")


def to_webhook(note: Note, url: str) -> None:
    """The note as the body of a POST. Raises `httpx.HTTPError` unless it is answered with 2xx."""
    # no proxies or credentials from the environment: it goes to the declared address and nowhere else
    with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as client:
        headers = {"content-type": "text/plain; charset=utf-8", "user-agent": "Tacit-Anchor"}
        answer = client.post(url, content=str(note).encode(), headers=headers)
    if not answer.is_success:
        raise httpx.HTTPError("the answer is not 2xx")
