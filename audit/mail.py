"""Messages as mail: plain text over SMTP, encrypted unless the server is on this machine. Only the standard library.

A message names audits, declared groups and verdicts, and where to look; never a figure.
"""

from __future__ import annotations

import json
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from tacit.core.clock import iso
from tacit.core.settings import MailSettings

TIMEOUT_SECONDS = 20.0
_LINES = {
    "audit.attention": "A group is treated differently; whether by more than the accepted limit is not certain.",
    "audit.breach": "A group is treated differently by more than the accepted limit.",
    "finding.overdue": "A finding is past its due date and nobody has decided on it.",
    "finding.reopened": "What a finding was about is there again.",
}


def letter(settings: MailSettings, to: str, message_id: str, body: str, *, at_ms: int) -> EmailMessage:
    """The mail that tells of a message in the outbox."""
    content: dict[str, Any] = json.loads(body)
    data, kind = content["data"], content["type"]
    lines = [_LINES[kind], "", f"Site: {data['site']}", f"Audit: {data['audit']}"]
    for finding in data["findings"]:
        lines += ["", f"{finding['subject']}: {finding['verdict']}, {finding['state']}, due {finding['due_at']}", f"  {finding['id']}"]
    lines += ["", f"Open the page Findings, or run: tacit findings --site {data['site']}"]
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = settings.sender, to
    mail["Subject"] = f"[Tacit] {data['site']} {data['audit']}: {kind.partition('.')[2]}"
    mail["Date"] = _rfc_date(at_ms)
    mail["Message-ID"] = f"<{message_id}@{settings.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers
    mail.set_content("\n".join(lines) + "\n")
    return mail


def send(settings: MailSettings, mail: EmailMessage) -> str:
    """Hand a mail to the server: `sent`, or a short word for why not. `refused` is for ever, anything else is worth another attempt."""
    if not settings.ready:
        return "no_mail_server"
    try:
        with _connected(settings) as server:
            if settings.user:
                server.login(settings.user, settings.secret())
            server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        return "refused" if all(code >= 500 for code, _ in error.recipients.values()) else "put_off"
    except smtplib.SMTPAuthenticationError:
        return "no_login"
    except smtplib.SMTPNotSupportedError:
        return "no_tls"
    except ssl.SSLError:
        return "bad_certificate"
    except smtplib.SMTPException:
        return "put_off"
    except OSError:
        return "no_connection"
    return "sent"


def _connected(settings: MailSettings) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    if settings.security == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_SECONDS)
    try:
        if settings.security == "starttls":
            server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def _rfc_date(at_ms: int) -> str:
    from datetime import datetime
    from email.utils import format_datetime

    return format_datetime(datetime.fromisoformat(iso(at_ms)))
