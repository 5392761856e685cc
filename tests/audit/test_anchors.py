"""Checkpoints arrive in a folder, at a real mail server and at a real HTTP receiver: each way once for a slot, whatever befalls others."""

from __future__ import annotations

import email
import socket
from collections.abc import Iterator
from email import policy
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from pydantic import SecretStr

from audit import notes
from audit.anchors import WAIT_MS, Anchors, to_folder, to_mail, to_webhook, ways
from audit.evidence_errors import EvidenceDamaged, ExportRefused, NotMailed
from tacit.core.claims import Claims
from tacit.core.evidence_terms import AnchorTerms
from tacit.core.settings import MailSettings
from tests.audit.evidence import Bench, bench
from tests.consent.receiver import Receiver, receiving

DAY = 86_400_000
TO = ("auditor@example.org", "board@example.org")


class Mailbox:
    """What a mail server was handed."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        return "250 OK"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, MailSettings]]:
    box = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port, authenticator=box.login, auth_require_tls=False)
    controller.start()
    yield box, MailSettings(host="127.0.0.1", port=port, security="none", sender="tacit@example.org")
    controller.stop()


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    found = bench(tmp_path)
    found.fill(10)
    return found


def anchors(made: Bench, terms: AnchorTerms, owner: str = "one", *, server: MailSettings | None = None) -> Anchors:
    return Anchors(
        made.notary, ways(terms, server or MailSettings()), Claims(made.engine, owner=owner), made.clock, every_ms=terms.every_ms
    )


def test_each_slot_puts_one_checkpoint_into_the_folder_whatever_the_number_of_workers(made: Bench, tmp_path: Path) -> None:
    terms = AnchorTerms(DAY, folder=tmp_path / "a" / "anchors")
    workers = [anchors(made, terms, owner) for owner in ("one", "two")]
    assert [worker.once() for worker in workers] == [["folder"], []]
    made.fill(5)
    assert [worker.once() for worker in workers] == [[], []]
    made.clock.ms += DAY
    assert [worker.once() for worker in reversed(workers)] == [["folder"], []]
    files = sorted((tmp_path / "a" / "anchors").iterdir())
    assert [file.name for file in files] == [f"{10:020d}.checkpoint", f"{15:020d}.checkpoint"]
    heads = [notes.checkpoint_of(notes.parse(file.read_bytes()), made.notary.key) for file in files]
    assert [head.size for head in heads] == [10, 15]
    assert made.notary.verify([notes.parse(file.read_bytes()) for file in files]).confirmed == 15


def test_what_was_anchored_is_kept_so_that_the_log_is_held_against_it(made: Bench, tmp_path: Path) -> None:
    anchors(made, AnchorTerms(DAY, folder=tmp_path / "anchors")).once()
    with made.engine.begin() as connection:
        connection.exec_driver_sql("delete from evidence where idx = 9")
    with pytest.raises(EvidenceDamaged, match="first bad index 9"):
        made.notary.verify()


def test_a_folder_that_holds_another_checkpoint_of_that_size_is_a_fault(made: Bench, tmp_path: Path) -> None:
    to_folder(made.notary.checkpoint(), tmp_path)
    to_folder(made.notary.checkpoint(), tmp_path)
    (tmp_path / "other").mkdir()
    other = bench(tmp_path / "other")
    other.fill(10, kind="consent.forged")
    with pytest.raises(ExportRefused, match="another checkpoint"):
        to_folder(other.notary.checkpoint(), tmp_path)


def test_mail_brings_the_checkpoint_to_the_letter(made: Bench, mail: tuple[Mailbox, MailSettings]) -> None:
    box, server = mail
    assert anchors(made, AnchorTerms(DAY, mail=TO), server=server).once() == ["mail"]
    (envelope,) = box.envelopes
    assert envelope.mail_from == "tacit@example.org"
    assert envelope.rcpt_tos == ["auditor@example.org", "board@example.org"]
    message = email.message_from_bytes(envelope.content, policy=policy.default)
    assert message["subject"] == "Checkpoint of example.org/evidence at 10 entries"
    (attached,) = message.iter_attachments()
    assert attached.get_content() == str(made.notary.checkpoint()).encode()
    assert str(made.notary.checkpoint()).split("\n")[2] in str(message.get_body(("plain",)))
    assert box.logins == []


def test_mail_logs_in_where_a_login_is_set(made: Bench, mail: tuple[Mailbox, MailSettings]) -> None:
    box, server = mail
    login = {"user": "tacit", "password": SecretStr("right")}
    to_mail(made.notary.checkpoint(), TO, server.model_copy(update=login))
    assert box.logins == [(b"tacit", b"right")]
    with pytest.raises(NotMailed, match="no_login"):
        to_mail(made.notary.checkpoint(), TO, server.model_copy(update=login | {"password": SecretStr("wrong")}))
    with pytest.raises(NotMailed, match="no_mail_server"):
        to_mail(made.notary.checkpoint(), TO, MailSettings())
    assert len(box.envelopes) == 1


def test_a_webhook_gets_the_note_and_a_failure_is_tried_again_later_and_alone(made: Bench, tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.answers = [503, 307, 200]
        worker = anchors(made, AnchorTerms(DAY, folder=tmp_path / "anchors", webhook=receiver.url))
        assert worker.once() == ["folder"]
        assert worker.once() == []
        assert len(receiver.received) == 1, "not before a minute has passed"
        made.clock.ms += WAIT_MS
        assert worker.once() == []
        made.clock.ms += WAIT_MS
        assert worker.once() == []
        made.clock.ms += WAIT_MS
        assert worker.once() == ["webhook"]
        made.clock.ms += WAIT_MS
        assert worker.once() == []
    assert len(receiver.received) == 3
    headers, body = receiver.received[-1]
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert notes.checkpoint_of(notes.parse(body), made.notary.key).size == 10


def test_a_redirect_is_not_followed(made: Bench) -> None:
    with receiving() as receiver:
        _always(receiver, 307)
        with pytest.raises(httpx.HTTPError):
            to_webhook(made.notary.checkpoint(), receiver.url)
    assert len(receiver.received) == 1


def _always(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]


def test_an_empty_log_is_not_anchored_and_nothing_declared_does_nothing(tmp_path: Path) -> None:
    empty = bench(tmp_path)
    assert anchors(empty, AnchorTerms(DAY, folder=tmp_path / "anchors")).once() == []
    assert not (tmp_path / "anchors").exists()
    assert anchors(empty, AnchorTerms()).once() == []
    empty.fill(1)
    assert anchors(empty, AnchorTerms(DAY, folder=tmp_path / "anchors")).once() == ["folder"], "as soon as there is something"
